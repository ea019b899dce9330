"""A points scorecard: turns a customer's values into points, and points into the chance of a bad outcome.

A scorecard is fitted elsewhere (`ml.scorecards`), or set by hand as part of a policy, and is written and read
as plain JSON. It adds up whole points, so an answer can be explained: a characteristic costs the points
between its bin and its best bin. Two characteristics may earn their points together (`Pair`); such a pair
is one item of the sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from dataclasses import fields as fields_of
from typing import Any, NotRequired, TypedDict, cast

LOWEST, HIGHEST = 300, 850
# The JSON of stored models and receipts has an older name for a field.
STORED_NAMES = {"bad_outcome": "feared"}

# The value of a characteristic: a number, or the level of one that has levels; None and NaN are missing.
Number = float | int | None
Value = Number | str


class BinContent(TypedDict):
    """A bin as JSON, with the fields of `Bin`; the last three are written only where they say something."""

    points: int
    above: float | None
    up_to: float | None
    is_missing: bool
    exactly: NotRequired[float | None]
    levels: NotRequired[list[str]]
    is_other: NotRequired[bool]


class CharacteristicContent(TypedDict):
    """A characteristic as JSON, with the fields of `Characteristic`."""

    name: str
    bins: list[BinContent]


class PairContent(TypedDict):
    """A pair as JSON, with the fields of `Pair`; the bins of its two characteristics have 0 points."""

    first: CharacteristicContent
    second: CharacteristicContent
    points: list[list[int]]


class CardContent(TypedDict):
    """A scorecard as JSON, with the fields of `Scorecard`; `feared` is its `bad_outcome`."""

    model_id: str
    decision: str
    feared: str
    base_points: int
    anchor_score: int
    anchor_odds: float
    points_to_double: int
    characteristics: list[CharacteristicContent]
    pairs: NotRequired[list[PairContent]]
    is_open: NotRequired[bool]
    # scorecards of before it was measured lack it
    chance_first: NotRequired[float | None]


@dataclass(frozen=True)
class Bin:
    """Some values of a characteristic, and their points.

    They are the missing values; or the number `exactly`, which means something else than its size says (a
    code like -999), whatever interval it lies in; or the `levels` of a text and, with `is_other`, all levels
    that no bin names; or else the numbers above `above` and up to `up_to` (None: no end).
    """

    points: int
    above: float | None = None
    up_to: float | None = None
    is_missing: bool = False
    exactly: float | None = None
    levels: tuple[str, ...] = ()
    is_other: bool = False

    @property
    def is_interval(self) -> bool:
        """Whether it holds the numbers between two ends."""
        return not (self.is_missing or self.of_levels or self.exactly is not None)

    @property
    def of_levels(self) -> bool:
        """Whether it holds levels of a text."""
        return bool(self.levels) or self.is_other

    def holds(self, value: Value) -> bool:
        """Whether it names a value, or has it between its ends; `is_other` is left to `Characteristic`."""
        if value is None or isinstance(value, str):
            return value in self.levels if value is not None else self.is_missing
        if math.isnan(value):
            return self.is_missing
        if self.exactly is not None:
            return value == self.exactly
        if self.is_missing or self.of_levels:
            return False
        return (self.above is None or value > self.above) and (self.up_to is None or value <= self.up_to)

    def to_json(self) -> BinContent:
        """Plain values only."""
        content = asdict(self)
        for name, of_no_use in (("exactly", None), ("levels", ()), ("is_other", False)):
            if content[name] == of_no_use:
                del content[name]
        return cast(BinContent, content)

    @classmethod
    def from_json(cls, content: BinContent) -> Bin:
        """Read what `to_json` wrote."""
        return cls(**{**content, "levels": tuple(content.get("levels", ()))})  # type: ignore[arg-type]


def is_missing(value: Value) -> bool:
    """Whether a value is missing."""
    return value is None or (not isinstance(value, str) and math.isnan(value))


@dataclass(frozen=True)
class Characteristic:
    """One fact about a customer or the basket, like the return rate, and the bins of its values."""

    name: str
    bins: tuple[Bin, ...]

    def place(self, value: Value) -> int | None:
        """The number of the first bin that holds a value; None: none does.

        So a bin of one number is listed before the interval around it. A level that no bin names is in the
        bin of all others.
        """
        for at, bin_ in enumerate(self.bins):
            if bin_.holds(value):
                return at
        if isinstance(value, str):
            return next((at for at, bin_ in enumerate(self.bins) if bin_.is_other), None)
        return None

    def points(self, value: Value) -> int:
        """The points of a value. A value in no bin (one that is missing, where none was) earns the fewest."""
        place = self.place(value)
        return min(bin_.points for bin_ in self.bins) if place is None else self.bins[place].points

    def is_unseen(self, value: Value) -> bool:
        """Whether a value is a level that no bin names."""
        return isinstance(value, str) and not any(value in bin_.levels for bin_ in self.bins)

    @property
    def best(self) -> Bin:
        """The bin with the most points; of several the first, in the order of values."""
        return max(self.bins, key=lambda bin_: bin_.points)

    def to_json(self) -> CharacteristicContent:
        """Plain values only."""
        return {"name": self.name, "bins": [bin_.to_json() for bin_ in self.bins]}

    @classmethod
    def from_json(cls, content: CharacteristicContent) -> Characteristic:
        """Read what `to_json` wrote."""
        return cls(content["name"], tuple(Bin.from_json(bin_) for bin_ in content["bins"]))


@dataclass(frozen=True)
class Pair:
    """Two characteristics whose points depend on both values: a table instead of two lists.

    `points` has a row for each bin of the first and a column for each bin of the second; the bins themselves
    have 0 points. Neither is a characteristic of the card beside it, so a pair costs what lies between its
    own cell and its best.
    """

    first: Characteristic
    second: Characteristic
    points: tuple[tuple[int, ...], ...]

    @property
    def name(self) -> str:
        """The names of both."""
        return f"{self.first.name} and {self.second.name}"

    @property
    def names(self) -> tuple[str, str]:
        """The name of each."""
        return self.first.name, self.second.name

    def points_of(self, first: Value, second: Value) -> int:
        """The points of two values; a value in no bin earns the fewest that the other allows."""
        row, column = self.first.place(first), self.second.place(second)
        rows = self.points if row is None else (self.points[row],)
        return min(min(cells) if column is None else cells[column] for cells in rows)

    @property
    def best(self) -> tuple[int, Bin, Bin]:
        """The most points, and the bins of the first cell that has them."""
        most = max(map(max, self.points))
        row = next(at for at, cells in enumerate(self.points) if most in cells)
        return most, self.first.bins[row], self.second.bins[self.points[row].index(most)]

    def to_json(self) -> PairContent:
        """Plain values only."""
        return {
            "first": self.first.to_json(),
            "second": self.second.to_json(),
            "points": [list(cells) for cells in self.points],
        }

    @classmethod
    def from_json(cls, content: PairContent) -> Pair:
        """Read what `to_json` wrote."""
        return cls(
            Characteristic.from_json(content["first"]),
            Characteristic.from_json(content["second"]),
            tuple(map(tuple, content["points"])),
        )


@dataclass(frozen=True)
class Scorecard:
    """Characteristics with their points, and the scale that turns a score into a chance.

    `bad_outcome` says in words what the chance is of, like "the order is refused or returned". At
    `anchor_score` the odds of a good to a bad outcome are `anchor_odds` to 1; `points_to_double` more points
    double them. The score of an open card is the sum of its points, also beyond 300 and 850; of others, which
    are set by hand or older, it is cut off there.

    `chance_first` is the bad share of customers' first orders, where it was measured with a fitted card.
    """

    model_id: str
    decision: str
    bad_outcome: str
    base_points: int
    anchor_score: int
    anchor_odds: float
    points_to_double: int
    characteristics: tuple[Characteristic, ...]
    pairs: tuple[Pair, ...] = ()
    is_open: bool = False
    chance_first: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All characteristics that the card reads, those of its pairs last."""
        alone = (characteristic.name for characteristic in self.characteristics)
        return (*alone, *(name for pair in self.pairs for name in pair.names))

    def points(self, values: Mapping[str, Value]) -> dict[str, int]:
        """The points by the names of characteristics and pairs; a name that `values` lacks is missing."""
        points = {
            characteristic.name: characteristic.points(values.get(characteristic.name))
            for characteristic in self.characteristics
        }
        for pair in self.pairs:
            points[pair.name] = pair.points_of(*map(values.get, pair.names))
        return points

    def score(self, values: Mapping[str, Value]) -> int:
        """The sum of all points; see `clamped`."""
        return self.clamped(self.base_points + sum(self.points(values).values()))

    def clamped(self, total: int) -> int:
        """A sum of points as it counts: of a card that is not open cut off at the ends of the scale."""
        return total if self.is_open else min(HIGHEST, max(LOWEST, total))

    def probability(self, score: float) -> float:
        """The chance of the bad outcome at a score, by the stated odds."""
        odds = self.anchor_odds * 2 ** ((score - self.anchor_score) / self.points_to_double)
        return 1 / (1 + odds)

    def to_json(self) -> CardContent:
        """Plain values only, which `from_json` reads back to an equal scorecard."""
        fields = {
            STORED_NAMES.get(field.name, field.name): getattr(self, field.name) for field in fields_of(self)
        }
        fields["characteristics"] = [characteristic.to_json() for characteristic in self.characteristics]
        fields["pairs"] = [pair.to_json() for pair in self.pairs]
        for name in ("pairs", "is_open"):
            # a card without them is written as before there were any, so that its hash stays the same
            if not fields[name]:
                del fields[name]
        if self.chance_first is None:
            del fields["chance_first"]
        return cast(CardContent, fields)

    @classmethod
    def from_json(cls, content: CardContent) -> Scorecard:
        """Read what `to_json` wrote, or wrote before there were pairs.

        Raises:
            KeyError, TypeError: it is not of this form.
        """
        fields: dict[str, Any] = {**content}
        for name, stored in STORED_NAMES.items():
            fields[name] = fields.pop(stored)
        fields["characteristics"] = tuple(map(Characteristic.from_json, fields["characteristics"]))
        fields["pairs"] = tuple(map(Pair.from_json, fields.get("pairs", ())))
        return cls(**fields)
