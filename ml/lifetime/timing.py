"""When the next order comes: chances by some days, and a day with an interval where there is much to say.

The day of the next order has no mean, for some never order again; it has quantiles as far as the probability
to order reaches. A rate that only a few orders tell leaves a wide interval, so most customers get none.
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
"""Days that an interval may span at most; who has a wider one gets no day."""
FARTHEST = 365


@dataclass(frozen=True)
class NextOrder:
    """Of each customer, days counted from the cut: the day after it is 1.

    Attributes:
        probability: to order by each of the days asked for, (customers, days).
        day: the first by which an order is as likely as not, (customers,), whole; NaN without an interval.
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
    """When customers order next; nobody is left out, and who may never order is given the chance of it.

    Args:
        count_model: BG/NBD, Pareto/NBD or NBD, fitted in days.
        histories: of the customers, in days.
        days: by which an order may have come.
        coverage: the least probability of an interval. It begins at the quantile that leaves half of the rest
            before it, and ends where it holds its coverage, as those of `order_intervals` do.
    """
    tail = (1 - coverage) / 2
    probability = np.column_stack([count_model.probability_of_order(histories, day) for day in days])
    day, low, high = np.full((3, len(histories)), np.nan)
    soon = np.flatnonzero(count_model.probability_of_order(histories, FARTHEST) >= tail)
    first = _day_of(count_model, histories[soon], np.full(len(soon), tail), np.zeros(len(soon)), FARTHEST)
    until = count_model.probability_of_order(histories[soon], first - 1) + coverage
    told = count_model.probability_of_order(histories[soon], first + WIDEST - 1) >= until
    rows, first, until = soon[told], first[told], until[told]
    low[rows] = first
    high[rows] = _day_of(count_model, histories[rows], until, first - 1, WIDEST)
    day[rows] = _day_of(count_model, histories[rows], np.minimum(until, 0.5), first - 1, WIDEST)
    return NextOrder(probability, day, low, high)


def _day_of(
    count_model: CountModel, histories: Histories, probability: Floats, after: Floats, span: int
) -> Floats:
    """The first of `span` days after `after` by which an order has come with a probability, all (customers,).

    The last of them must be such a day, and `after` none.
    """
    before, by = after, after + span
    for _ in range(span.bit_length()):
        middle = np.floor((before + by) / 2)
        reached = count_model.probability_of_order(histories, middle) >= probability
        before, by = np.where(reached, before, middle), np.where(reached, middle, by)
    return by
