"""Gives the reasons of an answer: what cost the customer points, and why the class changed.

Points are added up, so a characteristic costs the points between its bin and its best bin: with a value of
the best bin the same customer would score that many points more. Of each family of characteristics the one
that costs most is told, by its plain facts (`facts`), and the most costly first, like the "principal reasons"
of Regulation B.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from goodstanding.core.vocabulary import CLASSES
from goodstanding.decisions.facts import GROUNDS, Reason, is_missing, sentences, shown, told
from goodstanding.decisions.scorecard import Bin, Scorecard, Value

Measure = Literal["recency", "frequency", "monetary"]
MEASURES: tuple[Measure, ...] = ("recency", "frequency", "monetary")
# By measure, and by "credit_score": the quantiles .25, .50 and .75 over all customers of a day.
Borders = Mapping[str, Sequence[float]]


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

    def to_json(self) -> PointsLost:
        """Plain values, as an answer shows them."""
        best = self.best
        return PointsLost(
            characteristic=self.name,
            value=None if is_missing(self.value) else self.value,
            points=self.points,
            best_points=best.points,
            best=BinEnds(above=best.above, up_to=best.up_to, is_missing=best.is_missing),
        )


def grounds(card: Scorecard) -> str:
    """The kinds of facts in a scorecard, such as: the RFM credit score and return behaviour."""
    used = {told(characteristic.name).family.ground for characteristic in card.characteristics}
    *others, last = [ground for ground in GROUNDS if ground in used]
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


def reasons_of(
    points_lost: Sequence[Loss], values: Mapping[str, Value], as_of: str | None = None
) -> list[Reason]:
    """What lowers a score, one reason of each family, the most costly first.

    Args:
        points_lost: as `losses` gives them.
        values: of the customer and the basket, with the columns of the plain facts.
        as_of: the last day that the data cover.
    """
    most_costly: dict[str, Loss] = {}
    for loss in points_lost:
        most_costly.setdefault(told(loss.name).family.code, loss)
    reasons: list[Reason] = []
    for code, loss in most_costly.items():
        text, formal, fact = sentences(loss.name, values, as_of)
        reasons.append({"code": code, "text": text, "formal": formal, "fact": fact, "points": loss.lost})
    return reasons


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
            f"{measure} from {shown(before[measure])} to {shown(measures[measure])}"
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
