"""The result of an evaluation, as its page shows it and `goodstanding evaluate --json` prints it."""

from __future__ import annotations

from typing import NotRequired, cast

from ml.segments.study import SegmentStudy
from ml.side_by_side import Evaluation, TaskResult
from ml.value import ValueStudy


class EvaluationReport(Evaluation):
    """All methods on all tasks, and, where all tasks were asked, on decisions, segments and value too."""

    as_of: str
    """ISO date: the day as of which everything was measured."""
    first_day: str
    """ISO date of the first orders."""
    shop: str
    simulated: bool
    asked: list[str]
    """The tasks that were named; empty where all were asked."""
    decisions: NotRequired[Evaluation | None]
    """The scorecards of decisions and their rivals; None where other tasks were named, as are those below."""
    segments: NotRequired[SegmentStudy | None]
    value: NotRequired[ValueStudy | None]


def figure(task: TaskResult, method: str | None, measure: str) -> list[float]:
    """A pooled measure of a method: [value, low, high]. (Beside these a method has its confusion matrix.)"""
    return cast(list[float], task["pooled"][str(method)][measure])


class PublishedEvaluation(EvaluationReport):
    """An evaluation and its page."""

    page: str
    """The path of the page that shows it."""
