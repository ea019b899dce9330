"""The order that is asked about, beside its basket: how it is paid, where it came in, and its weight.

A scorecard adds up points of numbers. So each word of the shop is a characteristic of its own: `channel: web`
is 1 of an order that came in by `web`, 0 of one by another channel, and missing where nothing is said.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from goodstanding.decisions.scorecard import Value

WEIGHT = "weight"
WORDS = ("payment_type", "channel")


def word_name(column: str, word: str) -> str:
    """The characteristic of the orders with this word in the column, one of `WORDS`."""
    return f"{column}: {word}"


def column_and_word(name: str) -> tuple[str, str] | None:
    """What `word_name` made a characteristic of; None for one of another form."""
    column, colon, word = name.partition(": ")
    return (column, word) if colon and column in WORDS else None


def is_of_order(name: str) -> bool:
    """Whether a characteristic is of the order that is asked about, and not of the customer."""
    return name == WEIGHT or column_and_word(name) is not None


@dataclass(frozen=True)
class Order:
    """What is said of an order, in the shop's words and unit; None where nothing is."""

    payment_type: str | None = None
    channel: str | None = None
    weight: Decimal | None = None

    def said(self) -> str | None:
        """One text for all that is said, equal where the same is said; None where nothing is."""
        weight = None if self.weight is None else f"{self.weight.normalize():f}"
        parts = {"payment_type": self.payment_type, "channel": self.channel, WEIGHT: weight}
        return json.dumps(parts) if any(part is not None for part in parts.values()) else None

    def values(self, names: Iterable[str]) -> dict[str, Value]:
        """The value of each of these characteristics, for which `is_of_order` holds."""
        return {name: self._value(name) for name in names}

    def _value(self, name: str) -> Value:
        if name == WEIGHT:
            return None if self.weight is None else float(self.weight)
        found = column_and_word(name)
        assert found is not None
        column, word = found
        said = self.channel if column == "channel" else self.payment_type
        return None if said is None else float(said == word)
