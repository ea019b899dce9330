"""Reasons: what a score lost and against what, and why a class moved, in plain sentences that are true.

Points are added up, so a characteristic costs the points between its bin and its best one: with a value of
the best bin the same customer scores so many points more. Characteristics that cost most are named first
(the order of regulation B's "principal reasons").
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from goodstanding.core.vocabulary import CLASSES
from goodstanding.decisions.scorecard import Bin, Characteristic, Scorecard, Value

# of a number in a sentence: more where value and border would else look the same
DIGITS = (4, 6, 9, 17)
MEASURES = ("recency", "frequency", "monetary")
WINDOW = re.compile(r"_(\d+)([md])$")
# names that do not read as words
LABELS = {
    "basket": "the basket",
    "recency_days": "the time since the last order in days",
    "tenure_days": "the time since the first order in days",
    "days_since_return": "the time since the last return in days",
    "mean_gap_days": "the mean time between orders in days",
    "mean_lines": "the mean number of lines of an order",
    "days_since_cancellation": "the time since the last cancellation in days",
    "cancelled_lines_rate": "the rate of cancelled lines to orders",
    "credit_score": "the RFM credit score",
    "r_score": "the recency score",
    "f_score": "the frequency score",
    "m_score": "the monetary score",
}

# what a card rests on, by the names of its characteristics; the first that matches
GROUNDS = (
    (re.compile(r"^([rfm]|credit)_score$"), "the RFM credit score"),
    (re.compile(r"return|cancel|refus"), "return behaviour"),
    (
        re.compile(
            r"instalment|late$|paid|on_time|utilisation|credit_limit|outstanding|^orders_(e|auto|on)_"
        ),
        "payment behaviour",
    ),
    (re.compile(r"^basket$"), "the basket"),
    (re.compile(""), "earlier orders"),
)


@dataclass(frozen=True)
class Loss:
    """What a characteristic costs: `lost` = `best.points` - `points`, above 0."""

    name: str
    value: Value
    points: int
    best: Bin

    @property
    def lost(self) -> int:
        """Points that a value of the best bin would add."""
        return self.best.points - self.points

    def sentence(self) -> str:
        """Such as: The return rate is 0.38, which gives 150 points fewer than 0.1 or less would."""
        digits = next(digits for digits in DIGITS if digits == DIGITS[-1] or self._is_apart(digits))
        verb = "is not known" if _is_missing(self.value) else f"is {shown(self.value, digits)}"
        fewer = f"which gives {self.lost} points fewer than {bin_text(self.best, digits)} would"
        return _begin(f"{label(self.name)} {verb}, {fewer}.")

    def _is_apart(self, digits: int) -> bool:
        """Whether value and best bin, written with so many digits, are still apart."""
        if _is_missing(self.value):
            return True
        above, up_to = (end and _as_shown(end, digits) for end in (self.best.above, self.best.up_to))
        return not Bin(0, above, up_to, self.best.is_missing).holds(_as_shown(self.value, digits))

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the best bin's ends."""
        return {
            "characteristic": self.name,
            "value": None if _is_missing(self.value) else self.value,
            "points": self.points,
            "best_points": self.best.points,
            "best": {
                "above": self.best.above,
                "up_to": self.best.up_to,
                "is_missing": self.best.is_missing,
            },
        }


def grounds(card: Scorecard) -> str:
    """What a card rests on, such as: the RFM credit score and return behaviour."""
    matched = {
        next(ground for pattern, ground in GROUNDS if pattern.search(each.name))
        for each in card.characteristics
    }
    *others, last = [ground for _, ground in GROUNDS if ground in matched]
    return f"{', '.join(others)} and {last}" if others else last


def losses(card: Scorecard, values: Mapping[str, Value]) -> list[Loss]:
    """What lowers the score, most first; among equals in the order of the card.

    Only what does raise the score once it is mended: not what the limits of the scale would swallow.
    """
    points = card.points(values)
    total = card.base_points + sum(points.values())
    found = [
        Loss(each.name, values.get(each.name), points[each.name], each.best)
        for each in card.characteristics
        if card.clamped(total + each.best.points - points[each.name]) > card.clamped(total)
    ]
    return sorted(found, key=lambda loss: -loss.lost)


