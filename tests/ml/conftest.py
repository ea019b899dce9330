"""A small warehouse of made-up customers with the features the models read and a known cause of buying."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest

from ml.features import Snapshot, read_snapshot

MONTH_ENDS = [date(2010, 12, 31)] + [date(2011, month + 1, 1) - timedelta(days=1) for month in range(1, 12)]
NEWEST_DAY = date(2011, 12, 9)


def log_odds_to_buy(rows: pd.DataFrame, drive: str) -> pd.Series:
    """The log-odds that each customer buys, by the cause that `drive` names.

    rfm: only recency, frequency and monetary, as the mean RFM rank assumes. cancellations: a feature outside
    that rank. chance: no feature at all.
    """
    if drive == "rfm":
        ranks = rows[["recency_days", "frequency", "monetary"]].rank(pct=True)
        return 4 * ((1 - ranks["recency_days"] + ranks["frequency"] + ranks["monetary"]) / 3 - 0.5)
    if drive == "cancellations":
        return 8 * (rows["cancelled_share"] - 0.5)
    assert drive == "chance"
    return pd.Series(0.0, index=rows.index)


def made_up_customers(generator: np.random.Generator, customers: int, as_of: date) -> pd.DataFrame:
    """One row of features per customer; the same customers return at every cut."""
    frequency = generator.geometric(0.3, customers)
    tenure = generator.integers(1, 365, customers)
    monetary = frequency * generator.lognormal(3, 1, customers)
    shares = {"30d": 0.1, "90d": 0.3, "180d": 0.6}
    orders = {window: generator.binomial(frequency, share) for window, share in shares.items()}
    columns = {
        "recency_days": (tenure * generator.random(customers)).astype(int),
        "tenure_days": tenure,
        "frequency": frequency,
        "monetary": monetary,
        "mean_order_value": monetary / frequency,
        **{f"orders_{window}": count for window, count in orders.items()},
        **{f"spend_{window}": count * monetary / frequency for window, count in orders.items()},
        "distinct_products": frequency + generator.poisson(5, customers),
        "mean_gap_days": np.where(frequency > 1, tenure / frequency, np.nan),
        "cancelled_share": generator.random(customers),
    }
    names = [f"customer-{number:05d}" for number in range(customers)]
    return pd.DataFrame({"customer_id": names, "as_of": as_of, **columns})


def fill(connection: duckdb.DuckDBPyConnection, drive: str, customers: int, seed: int) -> None:
    """Fill a warehouse: month ends of 2011 and a newest day, and the purchases of the 90 days after each."""
    generator = np.random.default_rng(seed)
    features, labels = [], []
    for as_of in [*MONTH_ENDS, NEWEST_DAY]:
        rows = made_up_customers(generator, customers, as_of)
        features.append(rows)
        buys = generator.random(customers) < 1 / (1 + np.exp(-log_odds_to_buy(rows, drive)))
        labels.append(rows[["customer_id", "as_of"]].assign(buys_90d=buys))
    all_features, all_labels = pd.concat(features), pd.concat(labels)
    connection.execute("set threads = 2")
    connection.execute("create schema features")
    connection.register("all_features", all_features)
    connection.register("all_labels", all_labels)
    connection.execute(
        """
        create table features.customer_features as
        select * replace (
            as_of::date as as_of, if(isnan(mean_gap_days), null, mean_gap_days) as mean_gap_days
        )
        from all_features
        """
    )
    connection.execute(
        """
        create table labels as
        select * replace (as_of::date as as_of)
        from all_labels
        """
    )


def read_labelled(connection: duckdb.DuckDBPyConnection, cut: date) -> Snapshot:
    """The snapshot of a cut, labelled with who bought after it."""
    labels = connection.execute("from labels where as_of = $1", [cut]).df().set_index("customer_id")
    snapshot = read_snapshot(connection, cut)
    return replace(snapshot, outcome=labels["buys_90d"][snapshot.customers].to_numpy(dtype=bool))


@pytest.fixture
def warehouse() -> Iterator[Callable[..., duckdb.DuckDBPyConnection]]:
    """Make in-memory warehouses, each for one test to change."""
    connections = []

    def make(drive: str = "rfm", customers: int = 300, seed: int = 1) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect()
        connections.append(connection)
        fill(connection, drive, customers, seed)
        return connection

    yield make
    for connection in connections:
        connection.close()
