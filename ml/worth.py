"""Forecast each customer's orders and spend in the next 90 days, and the day of the next order.

Every training fits a count model and a model of order values on all customers of its day: they need no
outcome to learn from. Every daily run applies them to the histories of that day. `ml.value` measures how good
these forecasts are; boosted trees beside the models do not rank customers clearly better there, so the models
are used alone here.
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
from goodstanding.core.version import code_version
from goodstanding.warehouse.figures import figures
from ml import drift, store
from ml.cards import Matured, ModelCard
from ml.features import MINIMUM_OF_CLASS, Snapshot, month_end, read_snapshot
from ml.lifetime import (
    MOST_CORRELATED,
    GammaGamma,
    Histories,
    ParetoNBD,
    Purchases,
    next_order_day,
)
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
    """The fitted models.

    Attributes:
        counts: of the number of orders.
        values: of the value of an order; None where that depends on the number of orders.
    """

    counts: ParetoNBD
    values: GammaGamma | None


def read_purchases(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> Purchases:
    """The orders of the customers of a snapshot, in its order, that counted at the end of its day.

    Histories are in days.
    """
    rows = connection.execute(ORDERS, {"since": date.min, "until": snapshot.as_of}).df()
    by_customer = rows.set_index("customer_id").reindex(snapshot.customers).astype(np.float64)
    orders = by_customer["orders"].to_numpy()
    histories = Histories(orders - 1, by_customer["recency"].to_numpy(), by_customer["age"].to_numpy())
    return Purchases(histories, orders, by_customer["spend"].to_numpy() / orders)


def train_worth(connection: duckdb.DuckDBPyConnection, as_of: date, models: Path) -> ModelCard:
    """Fit on what was known by a day, and store the model with its card.

    Its `recipe` is pareto_nbd, or nbd where no drop-out is identifiable.

    Raises:
        DataProblem: too short a history, or too few who ordered twice; it says what would be enough.
    """
    (day,) = connection.execute(
        "select max(as_of) from features.customer_features where as_of <= $1", [as_of]
    ).fetchone() or (None,)
    snapshot = read_snapshot(connection, day) if day else None
    if snapshot is None or not len(snapshot.customers):
        raise DataProblem(f"{TARGET} needs 1 day with customers; there is none up to {as_of}")
    purchases = read_purchases(connection, snapshot)
    history = int(purchases.histories.age.max())
    if history < BUYS.days:
        raise DataProblem(
            f"{TARGET} needs {BUYS.days} days of history; there are {history}, {BUYS.days - history} more "
            "would be enough"
        )
    repeat_buyers = int(np.sum(purchases.orders > 1))
    if repeat_buyers < MINIMUM_OF_CLASS:
        raise DataProblem(
            f"{TARGET} needs {MINIMUM_OF_CLASS} customers who ordered on two days or more; there are "
            f"{repeat_buyers}, {MINIMUM_OF_CLASS - repeat_buyers} more would be enough"
        )
    counts = ParetoNBD.fit(purchases.histories)
    correlation = purchases.correlation
    worth = Worth(counts, _values(purchases) if abs(correlation) <= MOST_CORRELATED else None)
    predicted = counts.probability_of_order(purchases.histories, BUYS.days)
    card: ModelCard = {
        "model_id": "",
        "target": TARGET,
        "data_day": str(as_of),
        "recipe": "pareto_nbd" if counts.drop_out_identifiable else "nbd",
        "description": "orders by a count model, their value by Gamma-Gamma",
        "fitted_on": {"cut": str(snapshot.as_of), "customers": len(snapshot.customers)},
        "parameters": _parameters(worth),
        "value_correlation": round(correlation, 6),
        "figures": figures(connection),
        "references": drift.references(snapshot, (), predicted, (snapshot, snapshot)),
        "matured": _matured(connection, as_of, models),
        "code_version": code_version(),
        "library_versions": store.library_versions(),
    }
    card["model_id"] = store.model_id(card, predicted.tobytes())
    store.save(worth, card, models)
    return card


def _values(purchases: Purchases) -> GammaGamma:
    spent = purchases.mean_value > 0
    return GammaGamma.fit(purchases.orders[spent], purchases.mean_value[spent])


def _parameters(worth: Worth) -> dict[str, float]:
    counts = worth.counts if worth.counts.drop_out_identifiable else worth.counts.without_drop_out
    names = {name: getattr(counts, name) for name in ("r", "alpha", "s", "beta") if hasattr(counts, name)}
    if worth.values:
        names |= {name: getattr(worth.values, name) for name in ("p", "q", "v")}
    return {name: float(f"{value:.6g}") for name, value in names.items()}


def _matured(connection: duckdb.DuckDBPyConnection, as_of: date, models: Path) -> Matured | None:
    """How well the model in use predicted the newest 90 days that are over; None where none was in use."""
    cut = next(end for months in range(-2, -6, -1) if BUYS.moved(end := month_end(as_of, months), 1) <= as_of)
    card = store.newest_card(models, TARGET, cut)
    snapshot = read_snapshot(connection, cut)
    if card is None or not len(snapshot.customers):
        return None
    worth: Worth = store.load(models, card["model_id"])
    histories = read_purchases(connection, snapshot).histories
    predicted = worth.counts.probability_of_order(histories, BUYS.days)
    bought = window_values(connection, BUYS.outcome, snapshot, cut, BUYS.moved(cut, 1))
    return {
        "cut": str(cut),
        "model_id": card["model_id"],
        "customers": len(snapshot.customers),
        "mean_probability": round(float(predicted.mean()), 6),
        "share": round(float(bought.mean()), 6),
    }


def ask_worth(
    connection: duckdb.DuckDBPyConnection, worth: Worth, snapshot: Snapshot
) -> tuple[dict[str, NDArray[Any]], Floats]:
    """Forecast the orders and the spend of the customers of a snapshot.

    Returns:
        The columns expected_orders_90d and expected_spend_90d (floats, the latter in the shop's currency),
        next_order_day, next_order_from and next_order_until (`datetime64`), (customers,) each; and the
        probability of an order within 90 days, (customers,), by which drift is judged.
    """
    purchases = read_purchases(connection, snapshot)
    orders = worth.counts.expected_orders(purchases.histories, BUYS.days)
    spend = np.full(len(orders), np.nan)
    if worth.values:
        # as `expected_spend` has it, whose orders are at hand
        spend = orders * worth.values.expected_value(purchases.orders, purchases.mean_value)
    next_order = next_order_day(worth.counts, purchases.histories, [BUYS.days])
    days = {
        "next_order_day": next_order.day,
        "next_order_from": next_order.low,
        "next_order_until": next_order.high,
    }
    dates = {name: _days_after(snapshot.as_of, offsets) for name, offsets in days.items()}
    return {"expected_orders_90d": orders, "expected_spend_90d": spend, **dates}, next_order.probability[:, 0]


def _days_after(day: date, offsets: Floats) -> NDArray[np.datetime64]:
    days = np.full(len(offsets), np.datetime64("NaT"), dtype="datetime64[s]")
    is_known = ~np.isnan(offsets)
    days[is_known] = np.datetime64(day) + offsets[is_known].astype("timedelta64[D]")
    return days
