"""Worth: how many orders to expect of each customer, when the next one, and how much they will spend.

Every training fits the count model and the value of orders on all customers of its day, for they need no
outcome; every day they are asked about the histories of that day. `ml.value` measures how well that is
foretold. There boosted trees beside it rank customers no clearly better, so it stands alone here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from goodstanding.core.errors import DataProblem
from ml import drift, store
from ml.features import MINIMUM_OF_CLASS, Snapshot, month_end, read_snapshot
from ml.lifetime import MOST_CORRELATED, GammaGamma, Histories, ParetoNBD, next_order_day
from ml.measures import Floats
from ml.tasks import KEPT, TASKS, window_values

TARGET = "worth_90d"
BUYS = TASKS["buys_90d"]

ORDERS = f"""
    select
        customer_id,
        count(distinct invoice_day) as orders,
        $until - min(invoice_day) as age,
        max(invoice_day) - min(invoice_day) as recency,
        cast(sum(net_amount) as double) as spend
    {KEPT}
    group by customer_id
"""


@dataclass(frozen=True)
class Worth:
    """What was fitted. `values` is None where the value of orders hangs on their number."""

    counts: ParetoNBD
    values: GammaGamma | None


@dataclass(frozen=True)
class Orders:
    """Customers of a snapshot, in its order: histories in days, days with an order, spend per such day."""

    histories: Histories
    orders: Floats
    mean_value: Floats

    @property
    def correlation(self) -> float:
        """Of the number of orders with their mean value; 0 where one of them is the same for all."""
        if np.ptp(self.orders) == 0 or np.ptp(self.mean_value) == 0:
            return 0.0
        return float(np.corrcoef(self.orders, self.mean_value)[0, 1])


def read_orders(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> Orders:
    """The orders of the customers of a snapshot that counted at the end of its day."""
    found = connection.execute(ORDERS, {"since": date.min, "until": snapshot.as_of}).df()
    each = found.set_index("customer_id").reindex(snapshot.customers).astype(np.float64)
    orders = each["orders"].to_numpy()
    histories = Histories(orders - 1, each["recency"].to_numpy(), each["age"].to_numpy())
    return Orders(histories, orders, each["spend"].to_numpy() / orders)


def train_worth(connection: duckdb.DuckDBPyConnection, as_of: date, models: Path) -> dict[str, Any]:
    """Fit on what was known by a day, and store the model; returns its card, as those of `ml.train`.

    `recipe` is nbd where no drop-out is identifiable, and `parameters` are those fitted.

    Raises:
        DataProblem: too short a history, or too few who ordered twice; it says what would be enough.
    """
    (day,) = connection.execute(
        "select max(as_of) from features.customer_features where as_of <= $1", [as_of]
    ).fetchone() or (None,)
    snapshot = read_snapshot(connection, day) if day else None
    if snapshot is None or not len(snapshot.customers):
        raise DataProblem(f"{TARGET} needs 1 day with customers; there is none up to {as_of}")
    orders = read_orders(connection, snapshot)
    history = int(orders.histories.age.max())
    if history < BUYS.days:
        raise DataProblem(
            f"{TARGET} needs {BUYS.days} days of history; there are {history}, {BUYS.days - history} more "
            "would be enough"
        )
    again = int(np.sum(orders.orders > 1))
    if again < MINIMUM_OF_CLASS:
        raise DataProblem(
            f"{TARGET} needs {MINIMUM_OF_CLASS} customers who ordered on two days or more; there are "
            f"{again}, {MINIMUM_OF_CLASS - again} more would be enough"
        )
    counts = ParetoNBD.fit(orders.histories)
    correlation = orders.correlation
    worth = Worth(counts, _values(orders) if abs(correlation) <= MOST_CORRELATED else None)
    said = counts.probability_of_order(orders.histories, BUYS.days)
    card: dict[str, Any] = {
        "target": TARGET,
        "data_day": str(as_of),
        "recipe": "pareto_nbd" if counts.drop_out_identifiable else "nbd",
        "description": "orders by a count model, their value by Gamma-Gamma",
        "fitted_on": {"cut": str(snapshot.as_of), "customers": len(snapshot.customers)},
        "parameters": _parameters(worth),
        "value_correlation": round(correlation, 6),
        "references": drift.references(snapshot, (), said, (snapshot, snapshot)),
        "matured": _matured(connection, as_of, models),
        **store.made_by(),
    }
    card = {"model_id": store.model_id(card, said.tobytes())} | card
    store.save(worth, card, models)
    return card


def _values(orders: Orders) -> GammaGamma:
    bought = orders.mean_value > 0
    return GammaGamma.fit(orders.orders[bought], orders.mean_value[bought])


def _parameters(worth: Worth) -> dict[str, float]:
    counts = worth.counts if worth.counts.drop_out_identifiable else worth.counts.without_drop_out
    names = {name: getattr(counts, name) for name in ("r", "alpha", "s", "beta") if hasattr(counts, name)}
    if worth.values:
        names |= {name: getattr(worth.values, name) for name in ("p", "q", "v")}
    return {name: float(f"{value:.6g}") for name, value in names.items()}


def _matured(connection: duckdb.DuckDBPyConnection, as_of: date, models: Path) -> dict[str, Any] | None:
    """How the model that stood at the newest month end whose 90 days are over did."""
    cut = next(end for months in range(-2, -6, -1) if BUYS.moved(end := month_end(as_of, months), 1) <= as_of)
    card = store.newest_card(models, TARGET, cut)
    snapshot = read_snapshot(connection, cut)
    if card is None or not len(snapshot.customers):
        return None
    worth: Worth = store.load(models, card["model_id"])
    said = worth.counts.probability_of_order(read_orders(connection, snapshot).histories, BUYS.days)
    came = window_values(connection, BUYS.outcome, snapshot, cut, BUYS.moved(cut, 1))
    return {
        "cut": str(cut),
        "model_id": card["model_id"],
        "customers": len(snapshot.customers),
        "mean_probability": round(float(said.mean()), 6),
        "share": round(float(came.mean()), 6),
    }


def ask_worth(
    connection: duckdb.DuckDBPyConnection, worth: Worth, snapshot: Snapshot
) -> tuple[dict[str, Any], Floats]:
    """What is to be expected of the customers of a snapshot.

    Returns:
        {expected_orders_90d, expected_spend_90d, next_order_day, next_order_from, next_order_until}, each
        (customers,), and the probability of an order within 90 days, (customers,), by which drift is judged.
    """
    known = read_orders(connection, snapshot)
    orders = worth.counts.expected_orders(known.histories, BUYS.days)
    spend = np.full(len(orders), np.nan)
    if worth.values:
        spend = orders * worth.values.expected_value(known.orders, known.mean_value)
    coming = next_order_day(worth.counts, known.histories, [BUYS.days])
    days = {"next_order_day": coming.day, "next_order_from": coming.low, "next_order_until": coming.high}
    columns = {name: _days_after(snapshot.as_of, after) for name, after in days.items()}
    return {"expected_orders_90d": orders, "expected_spend_90d": spend, **columns}, coming.probability[:, 0]


def _days_after(day: date, after: Floats) -> NDArray[np.datetime64]:
    days = np.full(len(after), np.datetime64("NaT"), dtype="datetime64[s]")
    told = ~np.isnan(after)
    days[told] = np.datetime64(day) + after[told].astype("timedelta64[D]")
    return days
