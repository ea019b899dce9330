"""Compute clumpiness, the C of RFMC: whether a customer's orders come evenly over time or in bursts.

Zhang, Bradlow and Small (2015), "Predicting Customer Value Using Clumpiness: From RFM to RFMC", Marketing
Science 34(2); the measure is their entropy of the shares of time between events.
"""

from __future__ import annotations

from datetime import date

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.features import Snapshot
from ml.measures import Floats
from ml.tasks import ORDERS

# With two order days, the measure would only repeat the ratio of recency to tenure.
ORDER_DAYS_NEEDED = 3


def clumpiness(customers: NDArray[np.intp], days: NDArray[np.int64], until: int) -> Floats:
    """C = 1 + sum(x ln x) / ln(intervals) of each customer, where x are the intervals' shares of the time.

    A customer's time runs from the first order day to the day after `until`; the other order days lie within
    it. n of them make n + 1 intervals, the one that is still open included. 0 means perfectly even, values
    near 1 mean that all orders come in one burst. NaN for fewer order days than `ORDER_DAYS_NEEDED`; for one
    the measure would be 0/0.

    Args:
        customers: (order days,) the number of the customer: 0, 1, ..., ascending, none left out.
        days: (order days,) as numbers, ascending within a customer, each once, none after `until`.
        until: the cut.

    Returns:
        (customers,).
    """
    if not len(customers):
        return np.empty(0)
    is_first = np.diff(customers, prepend=-1) > 0
    first = np.flatnonzero(is_first)
    ends = np.append(days[1:], until + 1)
    ends[:-1][is_first[1:]] = until + 1
    intervals = np.diff(np.append(first, len(days)))
    share = (ends - days) / np.repeat(until + 1 - days[first], intervals)
    entropy = np.add.reduceat(share * np.log(share), first)
    values = np.full(len(first), np.nan)
    enough = intervals >= ORDER_DAYS_NEEDED
    values[enough] = 1 + entropy[enough] / np.log(intervals[enough])
    return values


def read_clumpiness(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> Floats:
    """The clumpiness of each customer of a snapshot, (customers,), from the orders that counted then."""
    order_days = ORDERS.format(value="list(distinct invoice_day)")
    rows = connection.execute(
        f"""
        select customer_id, day - date '1970-01-01' as day
        from (select customer_id, unnest(value) as day from ({order_days}))
        order by customer_id, day
        """,
        {"since": date.min, "until": snapshot.as_of},
    ).df()
    codes, customers = pd.factorize(rows["customer_id"])
    until = (snapshot.as_of - date(1970, 1, 1)).days
    values = clumpiness(codes.astype(np.intp), rows["day"].to_numpy(np.int64), until)
    return np.asarray(pd.Series(values, customers).reindex(snapshot.customers), dtype=np.float64)
