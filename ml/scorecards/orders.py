"""Read the orders that scorecards learn from: what was known of the customer the day before, and the outcome.

Scorecards decide whether a customer may pay on delivery (COD) or by instalments (EMI). They learn from
`features.order_features`, one row per order. A customer who asks today is scored on the columns of
`marts.master_data` and a basket, which are the same figures.

With cash on delivery the shop loses when a parcel is refused at the door. Where the shop reports refusals,
the label of orders on delivery is the refusal; where it does not (no public data set does), the label is that
a product of the order was returned within 60 days. These are two labels with models of their own, and a model
of one is never judged by the other. For instalments the label is default: an instalment is 30 days late,
whether it is paid in the end or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np

from goodstanding.core.sql import identifier, literal
from goodstanding.decisions.order import WEIGHT, WORDS, column_and_word, word_name
from goodstanding.decisions.scorecard import Scorecard
from ml import drift, store
from ml.cards import ModelCard
from ml.features import Snapshot
from ml.measures import Floats
from ml.scorecards.bins import MINIMUM_SHARE
from ml.scorecards.fit import card_probability
from ml.tasks import Task

# What is known of a customer, and the basket. No protected attribute is among them, nor in any mart.
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
    # of shops that report how orders are paid and which are refused; elsewhere they earn nobody a point
    "refused_orders",
    "refused_orders_6m",
    "refusal_rate",
    "instalments",
    "instalments_due",
    "overdue_instalments",
    "orders_e_payment_6m",
    "orders_auto_billed_6m",
    "orders_on_delivery_6m",
    "orders_on_account_6m",
    "on_time_share",
    "worst_days_late",
    "mean_days_late",
    "last_days_late",
    "paid_share",
    "utilisation",
    "credit_limit",
    "outstanding",
)


@dataclass(frozen=True)
class Decision:
    """One label of orders, such as default, on which a way to pay is granted or refused, with its own models.

    Attributes:
        task: the label's lasting id, and the days after an order within which the order can turn bad.
        method: the way to pay that is decided on: cod or emi.
        bad_outcome: what a bad order is, in words; it is printed in every answer.
        is_asked: SQL condition on a row of `orders` (features.order_features): the label is about this order.
        is_bad: SQL condition on such a row: the order turned bad.
        baselines: {characteristic: description} that a scorecard has to gain on, each alone.
        is_reported: SQL condition: by the end of $as_of the shop had reported any bad order of this kind.
        note: goes with every answer, or None.
        months: a scorecard is tested on the orders of so many months at once.
    """

    task: Task
    method: str
    bad_outcome: str
    is_asked: str
    is_bad: str
    baselines: Mapping[str, str]
    is_reported: str = "true"
    note: str | None = None
    months: int = 1

    @property
    def name(self) -> str:
        """The label's id, by which its models and evaluations are known."""
        return self.task.name

    @property
    def window(self) -> timedelta:
        """The days after an order within which it can turn bad."""
        return timedelta(days=self.task.days)


# A customer who is wrongly trusted costs as much as so many who are wrongly refused: assumed, as the
# literature on credit does.
COST_RATIO = 5.0
BASKET_ALONE = {"basket": "the amount of the order alone; a logistic curve makes it a probability"}


def _account(condition: str) -> str:
    """SQL: what was reported of how an order is paid, and whether it was refused, meets a condition."""
    return f"""
    exists (
        select 1 from features.order_accounts as accounts
        where
            accounts.customer_id = orders.customer_id and accounts.invoice_no = orders.invoice_no
            and accounts.invoice_day = orders.invoice_day
            and {condition}
    )
    """


def _paid(method_kind: str, days: int) -> str:
    return _account(
        f"accounts.method_kind = '{method_kind}' and accounts.method_day <= orders.invoice_day + {days}"
    )


def _refused(days: int) -> str:
    return _account(
        f"accounts.method_kind = 'on_delivery' and accounts.refused_day <= orders.invoice_day + {days}"
    )


def _instalment(days: int, condition: str) -> str:
    """SQL: as was known so many days after the order, an instalment of it meets a condition."""
    return f"""
    exists (
        select 1 from features.instalment_states as states
        where
            states.customer_id = orders.customer_id and states.invoice_no = orders.invoice_no
            and states.invoice_day = orders.invoice_day
            and states.valid_from <= orders.invoice_day + {days}
            and (states.valid_until is null or states.valid_until > orders.invoice_day + {days})
            and {condition}
    )
    """


# how late an instalment is after 90 days, as in macros/accounts.sql; null where it is not known
LATE_AFTER_90 = """
case
    when states.days_late is not null then states.days_late
    when states.settled_day is not null then states.settled_day - states.due_day
    when states.paid_amount < states.amount and states.amount > 0
        then orders.invoice_day + 90 - states.due_day
end
"""
IS_LATE = _instalment(90, f"{LATE_AFTER_90} >= 30")
# Not known is neither late nor in time, so such an order teaches nothing; due later is not so late yet.
MAY_BE_LATE = _instalment(
    90, f"{LATE_AFTER_90} is null and states.amount > 0 and states.due_day <= orders.invoice_day + 60"
)


