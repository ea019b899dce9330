"""A points scorecard: turns a customer's values into points, and points into the chance of a bad outcome.

A scorecard is fitted elsewhere (`ml.scorecards`), or set by hand as part of a policy, and is written and read
as plain JSON. It adds up whole points, so an answer can be explained: a characteristic costs the points
between its bin and its best bin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypedDict, cast

LOWEST, HIGHEST = 300, 850
# The JSON of stored models and receipts has an older name for a field.
STORED_NAMES = {"bad_outcome": "feared"}

# The value of a characteristic; None and NaN are missing.
Value = float | int | None


class BinContent(TypedDict):
    """A bin as JSON, with the fields of `Bin`."""

    points: int
    above: float | None
    up_to: float | None
    is_missing: bool


class CharacteristicContent(TypedDict):
    """A characteristic as JSON, with the fields of `Characteristic`."""

    name: str
    bins: list[BinContent]


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


@dataclass(frozen=True)
class Bin:
    """Values above `above` and up to `up_to` (None: no end), or the missing values, and their points."""

    points: int
    above: float | None = None
    up_to: float | None = None
    is_missing: bool = False

    def holds(self, value: Value) -> bool:
        """Whether a value earns this bin's points."""
        if value is None or math.isnan(value):
            return self.is_missing
        if self.is_missing:
            return False
        return (self.above is None or value > self.above) and (self.up_to is None or value <= self.up_to)


@dataclass(frozen=True)
class Characteristic:
    """One fact about a customer or the basket, like the return rate, and the bins of its values."""

    name: str
    bins: tuple[Bin, ...]

    def points(self, value: Value) -> int:
        """The points of a value. A value in no bin (one that is missing, where none was) earns the fewest."""
        for bin_ in self.bins:
            if bin_.holds(value):
                return bin_.points
        return min(bin_.points for bin_ in self.bins)

    @property
    def best(self) -> Bin:
        """The bin with the most points; of several the first, in the order of values."""
        return max(self.bins, key=lambda bin_: bin_.points)


@dataclass(frozen=True)
class Scorecard:
    """Characteristics with their points, and the scale that turns a score into a chance.

    `bad_outcome` says in words what the chance is of, like "the order is refused or returned". At
    `anchor_score` the odds of a good to a bad outcome are `anchor_odds` to 1; `points_to_double` more points
    double them.
    """

    model_id: str
    decision: str
    bad_outcome: str
    base_points: int
    anchor_score: int
    anchor_odds: float
    points_to_double: int
    characteristics: tuple[Characteristic, ...]

    def points(self, values: Mapping[str, Value]) -> dict[str, int]:
        """The points of each characteristic, by name; a name that `values` does not have is missing."""
        return {
            characteristic.name: characteristic.points(values.get(characteristic.name))
            for characteristic in self.characteristics
        }

    def score(self, values: Mapping[str, Value]) -> int:
        """The sum of all points, within 300 to 850."""
        return self.clamped(self.base_points + sum(self.points(values).values()))

    @staticmethod
    def clamped(total: int) -> int:
        """A sum of points, cut off at the ends of the scale."""
        return min(HIGHEST, max(LOWEST, total))

    def probability(self, score: float) -> float:
        """The chance of the bad outcome at a score, by the stated odds."""
        odds = self.anchor_odds * 2 ** ((score - self.anchor_score) / self.points_to_double)
        return 1 / (1 + odds)

    def to_json(self) -> CardContent:
        """Plain values only, which `from_json` reads back to an equal scorecard."""
        content = {STORED_NAMES.get(name, name): value for name, value in asdict(self).items()}
        return cast(CardContent, content)

    @classmethod
    def from_json(cls, content: CardContent) -> Scorecard:
        """Read what `to_json` wrote.

        Raises:
            KeyError, TypeError: it is not of this form.
        """
        fields: dict[str, Any] = {**content}
        for name, stored in STORED_NAMES.items():
            fields[name] = fields.pop(stored)
        fields["characteristics"] = tuple(
            Characteristic(characteristic["name"], tuple(Bin(**bin_) for bin_ in characteristic["bins"]))
            for characteristic in fields["characteristics"]
        )
        return cls(**fields)
