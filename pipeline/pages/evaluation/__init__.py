"""Draws the page of an evaluation: one HTML file that needs no network and no script, beside the Data Docs.

A page is a list of sections. Each is drawn from the report of the evaluation alone, so that the page shows
what `--json` prints, and is empty where its question was not evaluated. The sections that are more than a
table have a module each: `questions`, `segments`, `value`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from markupsafe import Markup

from goodstanding.core.settings import Settings
from pipeline.pages.evaluation.questions import decisions, questions
from pipeline.pages.evaluation.remarks import cannot_tell
from pipeline.pages.evaluation.report import EvaluationReport
from pipeline.pages.evaluation.segments import segments
from pipeline.pages.evaluation.value import value
from pipeline.pages.page import draw, write_page


def publish_evaluation(settings: Settings, report: EvaluationReport) -> Path:
    """Write the page of an evaluation, and the index of all pages; both appear by rename.

    One page per as_of; where only some tasks were asked or the classes balanced, a page of its own, so that
    it does not stand in for the whole.
    """
    site = settings.evaluations
    page = site / f"{'.'.join(_name(report))}.html"
    has_data_docs = (settings.published / "data_docs" / "index.html").exists()
    write_page(page, evaluation_page(report, has_data_docs))
    index = site / "index.html"
    named = sorted(path.stem.split(".") for path in site.glob("*.html") if path != index)
    newest_first = sorted(named, key=lambda name: name[0], reverse=True)
    write_page(
        index,
        draw(
            "evaluations.html",
            pages=[(f"{'.'.join(name)}.html", name[0], name[1:]) for name in newest_first],
            simulated=report["simulated"],
            has_data_docs=has_data_docs,
        ),
    )
    return page


def _name(report: EvaluationReport) -> list[str]:
    decisions = report.get("decisions")
    measured = [*report["tasks"], *(decisions["tasks"] if decisions else [])]
    some = measured if report["asked"] else []
    return [report["as_of"], *some, *([report["balance"]] if report["balance"] else [])]


def evaluation_page(report: EvaluationReport, has_data_docs: bool = False) -> str:
    """The page as HTML."""
    page = draw(
        "evaluation.html",
        found=report,
        simulated=report["simulated"],
        sections=[part for section in SECTIONS if (part := section(report))],
        has_data_docs=has_data_docs,
    )
    return str(page)


def _asked(report: EvaluationReport) -> Markup:
    """The section on what was asked, of which orders, with the answers in one table."""
    methods = report["methods"].values()
    kinds = {kind: sum(method["kind"] == kind for method in methods) for kind in ("challenger", "baseline")}
    return draw("asked.html", found=report, kinds=kinds)


def _cannot_tell(report: EvaluationReport) -> Markup:
    """The section on what this shop's data cannot show."""
    return draw("cannot_tell.html", remarks=cannot_tell(report))


SECTIONS: tuple[Callable[[EvaluationReport], Markup | None], ...] = (
    _asked,
    questions,
    decisions,
    segments,
    value,
    _cannot_tell,
)