COD_REFUSED = Decision(
    Task(
        "cod_refused",
        "which order on delivery is refused at the door within 30 days",
        ("no", "yes"),
        "",
        days=30,
        cost_ratio=COST_RATIO,
    ),
    "cod",
    "the parcel is refused at the door",
    is_asked=_paid("on_delivery", 30),
    is_bad=_refused(30),
    baselines={
        **BASKET_ALONE,
        "refusal_rate": "the share of earlier orders that were refused, alone; a logistic curve likewise",
    },
    is_reported="""
    exists (
        select 1 from features.order_accounts
        where method_kind = 'on_delivery' and method_day <= $as_of and refused_day <= $as_of
    )
    """,
    # orders on delivery are only a part of all orders
    months=3,
)
COD = Decision(
    Task(
        "cod",
        "which order has a product given back within 60 days",
        ("no", "yes"),
        "",
        days=60,
        cost_ratio=COST_RATIO,
    ),
    "cod",
    "a product of the order is given back within 60 days",
    is_asked="true",
    # an order that was refused at the door is cancelled, too, but was never handed over
    is_bad=f"""
    exists (
        select 1 from features.invoice_states as states
        where
            states.customer_id = orders.customer_id and states.invoice_no = orders.invoice_no
            and states.invoice_day = orders.invoice_day
            and states.is_returned and states.valid_from <= orders.invoice_day + 60
    )
    and not {_refused(60)}
    """,
    baselines={
        **BASKET_ALONE,
        "return_rate": "the share of earlier orders that came back, alone; a logistic curve likewise",
    },
    note="The shop reports no refusals at the door: this score predicts whether a product is given back.",
)
EMI = Decision(
    Task(
        "emi",
        "which order on account has an instalment that is 30 days late within 90 days",
        ("no", "yes"),
        "",
        days=90,
        cost_ratio=COST_RATIO,
    ),
    "emi",
    "an instalment of the order is 30 days late within 90 days",
    is_asked=f"{_paid('on_account', 90)} and ({IS_LATE} or not {MAY_BE_LATE})",
    is_bad=IS_LATE,
    baselines={
        **BASKET_ALONE,
        "mean_days_late": "how late earlier instalments were on average, alone; a logistic curve likewise",
    },
    # orders on account are few
    months=3,
)
# Of the labels of one method, training takes the first that the shop reports; all of them are evaluated.
DECISIONS = (COD_REFUSED, COD, EMI)
METHODS = tuple(dict.fromkeys(decision.method for decision in DECISIONS))
# The orders of one day are too few to compare with those learnt from. Calibration is judged on as many days
# for each month on which a decision is tested.
ASKED_DAYS = 30
# Twice what 30 days of the Online Retail year were off at most (.022), and a little more. With fewer than
# `MINIMUM_MATURED` orders, chance alone moves the bad rate by as much (twice the standard error of .17).
CALIBRATION = 0.05
MINIMUM_MATURED = 200


def characteristics(connection: duckdb.DuckDBPyConnection, as_of: date) -> tuple[str, ...]:
    """`CHARACTERISTICS`, and those of the order itself that the shop has reported by the end of a day.

    These are its weight, and each word of its payment type and channel that enough orders have for a bin.
    """
    counted = " union all ".join(
        f"select {place} as place, '{column}' as name, {column} as word, count(*) as orders from reported "
        f"where {column} is not null group by all"
        for place, column in enumerate(WORDS)
    )
    rows = connection.execute(
        f"""
        with reported as (from features.order_features where basket > 0 and invoice_day <= $as_of)
        select name, word from ({counted})
        where orders >= {MINIMUM_SHARE} * (select count(*) from reported) order by place, word
        """,
        {"as_of": as_of},
    ).fetchall()
    weighed = connection.execute(
        f"select count({WEIGHT}) > 0 from features.order_features where basket > 0 and invoice_day <= $as_of",
        {"as_of": as_of},
    ).fetchall()
    weight = (WEIGHT,) if weighed == [(True,)] else ()
    return (*CHARACTERISTICS, *weight, *(word_name(column, word) for column, word in rows))


def _column(name: str) -> str:
    """SQL for a characteristic, from features.order_features."""
    found = column_and_word(name)
    if found is None:
        return name
    column, word = found
    # null where the order has no word
    return f"cast({column} = {literal(word)} as double) as {identifier(name)}"


