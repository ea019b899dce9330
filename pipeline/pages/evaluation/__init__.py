"""The page of an evaluation: one HTML file that needs no network and no script, beside the Data Docs.

A page is a list of sections; each takes what was found and gives a part of the page, or nothing where what
it shows was not asked. Figures come from `found` alone, so a page shows what `--json` prints. The sections
that are more than a table have a module each: `questions`, `segments`, `value`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from goodstanding.core.settings import Settings
from pipeline.pages.cannot_tell import cannot_tell
from pipeline.pages.evaluation.questions import decisions, questions
from pipeline.pages.evaluation.segments import segments
from pipeline.pages.evaluation.value import value
from pipeline.pages.page import draw, write_page

Found = Mapping[str, Any]


def publish_evaluation(settings: Settings, found: Found) -> Path:
    """Write the page of an evaluation, and the index of all pages anew; both appear by rename.

    One page per as_of; where only some tasks were asked or the classes balanced, a page of its own, so that
    it does not stand in for the whole.
    """
    site = settings.evaluations
    page = site / f"{'.'.join(_name(found))}.html"
    has_data_docs = (settings.published / "data_docs" / "index.html").exists()
    write_page(page, evaluation_page(found, has_data_docs))
    index = site / "index.html"
    named = sorted(path.stem.split(".") for path in site.glob("*.html") if path != index)
    newest_first = sorted(named, key=lambda name: name[0], reverse=True)
    write_page(
        index,
        draw(
            "evaluations.html",
            pages=[(f"{'.'.join(name)}.html", name[0], name[1:]) for name in newest_first],
            simulated=found["simulated"],
            has_data_docs=has_data_docs,
        ),
    )
    return page


def _name(found: Found) -> list[str]:
    some = list(found["tasks"]) if found["asked"] else []
    return [found["as_of"], *some, *([found["balance"]] if found["balance"] else [])]


def evaluation_page(found: Found, has_data_docs: bool = False) -> str:
    """The whole page of what `pipeline.evaluation.run_evaluation` found."""
    page = draw(
        "evaluation.html",
        found=found,
        simulated=found["simulated"],
        sections=[part for section in SECTIONS if (part := section(found))],
        has_data_docs=has_data_docs,
    )
    return str(page)


def _asked(found: Found) -> Markup:
    """What was asked of which orders, and the answers in one table."""
    methods = found["methods"].values()
    kinds = {kind: sum(method["kind"] == kind for method in methods) for kind in ("challenger", "baseline")}
    return draw("asked.html", found=found, kinds=kinds)


def _cannot_tell(found: Found) -> Markup:
    """What this shop's data cannot tell."""
    return draw("cannot_tell.html", remarks=cannot_tell(found))


SECTIONS: tuple[Callable[[Found], Markup | None], ...] = (
    _asked,
    questions,
    decisions,
    segments,
    value,
    _cannot_tell,
)
