"""Gives the reasons of an answer: what cost the customer points, and why the class changed.

Points are added up, so a characteristic costs the points between its bin and its best bin: with a value of
the best bin the same customer would score that many points more. Of each family of characteristics the one
that costs most is told, by its plain facts (`facts`), and the most costly first, like the "principal reasons"
of Regulation B. A pair of characteristics that earn their points together is one reason with the facts of
both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

from goodstanding.core.vocabulary import CLASSES
from goodstanding.decisions.facts import GROUNDS, Fact, Reason, joint_sentences, sentences, shown, told
from goodstanding.decisions.scorecard import Bin, Characteristic, Pair, Scorecard, Value, is_missing

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
    """The values of a bin: above `above` and up to `up_to` (None: no end), the missing values, or levels.

    `exactly` and `levels` are there only where a bin holds one number or some levels.
    """

    above: float | None
    up_to: float | None
    is_missing: bool
    exactly: NotRequired[float]
    levels: NotRequired[list[str]]


class Together(TypedDict):
    """The second characteristic of a pair: the customer's value, and the values of the best bin."""

    characteristic: str
    value: Value
    best: BinEnds


class PointsLost(TypedDict):
    """A `Loss` as JSON: the customer's value and points, and the points and values of the best bin.

    Of a pair the points are those of both values together, and `together_with` has the second, unless another
    value of the first alone would earn the most.
    """

    characteristic: str
    value: Value
    points: int
    best_points: int
    best: BinEnds
    together_with: NotRequired[Together]


@dataclass(frozen=True)
class Part:
    """A characteristic that costs points: the customer's value, and the best bin."""

    name: str
    value: Value
    best: Bin
    is_unseen: bool = False

    @classmethod
    def of(cls, characteristic: Characteristic, values: Mapping[str, Value], best: Bin) -> Part:
        """The part of a characteristic in a loss."""
        value = values.get(characteristic.name)
        return cls(characteristic.name, value, best, characteristic.is_unseen(value))

    @property
    def known(self) -> Value:
        """The value, None where it is missing."""
        return None if is_missing(self.value) else self.value

    @property
    def ends(self) -> BinEnds:
        """The values of the best bin."""
        best = self.best
        ends = BinEnds(above=best.above, up_to=best.up_to, is_missing=best.is_missing)
        if best.exactly is not None:
            ends["exactly"] = best.exactly
        if best.levels:
            ends["levels"] = list(best.levels)
        return ends


@dataclass(frozen=True)
class Loss:
    """What a characteristic or a pair costs: `lost` = `best_points` - `points`, above 0."""

    parts: tuple[Part, ...]
    points: int
    best_points: int

    @property
    def lost(self) -> int:
        """The points that values of the best bin, or of the best cell of a pair, would add."""
        return self.best_points - self.points

    @property
    def families(self) -> tuple[str, ...]:
        """The codes of the families that it tells of."""
        return tuple(dict.fromkeys(told(part.name).family.code for part in self.parts))

    def sentences(self, values: Mapping[str, Value], as_of: str | None) -> tuple[str, str, Fact]:
        """What a clerk says of it, what a letter says, and the plain facts; see `facts.sentences`."""
        if len(self.parts) == 1:
            return sentences(self.parts[0].name, values, as_of, self.parts[0].is_unseen)
        first, second = self.parts
        unseen = {part.name for part in self.parts if part.is_unseen}
        return joint_sentences((first.name, second.name), values, as_of, unseen)

    def to_json(self) -> PointsLost:
        """Plain values, as an answer shows them."""
        first, *others = self.parts
        lost = PointsLost(
            characteristic=first.name,
            value=first.known,
            points=self.points,
            best_points=self.best_points,
            best=first.ends,
        )
        for second in others:
            lost["together_with"] = Together(characteristic=second.name, value=second.known, best=second.ends)
        return lost


def grounds(card: Scorecard) -> str:
    """The kinds of facts in a scorecard, such as: the RFM credit score and return behaviour."""
    used = {told(name).family.ground for name in card.names}
    *others, last = [ground for ground in GROUNDS if ground in used]
    return f"{', '.join(others)} and {last}" if others else last


def losses(card: Scorecard, values: Mapping[str, Value]) -> list[Loss]:
    """What lowers a score, the most costly first; of equal ones in the order of the scorecard.

    A characteristic counts only if its best bin would raise the score: one whose points the ends of the scale
    would cut off is left out.
    """
    total = card.base_points + sum(card.points(values).values())
    score = card.clamped(total)
    losses_of_card = [
        *(_loss(characteristic, values) for characteristic in card.characteristics),
        *(_loss_of_pair(pair, values) for pair in card.pairs),
    ]
    counted = [loss for loss in losses_of_card if card.clamped(total + loss.lost) > score]
    return sorted(counted, key=lambda loss: -loss.lost)


def _loss(characteristic: Characteristic, values: Mapping[str, Value]) -> Loss:
    part = Part.of(characteristic, values, characteristic.best)
    return Loss((part,), characteristic.points(part.value), part.best.points)


def _loss_of_pair(pair: Pair, values: Mapping[str, Value]) -> Loss:
    """What a pair costs; where another value of one alone would earn the most, only that one is told."""
    first, second = map(values.get, pair.names)
    row, column = pair.first.place(first), pair.second.place(second)
    most, best_first, best_second = pair.best
    parts: tuple[Part, ...] = (
        Part.of(pair.first, values, best_first),
        Part.of(pair.second, values, best_second),
    )
    if row is not None and most in pair.points[row]:
        parts = (Part.of(pair.second, values, pair.second.bins[pair.points[row].index(most)]),)
    elif column is not None and most in (of_second := [cells[column] for cells in pair.points]):
        parts = (Part.of(pair.first, values, pair.first.bins[of_second.index(most)]),)
    return Loss(parts, pair.points_of(first, second), most)


def reasons_of(
    points_lost: Sequence[Loss], values: Mapping[str, Value], as_of: str | None = None
) -> list[Reason]:
    """What lowers a score, one reason of each family, the most costly first.

    Args:
        points_lost: as `losses` gives them.
        values: of the customer and the basket, with the columns of the plain facts.
        as_of: the last day that the data cover.
    """
    told_of: set[str] = set()
    reasons: list[Reason] = []
    for loss in points_lost:
        if told_of.isdisjoint(loss.families):
            told_of.update(loss.families)
            text, formal, fact = loss.sentences(values, as_of)
            code = "_and_".join(loss.families)
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