def read_spans(
    connection: duckdb.DuckDBPyConnection,
    decision: Decision,
    spans: Sequence[tuple[date, date]],
    names: Sequence[str] = CHARACTERISTICS,
) -> list[Snapshot]:
    """Read the orders of a decision in each span: what was known before each, and whether it turned bad.

    All spans are read at once: the figures of an order are computed from all orders before it, which takes as
    long for a day as for a year.

    Args:
        connection: a warehouse with the marts.
        decision: whose orders.
        spans: each after a day, up to and with another.
        names: the characteristics to read.

    Returns:
        A snapshot per span. A row is an order, so a customer may occur several times; `features` is indexed
        by the number of the order. `outcome` is whether it turned bad in the window after it, as far as the
        warehouse knows that window.
    """
    rows = connection.execute(
        f"""
        select
            customer_id, invoice_no, invoice_day, {", ".join(map(_column, names))},
            {decision.is_bad} as is_bad
        from features.order_features as orders
        where basket > 0 and invoice_day > $since and invoice_day <= $until and {decision.is_asked}
        order by invoice_day, basket, invoice_no, customer_id
        """,
        {"since": min(since for since, _ in spans), "until": max(until for _, until in spans)},
    ).df()
    days = rows.pop("invoice_day").to_numpy(dtype="datetime64[D]")
    customers = rows.pop("customer_id").to_numpy(dtype=object)
    is_bad = rows.pop("is_bad").to_numpy(dtype=bool)
    features = rows.set_index("invoice_no").astype(np.float64)
    snapshots = []
    for since, until in spans:
        of_span = (days > np.datetime64(since)) & (days <= np.datetime64(until))
        snapshots.append(Snapshot(until, customers[of_span], features[of_span], is_bad[of_span]))
    return snapshots


def reported_decisions(connection: duckdb.DuckDBPyConnection, as_of: date) -> list[Decision]:
    """The labels that the shop had reported by the end of a day, in the order of `DECISIONS`."""

    def is_reported(decision: Decision) -> bool:
        parameters = {"as_of": as_of} if "$as_of" in decision.is_reported else {}
        rows = connection.execute(f"select {decision.is_reported}", parameters).fetchall()
        return bool(rows == [(True,)])

    return [decision for decision in DECISIONS if is_reported(decision)]


def decisions_to_train(connection: duckdb.DuckDBPyConnection, as_of: date) -> list[Decision]:
    """The label of each method that a training learns: the first that the shop reports."""
    first: dict[str, Decision] = {}
    for decision in reported_decisions(connection, as_of):
        first.setdefault(decision.method, decision)
    return list(first.values())


def newest_card(models: Path, method: str, as_of: date) -> tuple[Decision, ModelCard | None]:
    """The newest scorecard of a method not after a day with its label; None where there is none.

    Where a shop begins to report refusals, its present card is used until one of refusals has been trained.

    Raises:
        DataProblem: a card cannot be read.
    """
    newest: tuple[Decision, ModelCard] | None = None
    labels = [decision for decision in DECISIONS if decision.method == method]
    for decision in labels:
        card = store.newest_card(models, decision.name, as_of)
        # of two cards of one day the first label's
        if card and (newest is None or card["data_day"] > newest[1]["data_day"]):
            newest = decision, card
    return newest or (labels[-1], None)


def read_orders(
    connection: duckdb.DuckDBPyConnection,
    decision: Decision,
    since: date,
    until: date,
    names: Sequence[str] = CHARACTERISTICS,
) -> Snapshot:
    """As `read_spans`, for one span."""
    return read_spans(connection, decision, [(since, until)], names)[0]


def drift_of_orders(
    connection: duckdb.DuckDBPyConnection,
    decision: Decision,
    card: ModelCard,
    as_of: date,
    models: Path,
) -> list[drift.Drift]:
    """How far the orders of the last 30 days are from those learnt from; [] where there are no such orders.

    The last figure is the calibration on the newest orders whose windows are over: their bad rate against
    the mean probability of the card that was in use before the first of them. It is left out where no card
    was, or where there are fewer than `MINIMUM_MATURED` such orders.
    """
    over = as_of - decision.window
    cut = over - timedelta(days=ASKED_DAYS * decision.months)
    in_use = store.newest_card(models, decision.name, cut)
    names = dict.fromkeys([*card["feature_names"], *(in_use["feature_names"] if in_use else ())])
    recent, matured = read_spans(
        connection, decision, [(as_of - timedelta(days=ASKED_DAYS), as_of), (cut, over)], list(names)
    )
    if not len(recent.customers):
        return []
    drifts = drift.measure(card, recent, _probability(card, recent))
    if in_use and len(matured.customers) >= MINIMUM_MATURED:
        predicted = float(np.mean(_probability(in_use, matured)))
        bad_rate = float(np.mean(matured.labels))
        drifts.append(drift.calibration(str(cut), predicted, bad_rate, CALIBRATION))
    return drifts


def _probability(card: ModelCard, orders: Snapshot) -> Floats:
    scorecard = Scorecard.from_json(card["scorecard"])
    columns = {name: orders.matrix([name])[:, 0] for name in scorecard.names}
    return card_probability(scorecard, columns)
