"""Compute from an order log what is known of each customer as of a cut: history, order value, features.

All of it is a function of the orders up to the cut: later orders do not change it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.lifetime.history import Floats, Histories, histories
from ml.lifetime.spend import Purchases

# Neither the age nor the day of the first order is a feature: trees that learn at an earlier cut see no ages
# as great as those at the later cut. Without both, forecasts at the inner cuts of CDNOW were no worse.
WINDOWS = (28, 56, 91, 182)
"""Days before the cut whose orders and spend are features: 4, 8, 13 and 26 weeks."""
FEATURES = (
    "frequency",
    "days_since_last",
    "rate",
    "recency_share",
    "mean_gap",
    "gap_deviation",
    "last_gap",
    "lateness",
    *(f"orders_{days}d" for days in WINDOWS),
    *(f"spend_{days}d" for days in WINDOWS),
    "mean_value",
    "first_value",
    "last_value",
    "greatest_value",
)


@dataclass(frozen=True)
class OrderLog:
    """Who ordered when for how much, one entry per order, in any order.

    Attributes:
        customers: shape (orders,).
        days: `datetime64`, same shape.
        amounts: same shape.
    """

    customers: NDArray[Any]
    days: NDArray[Any]
    amounts: Floats


@dataclass(frozen=True)
class Known:
    """Customers with an order by a cut, one per position, sorted by their id.

    Attributes:
        cut: the last day known.
        customers: their ids, shape (customers,).
        histories: in days.
        orders: days with an order, same shape; 1 or more.
        mean_value: spend per such day, an amount, same shape.
        features: (customers, len(FEATURES)); NaN where there is no second order, and so no gap.
    """

    cut: date
    customers: NDArray[Any]
    histories: Histories
    orders: Floats
    mean_value: Floats
    features: Floats

    def __len__(self) -> int:
        return len(self.customers)

    @property
    def purchases(self) -> Purchases:
        """Histories, orders and their mean value, as the models of spend take them."""
        return Purchases(self.histories, self.orders, self.mean_value)


def known_as_of(log: OrderLog, cut: date) -> Known:
    """What is known of each customer at the end of a day; several orders of a customer on a day count as one.

    Args:
        log: later orders are left out, as if they had not happened yet.
        cut: the day.
    """
    days = np.asarray(log.days).astype("datetime64[D]")
    within = days <= np.datetime64(cut)
    ids, history = histories(log.customers, days, cut)
    position = np.searchsorted(ids, np.asarray(log.customers)[within])
    age = (np.datetime64(cut) - days[within]).astype(np.int64)
    # one number per customer and order day, oldest first
    span = int(age.max(initial=0)) + 1
    order_days, row = np.unique(position * span + span - 1 - age, return_inverse=True)
    who, since_start = np.divmod(order_days, span)
    value = np.bincount(row, log.amounts[within], len(order_days)).astype(np.float64)
    ages = (span - 1 - since_start).astype(np.float64)
    orders = history.frequency + 1
    mean_value = np.bincount(who, value, len(ids)).astype(np.float64) / orders
    features = _features(history, who, ages, value, mean_value)
    return Known(cut, ids, history, orders, mean_value, features)


def outcome(known: Known, log: OrderLog, until: date) -> tuple[Floats, Floats]:
    """Days with an order in (cut, until], and what was spent on them, (customers,) each.

    Args:
        known: the customers and their cut.
        log: as it was known at the end of `until`, or later.
        until: the last day of the window.
    """
    days = np.asarray(log.days).astype("datetime64[D]")
    later = (days > np.datetime64(known.cut)) & (days <= np.datetime64(until))
    customers, order_days, amounts = np.asarray(log.customers)[later], days[later], log.amounts[later]
    ours = np.isin(customers, known.customers)
    position = np.searchsorted(known.customers, customers[ours])
    customer_days = np.unique(np.stack([position, order_days[ours].astype(np.int64)]), axis=1)
    orders = np.bincount(customer_days[0], minlength=len(known)).astype(np.float64)
    return orders, np.bincount(position, amounts[ours], len(known)).astype(np.float64)


def _features(
    history: Histories, who: NDArray[np.int64], ages: Floats, value: Floats, mean_value: Floats
) -> Floats:
    """The features, (customers, len(FEATURES)), from order days.

    Args:
        history: of the customers.
        who: (order days,) the position of the customer, ascending.
        ages: (order days,) days before the cut.
        value: (order days,) spend.
        mean_value: (customers,) spend per order day.
    """
    size = len(history)
    first = np.flatnonzero(np.diff(who, prepend=-1))
    last = np.append(first[1:], len(who)) - 1 if size else first
    since, repeats = history.age - history.recency, history.frequency > 0
    gap = -np.diff(ages, prepend=0.0)
    gap[first] = 0
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_gap = np.where(repeats, history.recency / history.frequency, np.nan)
        variance = np.bincount(who, gap**2, size) / history.frequency - mean_gap**2
        columns = {
            "frequency": history.frequency,
            "days_since_last": since,
            "rate": (history.frequency + 1) / (history.age + 1),
            "recency_share": history.recency / np.maximum(history.age, 1),
            "mean_gap": mean_gap,
            "gap_deviation": np.sqrt(np.maximum(variance, 0)) / mean_gap,
            "last_gap": np.where(repeats, gap[last], np.nan),
            "lateness": since / mean_gap,
        }
    for days in WINDOWS:
        recent = ages < days
        columns[f"orders_{days}d"] = np.bincount(who[recent], minlength=size)
        columns[f"spend_{days}d"] = np.bincount(who[recent], value[recent], size)
    columns |= {
        "mean_value": mean_value,
        "first_value": value[first],
        "last_value": value[last],
        "greatest_value": np.maximum.reduceat(value, first) if size else value,
    }
    return np.column_stack([columns[name] for name in FEATURES]).astype(np.float64)
