"""The Data Docs site is complete without a network, shows the results, and rewrites only changed pages."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from goodstanding.core.days import Days
from goodstanding.core.errors import GateFailed
from goodstanding.core.vocabulary import GATES
from pipeline.pages.data_docs import TITLES, build_docs


class Page(HTMLParser):
    """The text, tags, links and loaded resources of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words, self.tags, self.links, self.loaded = "", [], [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "data", "action", "poster") or (name == "href" and tag != "a"):
                self.loaded.append(value)
            elif name == "href":
                self.links.append(value)

    def handle_data(self, data):
        if self.lasttag != "style":
            self.words += data


@pytest.fixture
def site(warehouse, judge, settings) -> Path:
    """The site after four passed gates on a good day and one failed gate on the day before."""
    for gate in GATES:
        judge(gate)
    warehouse.execute("update intake.raw.order_lines set quantity = 2000000 where line_number = 7")
    with pytest.raises(GateFailed):
        judge("raw_orders", Days.parse("2011-03-08"))
    return build_docs(settings)


def test_every_page_is_complete_without_network(site):
    pages = [site, *site.parent.glob("*/*.html")]
    assert len(pages) == 6
    for path in pages:
        page = Page(path)
        assert page.loaded == [] and "script" not in page.tags and "link" not in page.tags
        assert not re.search(r"https?://|url\(|@import", page.source)
        assert all((path.parent / link).is_file() for link in page.links), page.links


def test_the_index_shows_every_gate_and_run_with_its_verdict(site):
    index = Page(site)
    assert site.name == "index.html"
    assert all(title in index.words for title in TITLES.values())
    assert "5 validation results, 1 of them failed" in index.words
    assert index.words.count("✓ passed") == 4 and index.words.count("✗ failed") == 1
    assert {f"{gate}/2011-03-09.html" for gate in GATES} <= set(index.links)
    assert "23 of 24, 125 rows" in index.words and "24 of 24, 126 rows" in index.words


def test_a_result_page_lists_every_expectation_with_its_observation(site):
    page = Page(site.parent / "raw_orders" / "2011-03-08.html")
    assert page.words.count("✓ passed") == 23
    assert "no cancellation has a price below zero" in page.words
    assert "quantity values must be greater than or equal to -1,000,000" in page.words
    for text in ("2 to 2,000,000", "1 of 120", "2011-03-08.csv:7", "expect_column_values_to_be_between"):
        assert text in page.words


def test_only_what_changed_is_written_again(site, judge, settings):
    pages = {path: path.stat().st_mtime_ns for path in site.parent.glob("*/*.html")}
    judge("scores", run_id="run 2")
    build_docs(settings)
    changed = {path.name for path, before in pages.items() if path.stat().st_mtime_ns != before}
    assert changed == {"2011-03-09.html"}
    assert "run 2" in Page(site.parent / "scores" / "2011-03-09.html").words


def test_pages_of_dropped_results_are_removed(site, settings):
    (settings.home / "checks" / "scores" / "2011-03-09.json").unlink()
    build_docs(settings)
    assert not (site.parent / "scores" / "2011-03-09.html").exists()
    assert "scores/2011-03-09.html" not in Page(site).links


def test_text_from_outside_is_escaped(judge, settings):
    judge("scores", run_id="<script>alert(1)</script>")
    page = Page(build_docs(settings).parent / "scores" / "2011-03-09.html")
    assert "script" not in page.tags and "<script>alert(1)</script>" in page.words


def test_a_simulated_shop_is_marked(warehouse, judge, settings):
    warehouse.execute("update intake.raw.days set simulated = true")
    judge("raw_orders")
    index = build_docs(settings)
    assert "simulated" in Page(index).words
    assert "simulated" in Page(index.parent / "raw_orders" / "2011-03-09.html").words


def test_before_the_first_gate_the_index_says_so(settings):
    assert "No gate has run yet" in Page(build_docs(settings)).words
