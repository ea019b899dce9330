"""A points scorecard as it is applied: whose values earn how many points, and what a score says of the odds.

It is fitted elsewhere (`ml`), or set by hand as policy, and is written and read as plain JSON. Adding up
whole points keeps an answer explicable: what a characteristic costs is the points between its bin and its
best one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LOWEST, HIGHEST = 300, 850

Value = float | int | None


@dataclass(frozen=True)
class Bin:
    """Values above `above` and up to `up_to` (None: no end); or the missing ones."""

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
    """One thing that is known of a customer or of the basket, and the bins that part its values."""

    name: str
    bins: tuple[Bin, ...]

    def points(self, value: Value) -> int:
        """The points of a value; the fewest for one in no bin, as a missing one where none was missing."""
        for each in self.bins:
            if each.holds(value):
                return each.points
        return min(each.points for each in self.bins)

    @property
    def best(self) -> Bin:
        """The bin with the most points; of several the first, as they stand in the order of values."""
        return max(self.bins, key=lambda each: each.points)


@dataclass(frozen=True)
class Scorecard:
    """All characteristics, and the scale: at `anchor_score` one in 1 + `anchor_odds` comes to what is feared;
    `points_to_double` more points double the odds."""

    model_id: str
    decision: str
    feared: str
    base_points: int
    anchor_score: int
    anchor_odds: float
    points_to_double: int
    characteristics: tuple[Characteristic, ...]

    def points(self, values: Mapping[str, Value]) -> dict[str, int]:
        """What each characteristic earns, of the values by name; one that is not given is missing."""
        return {each.name: each.points(values.get(each.name)) for each in self.characteristics}

    def score(self, values: Mapping[str, Value]) -> int:
        """The sum of all points, within 300 to 850."""
        return self.clamped(self.base_points + sum(self.points(values).values()))

    @staticmethod
    def clamped(total: int) -> int:
        """A sum of points within the ends of the scale."""
        return min(HIGHEST, max(LOWEST, total))

    def probability(self, score: float) -> float:
        """The chance of what is feared at a score, by the stated odds."""
        odds = self.anchor_odds * 2 ** ((score - self.anchor_score) / self.points_to_double)
        return 1 / (1 + odds)

    def to_json(self) -> dict[str, Any]:
        """Plain values only, which `from_json` reads back to an equal card."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Scorecard:
        """Read what `to_json` wrote.

        Raises:
            KeyError, TypeError: it is not of this form.
        """
        characteristics = tuple(
            Characteristic(each["name"], tuple(Bin(**bin_) for bin_ in each["bins"]))
            for each in content["characteristics"]
        )
        return cls(**{**content, "characteristics": characteristics})
