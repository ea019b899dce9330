"""Gives the reasons of an answer as sentences: what cost the customer points, and why the class changed.

Points are added up, so a characteristic costs the points between its bin and its best bin: with a value of
the best bin the same customer would score that many points more. The characteristic that costs most is named
first, like the "principal reasons" of Regulation B.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple, TypedDict

from goodstanding.core.vocabulary import CLASSES
from goodstanding.decisions.scorecard import Bin, Characteristic, Scorecard, Value

# Significant digits of a number in a sentence: the first that keep a value and a bin's border apart.
DIGITS = (4, 6, 9, 17)
Measure = Literal["recency", "frequency", "monetary"]
MEASURES: tuple[Measure, ...] = ("recency", "frequency", "monetary")
# By measure, and by "credit_score": the quantiles .25, .50 and .75 over all customers of a day.
Borders = Mapping[str, Sequence[float]]
WINDOW = re.compile(r"_(\d+)([md])$")
# Characteristics whose names do not read as words.
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

# What a scorecard rests on, by the names of its characteristics; the first pattern that matches counts.
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
    (re.compile(r"^weight$|^payment_type: |^channel: "), "the order itself"),
    (re.compile(""), "earlier orders"),
)


class Measures(TypedDict, total=False):
    """The RFM measures of a customer; None where no order counts, and no key where there is no profile."""

    recency: float | None
    frequency: float | None
    monetary: float | None


# `class` is a keyword, so these two cannot be written as classes.
MonthEnd = TypedDict(
    "MonthEnd",
    {
        "class": str,
        # the last day of that month, as ISO 8601
        "as_of": str,
        "recency": float | None,
        "frequency": float | None,
        "monetary": float | None,
    },
)
ClassMove = TypedDict(
    "ClassMove",
    {
        "from": str,
        "to": str,
        # the end of last month, as ISO 8601
        "since": str,
        "cause": Literal["own_behaviour", "borders", "both"],
        "sentence": str,
    },
)


class BinEnds(TypedDict):
    """The values of a bin: above `above` and up to `up_to` (None: no end), or the missing values."""

    above: float | None
    up_to: float | None
    is_missing: bool


class PointsLost(TypedDict):
    """A `Loss` as JSON: the customer's value and points, and the points and values of the best bin."""

    characteristic: str
    value: Value
    points: int
    best_points: int
    best: BinEnds


class Move(NamedTuple):
    """Another bin of a characteristic: how many bins away it is, its nearest value, and the bin."""

    bins_away: int
    value: float
    bin: Bin


@dataclass(frozen=True)
class Loss:
    """What a characteristic costs: `lost` = `best.points` - `points`, above 0."""

    name: str
    value: Value
    points: int
    best: Bin

    @property
    def lost(self) -> int:
        """The points that a value of the best bin would add."""
        return self.best.points - self.points

    def sentence(self) -> str:
        """Such as: The return rate is 0.38, which gives 150 points fewer than 0.1 or less would."""
        digits = next(digits for digits in DIGITS if digits == DIGITS[-1] or self._is_apart(digits))
        verb = "is not known" if _is_missing(self.value) else f"is {shown(self.value, digits)}"
        fewer = f"which gives {self.lost} points fewer than {bin_text(self.best, digits)} would"
        return _begin(f"{label(self.name)} {verb}, {fewer}.")

    def _is_apart(self, digits: int) -> bool:
        """Whether the value, written with so many digits, still lies outside the best bin."""
        if _is_missing(self.value):
            return True
        above, up_to = (end and _as_shown(end, digits) for end in (self.best.above, self.best.up_to))
        return not Bin(0, above, up_to, self.best.is_missing).holds(_as_shown(self.value, digits))

    def to_json(self) -> PointsLost:
        """Plain values, as an answer shows them."""
        best = self.best
        return PointsLost(
            characteristic=self.name,
            value=None if _is_missing(self.value) else self.value,
            points=self.points,
            best_points=best.points,
            best=BinEnds(above=best.above, up_to=best.up_to, is_missing=best.is_missing),
        )


def grounds(card: Scorecard) -> str:
    """The kinds of facts in a scorecard, such as: the RFM credit score and return behaviour."""
    matched = {
        next(ground for pattern, ground in GROUNDS if pattern.search(characteristic.name))
        for characteristic in card.characteristics
    }
    *others, last = [ground for _, ground in GROUNDS if ground in matched]
    return f"{', '.join(others)} and {last}" if others else last