def changes(each: Characteristic, value: Value) -> list[tuple[int, float, Bin]]:
    """Every other bin of a characteristic, the nearest first: bins away, the nearest value in it, the bin.

    A value that is missing lies one bin away from each; nothing can become missing.
    """
    bins = [one for one in each.bins if not one.is_missing]
    here = next((number for number, one in enumerate(bins) if one.holds(value)), None)
    found = []
    for number, one in enumerate(bins):
        if number != here:
            away = 1 if here is None else abs(number - here)
            is_higher = here is None or number > here
            found.append((away, _nearest(one, is_higher), one))
    return sorted(found, key=lambda change: (change[0], change[2].points))


def _nearest(one: Bin, is_higher: bool) -> float:
    """The value of a bin that lies nearest to those below it, or above it; a whole number where one does."""
    if not is_higher or one.above is None:
        return one.up_to if one.up_to is not None else 0.0
    whole = math.floor(one.above) + 1.0
    return whole if one.holds(whole) else math.nextafter(one.above, math.inf)


def class_move(
    now: Mapping[str, Any], before: Mapping[str, Any] | None, borders: Mapping[str, Sequence[float]] | None
) -> dict[str, Any] | None:
    """Why the class is another than at the end of the last month; None where it is not, or none is known.

    The customer's measures of today are put into that day's borders. What class comes out tells what the
    customer's own behaviour did; what is left the borders did, which are the quarters of all customers.

    Args:
        now: class, recency, frequency and monetary of today.
        before: the same as of the end of the last month, with as_of.
        borders: of that day, per measure and for credit_score, the three quantiles.

    Returns:
        {from, to, since, cause: own_behaviour, borders or both, sentence}.
    """
    if not before or not borders or not now.get("class") or now["class"] == before["class"]:
        return None
    by_old_borders = class_by(now, borders)
    if by_old_borders == before["class"]:
        cause, why = "borders", "only the borders between the classes moved"
    else:
        changed = [
            f"{measure} from {shown(before[measure])} to {shown(now[measure])}"
            for measure in MEASURES
            if now[measure] != before[measure]
        ]
        own = f"the customer's own behaviour did it ({', '.join(changed)})"
        if by_old_borders == now["class"]:
            cause, why = "own_behaviour", own
        else:
            cause = "both"
            why = f"{own}, by which alone it would be {by_old_borders}, and the borders moved as well"
    old, new, since = before["class"], now["class"], _iso(before["as_of"])
    sentence = f"The class has moved from {old} to {new} since {since}: {why}."
    return {"from": old, "to": new, "since": since, "cause": cause, "sentence": sentence}


def class_by(measures: Mapping[str, Any], borders: Mapping[str, Sequence[float]]) -> str:
    """The class of measures by given borders, as the marts compute it (macro quartile_score)."""
    quarters = {measure: _quarter(float(measures[measure]), borders[measure]) for measure in MEASURES}
    credit_score = (5 - quarters["recency"]) + quarters["frequency"] + quarters["monetary"]
    return CLASSES[_quarter(credit_score, borders["credit_score"]) - 1]


def _quarter(value: float, borders: Sequence[float]) -> int:
    return 1 + sum(value > border for border in borders)


def bin_text(one: Bin, digits: int = 4) -> str:
    """The values of a bin in words: `0.1 or less`, `more than 4 and up to 6`."""
    above, up_to = (None if end is None else shown(end, digits) for end in (one.above, one.up_to))
    if one.is_missing:
        return "none known"
    if above is None:
        return "any other" if up_to is None else f"{up_to} or less"
    return f"more than {above}" if up_to is None else f"more than {above} and up to {up_to}"


def label(name: str) -> str:
    """A characteristic in words, like `the return rate of 6 months`."""
    window = WINDOW.search(name)
    if window:
        return f"{label(name[: window.start()])} of {window[1]} {'months' if window[2] == 'm' else 'days'}"
    return LABELS.get(name) or "the " + name.replace("_", " ")


def shown(value: Any, digits: int = 4) -> str:
    """A number as people write it, with so many digits that count, and of thousands at least the cents."""
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:,.{max(2, digits - 4)}f}"
    return f"{int(value):,}" if isinstance(value, int | float) else str(value)


def _as_shown(value: Value, digits: int) -> float:
    return float(shown(value, digits).replace(",", ""))


def _is_missing(value: Value) -> bool:
    return value is None or math.isnan(value)


def _iso(day: date | str) -> str:
    return day if isinstance(day, str) else day.isoformat()


def _begin(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
