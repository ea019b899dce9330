"""Predictive intervals: two bounds between which a customer's orders, or spend, will lie, and how likely.

An interval begins at the quantile that leaves half of the remaining probability below it, which is 0 for most
customers, and ends where it covers its level. It covers more where it cannot cover less: no interval is
smaller than [0, 0], and most customers of a shop do end at 0. On CDNOW, 39 weeks and the 39 after, intervals
of 80 % each therefore covered 84 % of the customers. Hence `level_that_held`: on an earlier cut, whose
outcome is known, it finds the level at which 80 % of the customers did end up within their interval, whatever
the model and the season; that level is then used at the present cut. Each interval comes with the probability
that the model gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goodstanding.core.errors import DataProblem
from ml.lifetime.counts import CountModel
from ml.lifetime.history import Floats, Histories
from ml.lifetime.spend import GammaGamma, Purchases

COVERAGE = 0.8
# An interval that covers less than half is useless, however seldom the other customers order.
LEVELS = (0.5, 0.95)
# to .002 of a level: one customer in 1,000
HALVINGS = 8
# of a table of probabilities or amounts: 16 MB
CELLS = 2_000_000
FEWEST_COLUMNS = 8
# The greatest probability of more orders than a table of amounts has; those count as the most that it has.
BEYOND = 0.001
DRAWS = 500
SEED = 20111209


@dataclass(frozen=True)
class Intervals:
    """One interval per customer, ends included, shape (customers,) each.

    Attributes:
        low, high: its ends.
        probability: that the model gives it, the level or more.
    """

    low: Floats
    high: Floats
    probability: Floats


def order_intervals(count_model: CountModel, histories: Histories, horizon: float, level: float) -> Intervals:
    """Intervals of the number of orders in (cut, cut + horizon], by the model's distribution.

    Args:
        count_model: BG/NBD, Pareto/NBD or NBD.
        histories: of the customers, in the count model's unit of time.
        horizon: in the same unit.
        level: the least probability of each interval, from 0 to less than 1.
    """
    low, high, probability = np.empty((3, len(histories)))
    for rows, table in _tables(count_model, histories, horizon, beyond=(1 - level) / 2):
        at_least = np.hstack([np.ones((len(table), 1)), table])
        start = np.sum(table >= (1 + level) / 2, axis=1, keepdims=True)
        above_low = np.take_along_axis(at_least, start, axis=1)
        end = np.sum(table > above_low - level, axis=1, keepdims=True)
        above_high = np.take_along_axis(table, end, axis=1)
        low[rows], high[rows], probability[rows] = start[:, 0], end[:, 0], (above_low - above_high)[:, 0]
    return Intervals(low, high, probability)


def spend_intervals(
    count_model: CountModel,
    gamma_gamma: GammaGamma,
    purchases: Purchases,
    horizon: float,
    level: float,
) -> Intervals:
    """Intervals of the spend in (cut, cut + horizon].

    From 500 simulated futures of each customer: a number of orders by the count model, and the sum of so many
    values by Gamma-Gamma, given what the customer has spent. The random numbers are the same for all
    customers, so that a customer's interval does not depend on the others.

    Args:
        count_model, gamma_gamma, purchases, horizon: as `expected_spend`.
        level: as `order_intervals`.
    """
    histories, orders = purchases.histories, purchases.orders
    none = 1 - count_model.probability_of_order(histories, horizon)
    tail = (1 - level) / 2
    scale = gamma_gamma.v + orders * purchases.mean_value
    rates = np.cumsum(_gammas(1, gamma_gamma.p, int(orders.max(initial=0))), axis=0)
    rates = np.vstack([np.zeros(DRAWS), rates]) + _gammas(2, gamma_gamma.q, 1)
    low, high = np.zeros((2, len(histories)))
    spenders = np.flatnonzero(none < level)
    for rows, table in _tables(count_model, histories[spenders], horizon, BEYOND, DRAWS):
        sums = np.cumsum(_gammas(3, gamma_gamma.p, table.shape[1]), axis=0)
        sums = np.vstack([np.zeros(DRAWS), sums])
        # draw by draw, from the most orders to none
        number = np.sum(table[:, :, None] > (np.arange(DRAWS) + 0.5) / DRAWS, axis=1)
        rows = spenders[rows]
        future = sums[number, np.arange(DRAWS)] / rates[orders[rows].astype(int)]
        future.sort(axis=1)
        start = np.where(none[rows] < tail, tail, 0)
        first, last = (np.ceil(np.array([start, start + level]) * DRAWS) - 1).clip(0).astype(int)
        low[rows] = scale[rows] * np.take_along_axis(future, first[:, None], axis=1)[:, 0]
        high[rows] = scale[rows] * np.take_along_axis(future, last[:, None], axis=1)[:, 0]
    return Intervals(low, high, np.maximum(none, level))


def level_that_held(
    intervals: Callable[[float], Intervals], happened: Floats, coverage: float = COVERAGE
) -> float:
    """The least level, from .5 to .95, at which the intervals of an earlier cut covered their customers.

    Args:
        intervals: gives the intervals of these customers at a level, by a model fitted as of that cut; take a
            horizon as near to the one asked for as the history allows.
        happened: (customers,) what they ordered or spent in that horizon.
        coverage: the share of the customers that has to end up within.

    Raises:
        DataProblem: there are no customers.
    """
    if not len(happened):
        raise DataProblem("the level of intervals needs an earlier cut with customers; there are 0")

    def enough(level: float) -> bool:
        tried = intervals(level)
        return bool(np.mean((tried.low <= happened) & (happened <= tried.high)) >= coverage)

    low, high = LEVELS
    if enough(low):
        return low
    for _ in range(HALVINGS):
        level = (low + high) / 2
        low, high = (low, level) if enough(level) else (level, high)
    return high


def _gammas(stream: int, shape: float, count: int) -> Floats:
    """`count` gamma variates for each draw, (count, draws); the first of them are the same for any count."""
    return np.random.default_rng([SEED, stream]).standard_gamma(shape, size=(count, DRAWS))


def _tables(
    count_model: CountModel, histories: Histories, horizon: float, beyond: float, depth: int = 1
) -> Iterator[tuple[NDArray[np.intp], Floats]]:
    """Positions of customers, and their probabilities of at least 1, 2, ... orders.

    A table has so many columns that the last probability is `beyond` at most. The blocks are small enough for
    arrays of `depth` times their size.
    """
    waiting, columns = np.arange(len(histories)), FEWEST_COLUMNS
    while len(waiting):
        longer = []
        for rows in np.array_split(waiting, -(-len(waiting) * columns * depth // CELLS)):
            table = count_model.probability_of_at_least(histories[rows], horizon, columns)
            enough = table[:, -1] <= beyond
            yield rows[enough], table[enough]
            longer.append(rows[~enough])
        waiting, columns = np.concatenate(longer), 2 * columns
