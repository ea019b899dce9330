"""Remarks for the reader of an evaluation on what this shop's data cannot show, one function each.

A remark says what the data cannot show, and why. A function returns None where it does not apply to this
shop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from math import sqrt

from ml.cards import CutResult
from ml.lifetime.spend import MOST_CORRELATED
from ml.side_by_side import TaskResult
from ml.value import COVERAGE, ValueCutResult
from pipeline.pages.evaluation.report import EvaluationReport, figure
from pipeline.pages.words import what_is_enough

# A season has been seen twice once two of its years are in the data.
TWO_YEARS = timedelta(days=730)
TEST_CUTS = 3
# Intervals whose coverage is this far from what they state cannot be used for planning.
FAR_OFF = 0.05

Remark = tuple[str, str]


def cannot_tell(report: EvaluationReport) -> list[Remark]:
    """The remarks that hold, in the order of `REMARKS`."""
    return [remark for ask in REMARKS if (remark := ask(report))]


def is_formula(task: TaskResult) -> bool:
    """Whether the label is a formula of the same day's figures (the folds are of one day): no forecast."""
    return bool(task["cuts"]) and task["cuts"][0]["train_cut"] == task["cuts"][0]["test_cut"]


def _answered(report: EvaluationReport) -> Iterable[tuple[str, TaskResult]]:
    """Questions about what customers did next that were answered."""
    return ((name, task) for name, task in report["tasks"].items() if task["cuts"] and not is_formula(task))


def refused_questions(report: EvaluationReport) -> Remark | None:
    """Questions for which the history is too short or a class too rare."""
    reasons = {name: task["refused"] for name, task in report["tasks"].items()}
    for name, part in (("segments", report.get("segments")), ("value", report.get("value"))):
        reasons[name] = part["refused"] if part else None
    said = [f"{name} ({what_is_enough(reason)[1] or reason})" for name, reason in reasons.items() if reason]
    return ("These questions, so far", f"{'; '.join(said)}.") if said else None


def few_cuts(report: EvaluationReport) -> Remark | None:
    """Questions measured at fewer cuts than the protocol asks for: the result may only show the season."""
    said = [f"{name} ({task['note']})" for name, task in _answered(report) if len(task["cuts"]) < TEST_CUTS]
    why = f"{'; '.join(said)}. A result from few cuts may only show the season."
    return ("Whether a result holds from month to month", why) if said else None


def moving_shares(report: EvaluationReport) -> Remark | None:
    """A share that moved between a train cut and its test cut by more than chance (two standard errors)."""
    said = []
    for name, task in _answered(report):
        moves = [
            (abs(after - before), before, after, f"'{of_class}' by {cut['test_cut']}")
            for cut in task["cuts"]
            for of_class, before, after in zip(
                task["classes"], cut["train_shares"], cut["shares"], strict=True
            )
            if abs(after - before) > 2 * _standard_error(cut, before, after)
        ]
        if moves:
            # of two classes both move as much: the last is the one that is asked for
            _, before, after, where = max(reversed(moves), key=lambda move: round(move[0], 5))
            said.append(f"{name} {before:.3f} to {after:.3f} ({where})")
    why = (
        "Between a train cut and its test cut the share of a class moved by more than chance, at most: "
        f"{'; '.join(said)}. A probability learned at the train cut is off by as much at the test cut, for "
        "every method, and the cuts do not show in which direction the share moves next."
    )
    return ("How many customers it will be", why) if said else None


def _standard_error(cut: CutResult, before: float, after: float) -> float:
    return sqrt(
        before * (1 - before) / cut["train_customers"] + after * (1 - after) / max(cut["customers"], 1)
    )


def one_year(report: EvaluationReport) -> Remark | None:
    """Fewer than two years of orders."""
    first, last = date.fromisoformat(report["first_day"]), date.fromisoformat(report["as_of"])
    if last - first >= TWO_YEARS:
        return None
    why = (
        f"The orders span {(last - first).days + 1:,} days; no season has been seen twice, so no probability "
        "can be recalibrated on the same season of another year. "
        f"Orders up to {first + TWO_YEARS} would allow it."
    )
    return "The effect of the season", why


def nothing_beyond_the_baseline(report: EvaluationReport) -> Remark | None:
    """Questions where the champion is the baseline."""
    said = []
    for name, task in _answered(report):
        gains = {method: task["gains"][method] for method in task["p_holm"]}
        if gains and task["champion"] == task["baseline"]:
            nearest = max(gains, key=lambda method: gains[method][0])
            value, low, high = gains[nearest]
            said.append(
                f"{name} (of {len(gains)} trained methods the nearest is {nearest}, AUC {value:+.4f} "
                f"[{low:+.4f}, {high:+.4f}] over {task['baseline']})"
            )
    why = (
        f"{'; '.join(said)}. What else distinguishes these customers is not in the order log, or shows only "
        "with more customers."
    )
    return ("More than a baseline does", why) if said else None


