"""The evaluation page is complete without a network, shows the exact figures, and nothing personal."""

from __future__ import annotations

import re
import tomllib
from copy import deepcopy
from fnmatch import fnmatch
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from goodstanding.core.settings import PROJECT, Settings
from pipeline.pages import evaluation as module
from pipeline.pages.data_docs import build_docs
from pipeline.pages.evaluation import evaluation_page, publish_evaluation
from pipeline.pages.evaluation.questions import PUBLISHED, SHOWN, TITLES

EVIL = "<script>alert('it & \"that\"')</script>"


class Page(HTMLParser):
    """A parsed page: its text, tags and addresses, and the table rows of each section."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source, self.text, self.title = source, "", ""
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.sections: dict[str, str] = {}
        self.rows: dict[str, list[list[str]]] = {}
        self.section, self.open = "", [""]
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        attributes = {name: value or "" for name, value in attrs}
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.addresses += [
            value for name, value in attributes.items() if name in ("href", "src", "srcset", "data")
        ]
        if tag == "section":
            self.section = attributes["id"]
        if tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        if tag in ("td", "th"):
            self.rows[self.section][-1].append("")
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        if self.open[-1] == "title":
            self.title += data
        self.text += data
        self.sections[self.section] = self.sections.get(self.section, "") + data
        if "td" in self.open or "th" in self.open:
            row = self.rows[self.section][-1]
            row[-1] = f"{row[-1]} {data.strip()}".strip()


@pytest.fixture(scope="module")
def page(whole: dict[str, Any]) -> Page:
    return Page(evaluation_page(whole, has_data_docs=True))


def charts(page: Page) -> dict[str, ElementTree.Element]:
    """The charts by title, in the order of the page; each must be well-formed."""
    drawings = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page.source, re.DOTALL)]
    return {str(chart.get("aria-label")): chart for chart in drawings}


def answered(found: dict[str, Any]) -> dict[str, Any]:
    return {name: task for name, task in found["tasks"].items() if not task["refused"]}


def cell(measured: list[float], form: str = ".3f") -> str:
    value, low, high = measured
    return f"{value:{form}} [{low:{form}}, {high:{form}}]".replace("%", "\N{NO-BREAK SPACE}%")


def test_the_page_is_complete_without_network_and_script(page: Page) -> None:
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|javascript:", page.source)
    inside = {address[1:] for address in page.addresses if address.startswith("#")}
    outside = {address for address in page.addresses if not address.startswith("#")}
    assert inside and inside <= set(page.ids) and len(page.ids) == len(set(page.ids))
    assert outside == {"index.html", "../data_docs/index.html"}
    assert "default-src 'none'" in page.source


def test_every_tag_is_closed(page: Page) -> None:
    class Balanced(HTMLParser):
        open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "br"):
                self.open.append(tag)

        def handle_startendtag(self, tag: str, attrs: object) -> None:
            pass

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    parser = Balanced()
    parser.feed(page.source)
    assert parser.open == []


def test_every_method_is_in_the_table_with_its_figures(page: Page, evaluated: dict[str, Any]) -> None:
    for name, task in answered(evaluated).items():
        rows = {row[0]: row[1:] for row in page.rows[name] if len(row) == len(SHOWN) + 3}
        for method, measured in task["pooled"].items():
            gain = cell(task["gains"][method], "+.4f") if method in task["gains"] else "to beat"
            p_value = f"{task['p_holm'][method]:.3f}" if method in task["p_holm"] else ""
            expected = [*(cell(measured[measure]) for measure in SHOWN), gain, p_value]
            head = f"{method} champion" if method == task["champion"] else method
            assert rows[head] == expected, f"{name}: {method}"
        majority = task["pooled"]["majority"]["majority"][0]
        assert f"Accuracy ↑ majority {majority:.3f}" in rows["Method"]
        for method, why in task["left_out"].items():
            assert f"{method} ({why})" in page.sections[name]
        assert page.sections[name].count(f"Champion. {task['reason'].partition(' (')[0]}") == 1


def test_every_measure_is_in_the_folded_tables_pooled_and_per_cut(
    page: Page, evaluated: dict[str, Any]
) -> None:
    for name, task in answered(evaluated).items():
        for by_method in (task["pooled"], *(cut["measures"] for cut in task["cuts"])):
            for method, measured in by_method.items():
                row = [method, *(cell(measured[measure]) for measure in TITLES if measure in measured)]
                assert row in page.rows[name], f"{name}: {method}"
    of_risks = {"ks", "top_decile", "f1", "cost"}
    assert {*TITLES, "confusion"} - of_risks == set(task["pooled"]["majority"]), "a measure without a column"


def test_the_page_has_every_cut_and_every_confusion_matrix(page: Page, evaluated: dict[str, Any]) -> None:
    for name, task in answered(evaluated).items():
        text = page.sections[name]
        for cut in task["cuts"]:
            for fact in (cut["train_cut"], cut["test_cut"], f"{cut['customers']:,}"):
                assert fact in text
            assert f"{cut['train_shares'][-1]:.3f} → {cut['shares'][-1]:.3f}" in text
        for method, measured in task["pooled"].items():
            for of_class, counts in zip(task["classes"], measured["confusion"], strict=True):
                shares = [f"{count:,} {100 * count / sum(counts):.0f} %" for count in counts]
                assert [of_class, *shares] in page.rows[name], f"{name}: {method}"
        assert f"{task['champion']}, champion" in text


def test_the_answers_and_the_questions_come_first(page: Page, evaluated: dict[str, Any]) -> None:
    asked = page.sections["asked"]
    for fact in ("small_shop", "2011-12-09", "2010-12-01", "4 trained, 4 baselines", "as they are"):
        assert fact in asked
    assert str(evaluated["seed"]) in asked and "95 %, 50 resamples" in asked
    rows = {row[0]: row for row in page.rows["asked"]}
    for name, task in evaluated["tasks"].items():
        assert (task["champion"] or "not measured 22 more days") in rows[name][1]
    for method in evaluated["methods"].values():
        assert method["description"] in asked


def test_a_refused_question_shows_the_number_that_is_missing(page: Page) -> None:
    text = page.sections["value_tier_6m"]
    assert "not measured" in text and "needs 1 test cut" in text
    assert "<b>22 more days (data up to 2011-12-31) would be enough</b>" in page.source
    assert "value_tier_6m" in page.sections["cannot_tell"]


def test_folds_of_one_day_are_headed_fidelity_beside_the_published_figures(
    page: Page, evaluated: dict[str, Any]
) -> None:
    text = page.sections["present_class"]
    assert "fidelity to the formula" in text and "Folds of one day" in text and "no future in it" in text
    pooled = evaluated["tasks"]["present_class"]["pooled"]
    beside = {row[0]: row[1:] for row in page.rows["present_class"] if len(row) == 3}
    for method in PUBLISHED.keys() & pooled.keys():
        assert beside[method] == [f"{PUBLISHED[method]:.2f}", f"{pooled[method]['accuracy'][0]:.3f}"]
    assert "re-learn the formula" in text and "Folds of one day" not in page.sections["buys_30d"]


def test_charts_are_well_formed_and_show_the_measured_curves(page: Page, evaluated: dict[str, Any]) -> None:
    drawn = charts(page)
    kinds = ("ROC curves", "Calibration", "Cumulative gain")
    of_tasks = [f"{kind} of {name}" for name in answered(evaluated) for kind in kinds]
    assert list(drawn)[: len(of_tasks)] == of_tasks
    for name, task in answered(evaluated).items():
        legend = {text.text for text in drawn[f"ROC curves of {name}"].iter("text")}
        for method in task["curves"]:
            assert f"{method}, AUC {task['pooled'][method]['auc'][0]:.3f}" in legend, name
    assert page.source.count("<figcaption>") == page.source.count("<svg") == len(drawn)


def test_no_customer_is_on_the_page(page: Page) -> None:
    assert "customer-0" not in page.source
    assert not re.search(r"\b[0-9a-f]{32}\b", page.source)


def test_only_a_simulated_shop_is_marked_as_simulated(page: Page, evaluated: dict[str, Any]) -> None:
    assert page.title.startswith("SIMULATED · ") and "made up" in page.text
    assert page.source.count("SIMULATED") == 2
    assert "SIMULATED" not in evaluation_page({**evaluated, "simulated": False})


def test_every_colour_of_the_style_has_a_light_and_a_dark_value(page: Page) -> None:
    style = page.source[page.source.index("<style>") : page.source.index("</style>")]
    used = set(re.findall(r"var\((--[\w-]+)\)", page.source))
    dark = "".join(
        re.findall(r"@media \(prefers-color-scheme: dark\) \{\s*:root \{(.*?)\}", style, re.DOTALL)
    )
    for name in used:
        assert f"{name}:" in dark, f"{name} has no dark colour"
        assert style.count(f"{name}:") == 2, f"{name} is not there once for each"


def test_text_from_outside_is_escaped(whole: dict[str, Any]) -> None:
    altered = deepcopy(whole)
    altered["shop"] = EVIL
    altered["tasks"]["value_tier_6m"]["refused"] = f"{EVIL}; {EVIL}"
    altered["tasks"]["buys_30d"]["note"] = EVIL
    altered["tasks"]["buys_30d"]["classes"] = [EVIL, EVIL]
    altered["segments"]["segments"][0]["name"] = EVIL
    altered["segments"]["past"]["refused"] = EVIL
    altered["value"]["question"] = altered["value"]["note"] = altered["value"]["rfm_score"]["value_by"] = EVIL
    altered["value"]["left_out"] = {EVIL: EVIL}
    page = Page(evaluation_page(altered))
    charts(page)
    assert "script" not in page.tags and "<script" not in page.source
    assert page.sections["asked"].count(EVIL) == 3, "shop, what would be enough, question of value"
    assert page.sections["value_tier_6m"].count(EVIL) == 2


def test_a_further_section_needs_only_a_function(
    evaluated: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def weather(found: Any) -> Markup:
        return Markup("<section>{}</section>").format(found["weather"]) if "weather" in found else Markup()

    monkeypatch.setattr(module, "SECTIONS", (*module.SECTIONS, weather))
    assert "<section>rain</section>" in evaluation_page({**evaluated, "weather": "rain"})
    assert "rain</section>" not in evaluation_page(evaluated)


def test_pages_are_listed_newest_first_and_a_partial_page_does_not_replace_the_whole(
    evaluated: dict[str, Any], tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, _env_file=None)
    build_docs(settings)
    whole = publish_evaluation(settings, evaluated)
    asked = {**evaluated, "asked": list(evaluated["tasks"]), "balance": "weights"}
    some = [
        publish_evaluation(settings, {**evaluated, "as_of": "2012-01-31"}),
        publish_evaluation(settings, {**evaluated, "as_of": "2011-11-30"}),
        publish_evaluation(settings, {**asked, "tasks": {"buys_30d": evaluated["tasks"]["buys_30d"]}}),
    ]
    site = tmp_path / "published" / "evaluations"
    assert whole == site / "2011-12-09.html" and some[2] == site / "2011-12-09.buys_30d.weights.html"
    index = Page((site / "index.html").read_text(encoding="utf-8"))
    assert index.addresses == [
        "../data_docs/index.html",
        *("2012-01-31.html", "2011-12-09.html", "2011-12-09.buys_30d.weights.html", "2011-11-30.html"),
    ]
    assert "buys_30d, weights" in index.text and "SIMULATED" in index.title
    assert all((site / address).is_file() for address in index.addresses)
    assert {path.suffix for path in site.iterdir()} == {".html"}, "nothing half written is left"


def test_the_data_docs_link_to_the_evaluations_once_any_exist(
    evaluated: dict[str, Any], tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, _env_file=None)
    assert Page(build_docs(settings).read_text()).addresses == []
    before = Page(publish_evaluation(settings, evaluated).read_text())
    assert "../data_docs/index.html" in before.addresses
    assert Page(build_docs(settings).read_text()).addresses == ["../evaluations/index.html"]


def test_without_data_docs_nothing_links_to_them(evaluated: dict[str, Any], tmp_path: Path) -> None:
    page = publish_evaluation(Settings(home=tmp_path, _env_file=None), evaluated)
    for path in (page, page.with_name("index.html")):
        assert "data_docs" not in path.read_text(encoding="utf-8")


def test_an_installed_package_has_every_template() -> None:
    package_data = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "package-data"
    ]
    package = PROJECT / "pipeline" / "pages"
    templates = [path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    assert len(templates) > 3
    for path in templates:
        name = str(path.relative_to(package))
        assert any(fnmatch(name, pattern) for pattern in package_data["pipeline.pages"]), name


def test_the_gain_in_words_equals_that_of_the_curve(evaluated: dict[str, Any]) -> None:
    altered = deepcopy(evaluated)
    task = altered["tasks"]["buys_30d"]
    task["curves"][task["champion"]]["gain"] = [[0, 0], [0.2, 0.4], [0.3, 0.6], [1, 1]]
    page = Page(evaluation_page(altered))
    assert f"quarter of the customers by {task['champion']} reaches 50 % of all 'yes'" in page.text
