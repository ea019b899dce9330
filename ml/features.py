"""Read snapshots: the features of every customer as of a day, and, as label, what the customer did next.

A snapshot holds the measures of `features.customer_features` as they are, their ranks within the snapshot,
and the mean RFM rank, which orders customers without any training. There are labels only where their window
is over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from dateutil.relativedelta import relativedelta
from numpy.typing import NDArray

from goodstanding.core.errors import DataProblem

TEST_CUTS = 3
# Customers of each class, in the train and in the test snapshot: the AUC of 50 against 50 customers is known
# to about +-.11.
MINIMUM_OF_CLASS = 50

MEASURES = (
    "recency_days",
    "tenure_days",
    "frequency",
    "monetary",
    "mean_order_value",
    "orders_30d",
    "orders_90d",
    "orders_180d",
    "spend_30d",
    "spend_90d",
    "spend_180d",
    "distinct_products",
    "mean_gap_days",
    "cancelled_share",
)
RANKS = tuple(f"rank_{measure}" for measure in MEASURES)
RFM_RANK = "rfm_rank"

# A gap between orders needs two of them.
MAY_BE_NULL = "mean_gap_days"


@dataclass(frozen=True)
class Snapshot:
    """All customers as of a day, ordered by their measures.

    Attributes:
        as_of: the day, at its end.
        customers: (customers,) ids.
        features: one row per customer, with the columns `MEASURES`, `RANKS` and `RFM_RANK`, and those that
            only one question has.
        outcome: (customers,) the class of what each did after `as_of`, by a question of `ml.tasks`; None in a
            snapshot without labels.
    """

    as_of: date
    customers: NDArray[np.object_]
    features: pd.DataFrame
    outcome: NDArray[Any] | None = None

    def matrix(self, columns: Sequence[str]) -> NDArray[np.float64]:
        """The named features as an array (customers, columns)."""
        return self.features[list(columns)].to_numpy(dtype=np.float64)

    @property
    def labels(self) -> NDArray[Any]:
        """`outcome` of a labelled snapshot.

        Raises:
            ValueError: it was read without labels.
        """
        if self.outcome is None:
            raise ValueError(f"the snapshot of {self.as_of} was read without labels")
        return self.outcome


def rolling_cuts(cuts: Sequence[date], end: Callable[[date], date], as_of: date) -> list[tuple[date, date]]:
    """Train and test cuts, oldest first: each test cut with the newest cut whose window was over by then.

    Args:
        cuts: the days with features, oldest first.
        end: gives the last day of a cut's window.
        as_of: the last day known; cuts whose windows end later are left out.
    """
    over = [cut for cut in cuts if end(cut) <= as_of]
    trainable = {cut: [earlier for earlier in over if end(earlier) <= cut] for cut in over}
    return [(earlier[-1], cut) for cut, earlier in trainable.items() if earlier]


def month_end(day: date, months: int) -> date:
    """The last day of the month `months` after the month of a day; earlier where that is negative."""
    return day + relativedelta(months=months, day=31)


def read_snapshot(connection: duckdb.DuckDBPyConnection, as_of: date) -> Snapshot:
    """Every customer's features as of a day that `features.customer_features` holds; empty where it does not.

    Customers are ordered by their measures. Ordered by pseudonym, another key would draw other resamples, and
    borderline champions would depend on the key: on Online Retail two of five did.

    Raises:
        DataProblem: a feature is missing or not finite.
    """
    rows = connection.execute(
        f"""
        select customer_id, {", ".join(MEASURES)}
        from features.customer_features
        where as_of = $1
        order by {", ".join(MEASURES)}, customer_id
        """,
        [as_of],
    ).df()
    customers = rows.pop("customer_id").to_numpy(dtype=object)
    measures = rows.astype(np.float64)
    unusable = (~np.isfinite(measures)).sum()
    unusable[MAY_BE_NULL] = np.isinf(measures[MAY_BE_NULL]).sum()
    if unusable.any():
        column = str(unusable.idxmax())
        raise DataProblem(
            f"features.customer_features as of {as_of}: {column} is missing or not finite "
            f"for {unusable[column]} of {len(rows)} customers"
        )
    ranks = percentile_ranks(measures).set_axis(list(RANKS), axis="columns")
    features = pd.concat([measures, ranks, mean_rfm_rank(ranks).rename(RFM_RANK)], axis="columns")
    return Snapshot(as_of, customers, features)


def percentile_ranks(values: pd.DataFrame) -> pd.DataFrame:
    """Each column's mid-ranks over its rows, scaled to (0, 1): (rank - 1/2) / n; equal values rank equally.

    A missing value ranks above all others: a customer without a second order has the longest gap.
    """
    return (values.rank(method="average", na_option="bottom") - 0.5) / max(len(values), 1)


def mean_rfm_rank(ranks: pd.DataFrame) -> pd.Series:
    """The mean rank of recency (the latest order highest), frequency and monetary: untrained, in (0, 1)."""
    return (1 - ranks["rank_recency_days"] + ranks["rank_frequency"] + ranks["rank_monetary"]) / 3