def no_better_than_the_majority(report: EvaluationReport) -> Remark | None:
    """Questions where the champion is right no more often than the commonest class."""
    said = []
    for name, task in _answered(report):
        right = figure(task, task["champion"], "accuracy")
        majority = figure(task, task["champion"], "majority")[0]
        if right[1] <= majority:
            said.append(f"{name} ({right[0]:.3f}, and {majority:.3f} for the commonest class)")
    why = (
        f"{'; '.join(said)}. The champion ranks customers usefully, but its likeliest "
        "class is right no more often than the commonest class, always chosen."
    )
    return ("Which customers exactly", why) if said else None


def no_drop_out(report: EvaluationReport) -> Remark | None:
    """Count models that fit as well where nobody ever leaves."""
    said: dict[str, list[str]] = {}
    for name, task in _answered(report):
        for method, remark in task["remarks"].items():
            said.setdefault(f"{method}: {remark}", []).append(name)
    cuts = _cuts_of_value(report)
    if never := sum(cut["count_model"] == "nbd" for cut in cuts):
        said[f"pareto_nbd: no drop-out identifiable in {never} of {len(cuts)} cuts"] = ["value"]
    listed = "; ".join(f"{remark} ({', '.join(names)})" for remark, names in said.items())
    why = f"{listed}. A customer who has left cannot be distinguished from one who orders rarely."
    return ("Who has left for good", why) if said else None


def _cuts_of_value(report: EvaluationReport) -> Sequence[ValueCutResult]:
    value = report.get("value")
    return value["cuts"] if value else ()


def value_hangs_on_number(report: EvaluationReport) -> Remark | None:
    """Cuts at which number and mean value of orders go together, so that Gamma-Gamma does not hold."""
    said = [
        f"{cut['value_correlation']:+.2f} ({cut['cut']})"
        for cut in _cuts_of_value(report)
        if abs(cut["value_correlation"]) > MOST_CORRELATED
    ]
    why = (
        f"The number of orders and their mean value correlate at {', '.join(said)}. Gamma-Gamma assumes them "
        f"independent; {MOST_CORRELATED} at most would be close enough. Spend is forecast by the simple "
        "methods alone."
    )
    return ("What a lifetime model would say of value", why) if said else None


def coverage_moved(report: EvaluationReport) -> Remark | None:
    """Intervals of spend that, at the last cut, held far fewer or more customers than they say."""
    cuts = _cuts_of_value(report)
    if not cuts or not cuts[-1]["coverage"]:
        return None
    held, low, high = cuts[-1]["coverage"]
    if abs(held - COVERAGE) <= FAR_OFF or low <= COVERAGE <= high:
        return None
    why = (
        f"In the window after {cuts[-1]['cut']} intervals of {COVERAGE * 100:g} % held {held * 100:.1f} % "
        f"[{low * 100:.1f}, {high * 100:.1f}] of the customers. Their level was learnt on the "
        "window before it, and the next may differ as much."
    )
    return "How far off the spend of a customer may be", why


def returns_are_a_proxy(report: EvaluationReport) -> Remark | None:
    """The label of returns, and whether it stands for refusals, too."""
    decisions = (report.get("decisions") or {"tasks": {}})["tasks"]
    if "cod_refused" in decisions:
        why = (
            "returns_60d counts cancellation lines of products, of parcels refused at the door, too: "
            "cod_refused and cod separate the two."
        )
    else:
        why = (
            "returns_60d counts cancellation lines of products, a proxy: the order log knows no parcel, no "
            "reason, and no delivery that was refused at the door."
        )
        if "cod" in decisions:
            why += " Without reports of refusals, the scorecard of cash on delivery learns the same label."
    return ("What was returned", why) if "returns_60d" in dict(_answered(report)) else None


def formula_is_no_future(report: EvaluationReport) -> Remark | None:
    """The question that looks at no future."""
    said = [name for name, task in report["tasks"].items() if is_formula(task)]
    why = (
        f"{', '.join(said)}: however high, an accuracy here says only how well a method copies the borders "
        "that made the label."
    )
    return ("Anything about customers from the formula", why) if said else None


REMARKS: tuple[Callable[[EvaluationReport], Remark | None], ...] = (
    refused_questions,
    few_cuts,
    one_year,
    moving_shares,
    nothing_beyond_the_baseline,
    no_better_than_the_majority,
    no_drop_out,
    value_hangs_on_number,
    coverage_moved,
    returns_are_a_proxy,
    formula_is_no_future,
)
