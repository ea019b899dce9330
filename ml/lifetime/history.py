"""Customers' histories as count models need them: how often they ordered, how recently, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goodstanding.core.errors import DataProblem

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Histories:
    """Customers as of a cut, one per position; all times are in one unit, which models fitted on them share.

    Attributes:
        frequency: repeat purchases: days with an order, less the first, shape (customers,).
        recency: time from the first order to the last, same shape; 0 where there was no second.
        age: time from the first order to the cut, same shape.

    Raises:
        DataProblem: lengths differ, or a history is impossible.
    """

    frequency: Floats
    recency: Floats
    age: Floats

    def __post_init__(self) -> None:
        for name in ("frequency", "recency", "age"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        if not self.frequency.shape == self.recency.shape == self.age.shape == (len(self.frequency),):
            shapes = self.frequency.shape, self.recency.shape, self.age.shape
            raise DataProblem(f"histories need one frequency, recency and age per customer, got {shapes}")
        possible = (
            (self.frequency >= 0)
            & (self.recency >= 0)
            & (self.age >= self.recency)
            & np.isfinite(self.frequency + self.age)
            & ((self.frequency > 0) | (self.recency == 0))
        )
        if not possible.all():
            position = int(np.argmin(possible))
            raise DataProblem(
                f"{np.sum(~possible)} of {len(possible)} histories are impossible, the first at {position}: "
                f"frequency {self.frequency[position]}, recency {self.recency[position]}, "
                f"age {self.age[position]}; 0 <= recency <= age must hold, and recency 0 without a repeat"
            )

    def __len__(self) -> int:
        return len(self.frequency)

    def __getitem__(self, rows: Any) -> Histories:
        return Histories(self.frequency[rows], self.recency[rows], self.age[rows])

    def over(self, unit: float) -> Histories:
        """The same histories in a longer unit of time: over(7) makes weeks of days."""
        return Histories(self.frequency, self.recency / unit, self.age / unit)

    def distinct(self) -> tuple[Histories, Floats]:
        """Each distinct history once, and how many customers have it, so that likelihoods compute it once."""
        rows = np.column_stack([self.frequency, self.recency, self.age])
        unique, counts = np.unique(rows, axis=0, return_counts=True)
        return Histories(*unique.T), counts.astype(np.float64)


def histories(customers: NDArray[Any], days: NDArray[Any], until: date) -> tuple[NDArray[Any], Histories]:
    """Histories in days as of the end of a day; several orders of a customer on a day count as one.

    Args:
        customers: who ordered, one entry per order, in any order, shape (orders,).
        days: on which day, `datetime64`, same shape.
        until: the cut; later orders are left out, as if they had not happened yet.

    Returns:
        The customers with an order by then, sorted, and their histories in the same order.
    """
    ordered = np.asarray(days).astype("datetime64[D]")
    known = ordered <= np.datetime64(until)
    ids, positions = np.unique(np.asarray(customers)[known], return_inverse=True)
    age = (np.datetime64(until) - ordered[known]).astype(np.int64)
    # one number per customer and day: its distinct values are the order days
    span = int(age.max(initial=0)) + 1
    order_days = np.unique(positions * span + age)
    customer, ages = np.divmod(order_days, span)
    starts = np.flatnonzero(np.diff(customer, prepend=-1))
    newest, oldest = ages[starts], ages[np.append(starts[1:], len(ages)) - 1] if len(ages) else ages
    orders = np.diff(np.append(starts, len(ages)))
    return ids, Histories(orders - 1, oldest - newest, oldest)
