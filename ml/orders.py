"""Orders as a decision meets them: what was known the day before each, its basket, and whether it came back.

What is learnt from is `intermediate.int_order_features`, a row per order; a customer is asked about with the
columns of `marts.master_data` and a basket, which are the same figures. No public data tell who refused a
parcel at the door; that a product of the order was given back within 60 days stands for it.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np

from decisions.scorecard import Scorecard
from ml import drift
from ml.features import Snapshot
from ml.scorecards import card_probability
from ml.tasks import Task

TARGET = "cod"
FEARED = "a product of the order is given back within 60 days"
COD = Task(
    TARGET,
    "which order has a product given back within 60 days",
    ("no", "yes"),
    outcome="",
    days=60,
    # what a parcel costs that goes out and back, in margins of one that stays: assumed, as for credit
    cost_ratio=5.0,
)

# What is known of a customer, and the basket. Nothing protected is among them, nor in any mart.
CHARACTERISTICS = (
    "basket",
    "orders",
    "returned_orders",
    "cancelled_orders",
    "return_rate",
    "orders_6m",
    "returned_orders_6m",
    "cancelled_orders_6m",
    "return_rate_6m",
    "returned_share",
    "cancellations",
    "cancellation_rate",
    "cancelled_lines_rate",
    "days_since_cancellation",
    "recency_days",
    "tenure_days",
    "frequency",
    "monetary",
    "monetary_6m",
    "mean_gap_days",
    "mean_lines",
    "mean_basket",
    "largest_basket",
    "last_basket",
    "r_score",
    "f_score",
    "m_score",
    "credit_score",
)
# A day's orders are too few to compare with those learnt from.
ASKED_DAYS = 30


def read_orders(connection: duckdb.DuckDBPyConnection, since: date, until: date) -> Snapshot:
    """The orders after a day up to another, with what was known before each and whether it came back.

    The rows are orders, so a customer may stand in several; `outcome` knows the 60 days after each order, as
    far as the warehouse does.
    """
    rows = connection.execute(
        f"""
        select
            customer_id,
            {", ".join(CHARACTERISTICS)},
            exists (
                select 1 from intermediate.int_invoice_states as states
                where
                    states.customer_id = orders.customer_id and states.invoice_no = orders.invoice_no
                    and states.returned_amount > 0 and states.valid_from <= orders.invoice_day + {COD.days}
            ) as came_back
        from intermediate.int_order_features as orders
        where basket > 0 and invoice_day > $since and invoice_day <= $until
        order by invoice_day, basket, invoice_no, customer_id
        """,
        {"since": since, "until": until},
    ).df()
    customers = rows.pop("customer_id").to_numpy(dtype=object)
    outcome = rows.pop("came_back").to_numpy(dtype=bool)
    return Snapshot(until, customers, rows.astype(np.float64), outcome)


def drift_of_orders(
    connection: duckdb.DuckDBPyConnection, card: dict[str, Any], as_of: date
) -> list[drift.Drift]:
    """How far the orders of the last 30 days are from those learnt from; [] where there is none."""
    asked = read_orders(connection, as_of - timedelta(days=ASKED_DAYS), as_of)
    if not len(asked.customers):
        return []
    scorecard = Scorecard.from_json(card["scorecard"])
    columns = {each.name: asked.matrix([each.name])[:, 0] for each in scorecard.characteristics}
    return drift.measure(card, asked, card_probability(scorecard, columns))
