"""What a shop's data cannot tell: remarks computed from what an evaluation found, one function each.

A remark is what cannot be told and why, or None where it does not hold of this shop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from math import sqrt
from typing import Any

from ml.value import COVERAGE, MOST_CORRELATED
from pipeline.pages.words import what_is_enough

# A season has been seen twice once two of its years are in the data.
TWO_YEARS = timedelta(days=730)
TEST_CUTS = 3
# Intervals that hold this much less or more than they say are of no use to plan with.
FAR_OFF = 0.05

Found = Mapping[str, Any]
Task = Mapping[str, Any]
Remark = tuple[str, str]


def cannot_tell(found: Found) -> list[Remark]:
    """The remarks that hold, in the order of `REMARKS`."""
    return [remark for ask in REMARKS if (remark := ask(found))]


def is_formula(task: Task) -> bool:
    """Whether its folds are of one day, so that nothing in it lies ahead."""
    return bool(task["cuts"]) and task["cuts"][0]["train_cut"] == task["cuts"][0]["test_cut"]


def _answered(found: Found) -> Iterable[tuple[str, Task]]:
    """Questions about what customers did next, as far as there was an answer."""
    return ((name, task) for name, task in found["tasks"].items() if task["cuts"] and not is_formula(task))


def refused_questions(found: Found) -> Remark | None:
    """Questions for which the history is too short or a class too rare."""
    parts = {name: found[name] for name in ("segments", "value") if found.get(name)}
    said = [
        f"{name} ({what_is_enough(part['refused'])[1] or part['refused']})"
        for name, part in {**found["tasks"], **parts}.items()
        if part["refused"]
    ]
    return ("These questions, so far", f"{'; '.join(said)}.") if said else None


def few_cuts(found: Found) -> Remark | None:
    """Questions measured at fewer cuts than the protocol asks for: how a method fares may be the season's."""
    said = [f"{name} ({task['note']})" for name, task in _answered(found) if len(task["cuts"]) < TEST_CUTS]
    why = f"{'; '.join(said)}. What is measured at few cuts may be the season's doing."
    return ("Whether a result holds from month to month", why) if said else None


def moving_shares(found: Found) -> Remark | None:
    """A share that moved between a train cut and its test cut by more than chance (two standard errors)."""
    said = []
    for name, task in _answered(found):
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
        f"{'; '.join(said)}. A probability learned at the one is off by about as much at the other, for "
        "every method alike, and the cuts do not say which way the next move goes."
    )
    return ("How many it will be", why) if said else None


def _standard_error(cut: Mapping[str, Any], before: float, after: float) -> float:
    return sqrt(
        before * (1 - before) / cut["train_customers"] + after * (1 - after) / max(cut["customers"], 1)
    )


def one_year(found: Found) -> Remark | None:
    """Fewer than two years of orders."""
    first, last = (date.fromisoformat(found[day]) for day in ("first_day", "as_of"))
    if last - first >= TWO_YEARS:
        return None
    why = (
        f"The orders span {(last - first).days + 1:,} days; no season has been seen twice, so no probability "
        "can be recalibrated on the same season of another year. "
        f"Orders up to {first + TWO_YEARS} would allow it."
    )
    return "What the season does", why


def nothing_beyond_the_baseline(found: Found) -> Remark | None:
    """Questions where the champion is the baseline."""
    said = []
    for name, task in _answered(found):
        gains = {method: task["gains"][method] for method in task["p_holm"]}
        if gains and task["champion"] == task["baseline"]:
            nearest = max(gains, key=lambda method: gains[method][0])
            value, low, high = gains[nearest]
            said.append(
                f"{name} (of {len(gains)} trained methods the nearest is {nearest}, AUC {value:+.4f} "
                f"[{low:+.4f}, {high:+.4f}] over {task['baseline']})"
            )
    why = (
        f"{'; '.join(said)}. Whatever else sets these customers apart is not in the order log, or shows only "
        "with more customers."
    )
    return ("More than a baseline does", why) if said else None


def no_better_than_the_majority(found: Found) -> Remark | None:
    """Questions where the champion is right no more often than the commonest class."""
    said = []
    for name, task in _answered(found):
        champion = task["pooled"][task["champion"]]
        right, majority = champion["accuracy"], champion["majority"][0]
        if right[1] <= majority:
            said.append(f"{name} ({right[0]:.3f}, and {majority:.3f} for the commonest class)")
    why = (
        f"{'; '.join(said)}. The champion puts customers in a useful order, but whoever takes its likeliest "
        "class for true is right no more often than by always saying the commonest."
    )
    return ("Who exactly", why) if said else None


def no_drop_out(found: Found) -> Remark | None:
    """Count models that fit as well where nobody ever leaves."""
    said: dict[str, list[str]] = {}
    for name, task in _answered(found):
        for method, remark in task["remarks"].items():
            said.setdefault(f"{method}: {remark}", []).append(name)
    cuts = _cuts_of_value(found)
    if never := sum(cut["count_model"] == "nbd" for cut in cuts):
        said[f"pareto_nbd: no drop-out identifiable in {never} of {len(cuts)} cuts"] = ["value"]
    listed = "; ".join(f"{remark} ({', '.join(names)})" for remark, names in said.items())
    why = f"{listed}. A customer who is gone cannot be told from one who orders rarely."
    return ("Who has left for good", why) if said else None


def _cuts_of_value(found: Found) -> Sequence[Mapping[str, Any]]:
    value = found.get("value")
    return value["cuts"] if value else ()


def value_hangs_on_number(found: Found) -> Remark | None:
    """Cuts at which number and mean value of orders go together, so that Gamma-Gamma does not hold."""
    said = [
        f"{cut['value_correlation']:+.2f} ({cut['cut']})"
        for cut in _cuts_of_value(found)
        if abs(cut["value_correlation"]) > MOST_CORRELATED
    ]
    why = (
        f"The number of orders and their mean value correlate at {', '.join(said)}. Gamma-Gamma takes them "
        f"for independent; {MOST_CORRELATED} at most would be near enough. Spend is foretold in the simple "
        "ways alone."
    )
    return ("What a lifetime model would say of value", why) if said else None


def coverage_moved(found: Found) -> Remark | None:
    """Intervals of spend that, at the last cut, held far fewer or more customers than they say."""
    cuts = _cuts_of_value(found)
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


def returns_are_a_proxy(found: Found) -> Remark | None:
    """The label of returns, and whether it stands for refusals, too."""
    decisions = (found.get("decisions") or {"tasks": {}})["tasks"]
    if "cod_refused" in decisions:
        why = (
            "returns_60d counts cancellation lines of products, of parcels refused at the door, too: "
            "cod_refused and cod tell the two apart."
        )
    else:
        why = (
            "returns_60d counts cancellation lines of products, a proxy: the order log knows no parcel, no "
            "reason, and no delivery that was refused at the door."
        )
        if "cod" in decisions:
            why += " For want of refusals the scorecard of cash on delivery learns the same."
    return ("What came back", why) if "returns_60d" in dict(_answered(found)) else None


def formula_is_no_future(found: Found) -> Remark | None:
    """The question that looks at no future."""
    said = [name for name, task in found["tasks"].items() if is_formula(task)]
    why = (
        f"{', '.join(said)}: however high, an accuracy here says only how well a method copies the borders "
        "that made the label."
    )
    return ("Anything about customers from the formula", why) if said else None


REMARKS: tuple[Callable[[Found], Remark | None], ...] = (
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