def losses(card: Scorecard, values: Mapping[str, Value]) -> list[Loss]:
    """What lowers a score, the most costly first; of equal ones in the order of the scorecard.

    A characteristic counts only if its best bin would raise the score: one whose points the ends of the scale
    would cut off is left out.
    """
    points = card.points(values)
    total = card.base_points + sum(points.values())
    score = card.clamped(total)
    losses_of_card = [
        Loss(
            characteristic.name,
            values.get(characteristic.name),
            points[characteristic.name],
            characteristic.best,
        )
        for characteristic in card.characteristics
        if card.clamped(total + characteristic.best.points - points[characteristic.name]) > score
    ]
    return sorted(losses_of_card, key=lambda loss: -loss.lost)


def changes(characteristic: Characteristic, value: Value) -> list[Move]:
    """Every other bin of a characteristic, the nearest first.

    A missing value lies one bin away from each bin; a known value cannot become missing.
    """
    bins = [bin_ for bin_ in characteristic.bins if not bin_.is_missing]
    here = next((place for place, bin_ in enumerate(bins) if bin_.holds(value)), None)
    moves = []
    for place, bin_ in enumerate(bins):
        if place != here:
            bins_away = 1 if here is None else abs(place - here)
            is_higher = here is None or place > here
            moves.append(Move(bins_away, _nearest(bin_, is_higher), bin_))
    return sorted(moves, key=lambda move: (move.bins_away, move.bin.points))


def _nearest(bin_: Bin, is_higher: bool) -> float:
    """A bin's value that is nearest to the bins below it (or above it); a whole number where one fits."""
    if not is_higher or bin_.above is None:
        return bin_.up_to if bin_.up_to is not None else 0.0
    whole = math.floor(bin_.above) + 1.0
    return whole if bin_.holds(whole) else math.nextafter(bin_.above, math.inf)


def class_move(
    customer_class: str | None, measures: Measures, before: MonthEnd | None, borders: Borders | None
) -> ClassMove | None:
    """Why the class differs from last month's end; None where it does not, or where one of them is not known.

    The customer's measures of today are put into the borders of that day. A class that changes already by
    this changed by the customer's own behaviour. The rest is due to the borders, which are the quartiles of
    all customers.

    Args:
        customer_class: of today; None where the customer has none.
        measures: of today.
        before: class and measures at the end of last month.
        borders: of that day.
    """
    if not before or not borders or not customer_class or customer_class == before["class"]:
        return None
    by_old_borders = class_by(measures, borders)
    cause: Literal["own_behaviour", "borders", "both"]
    if by_old_borders == before["class"]:
        cause, why = "borders", "only the borders between the classes moved"
    else:
        changed = [
            f"{measure} from {_shown_or_none(before[measure])} to {_shown_or_none(measures[measure])}"
            for measure in MEASURES
            if measures[measure] != before[measure]
        ]
        own = f"the customer's own behaviour did it ({', '.join(changed)})"
        if by_old_borders == customer_class:
            cause, why = "own_behaviour", own
        else:
            cause = "both"
            why = f"{own}, by which alone it would be {by_old_borders}, and the borders moved as well"
    old, since = before["class"], before["as_of"]
    sentence = f"The class has moved from {old} to {customer_class} since {since}: {why}."
    return {"from": old, "to": customer_class, "since": since, "cause": cause, "sentence": sentence}


def class_by(measures: Measures, borders: Borders) -> str:
    """The class of measures by given borders, as the marts compute it (macro quartile_score).

    Who has no order that counts has no recency, and is in the lowest class by rule.
    """
    quarters = {}
    for measure in MEASURES:
        value = measures[measure]
        if value is None:
            return CLASSES[0]
        quarters[measure] = _quarter(float(value), borders[measure])
    credit_score = (5 - quarters["recency"]) + quarters["frequency"] + quarters["monetary"]
    return CLASSES[_quarter(credit_score, borders["credit_score"]) - 1]


def _quarter(value: float, borders: Sequence[float]) -> int:
    return 1 + sum(value > border for border in borders)


def bin_text(bin_: Bin, digits: int = 4) -> str:
    """The values of a bin in words: `0.1 or less`, `more than 4 and up to 6`."""
    above, up_to = (None if end is None else shown(end, digits) for end in (bin_.above, bin_.up_to))
    if bin_.is_missing:
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


def shown(value: float | Decimal | str | None, digits: int = 4) -> str:
    """A number as people write it: so many significant digits, from 1,000 on at least two decimals."""
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:,.{max(2, digits - 4)}f}"
    return f"{int(value):,}" if isinstance(value, int | float) else str(value)


def _as_shown(value: Value, digits: int) -> float:
    return float(shown(value, digits).replace(",", ""))


def _is_missing(value: Value) -> bool:
    return value is None or math.isnan(value)


def _shown_or_none(value: float | None) -> str:
    return "none" if value is None else shown(value)


def _begin(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
