"""Forecast when the next order comes: how likely it is by given days, and a day where that is certain enough.

The day of the next order has no mean, because some customers never order again; it has quantiles up to the
probability of ordering at all. A rate that is known from a few orders only gives a wide interval, so most
customers get none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.lifetime.counts import CountModel
from ml.lifetime.history import Floats, Histories

DAYS = (30, 60, 90)
COVERAGE = 0.8
WIDEST = 30
"""The most days that an interval may span; a customer with a wider one gets no day."""
FARTHEST = 365


@dataclass(frozen=True)
class NextOrder:
    """The next order of each customer; days are counted from the cut: the day after it is 1.

    Attributes:
        probability: (customers, days) of an order by each of the days asked for.
        day: (customers,) the first day by which an order is as likely as not, whole; NaN without an interval.
        low, high: the ends of the interval, both included, same shape; NaN where it would span more than
            `WIDEST` days, or begin after `FARTHEST`.
    """

    probability: Floats
    day: Floats
    low: Floats
    high: Floats


def next_order_day(
    count_model: CountModel, histories: Histories, days: Sequence[int] = DAYS, coverage: float = COVERAGE
) -> NextOrder:
    """Forecast the next order of each customer; no customer is left out.

    Args:
        count_model: BG/NBD, Pareto/NBD or NBD, fitted in days.
        histories: of the customers, in days.
        days: the days after the cut by which probabilities are asked for.
        coverage: the least probability of an interval. It begins at the quantile that leaves half of the
            remaining probability before it, and ends where it has its coverage, as in `order_intervals`.
    """
    tail = (1 - coverage) / 2
    probability = np.column_stack([count_model.probability_of_order(histories, day) for day in days])
    day, low, high = np.full((3, len(histories)), np.nan)
    soon = np.flatnonzero(count_model.probability_of_order(histories, FARTHEST) >= tail)
    first = _day_of(count_model, histories[soon], np.full(len(soon), tail), np.zeros(len(soon)), FARTHEST)
    until = count_model.probability_of_order(histories[soon], first - 1) + coverage
    narrow = count_model.probability_of_order(histories[soon], first + WIDEST - 1) >= until
    rows, first, until = soon[narrow], first[narrow], until[narrow]
    low[rows] = first
    high[rows] = _day_of(count_model, histories[rows], until, first - 1, WIDEST)
    day[rows] = _day_of(count_model, histories[rows], np.minimum(until, 0.5), first - 1, WIDEST)
    return NextOrder(probability, day, low, high)


def _day_of(
    count_model: CountModel, histories: Histories, probability: Floats, after: Floats, span: int
) -> Floats:
    """The first of `span` days after `after` by which an order has come with a probability, (customers,).

    The last of these days must have that probability, and `after` must not.
    """
    before, by = after, after + span
    for _ in range(span.bit_length()):
        middle = np.floor((before + by) / 2)
        reached = count_model.probability_of_order(histories, middle) >= probability
        before, by = np.where(reached, before, middle), np.where(reached, middle, by)
    return by
