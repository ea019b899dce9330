"""Orders as a decision meets them: what was known the day before, the basket, and whether the feared came.

What is learnt from is `features.order_features`, a row per order; a customer is asked about with the
columns of `marts.master_data` and a basket, which are the same figures.

What is lost by cash on delivery is a parcel refused at the door. Where the shop tells refusals, that is
learnt of the orders on delivery; where it does not (no public data do), that a product of the order was given
back within 60 days stands for it. They are two labels, each with models of its own: what was learnt of one is
never held against the other. For what is lost by instalments stands that one was 30 days late, paid or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from goodstanding.decisions.scorecard import Scorecard
from ml import drift, store
from ml.features import Snapshot
from ml.measures import Floats
from ml.scorecards.fit import card_probability
from ml.tasks import Task

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
    # of shops that tell how orders are paid and which are refused; elsewhere they earn nobody a point
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
    """One on which orders are let pass or not, and what is feared of them: a label, with models of its own.

    `task` has the label's lasting id and the days after an order within which it may come; `method` is what
    is decided on. `asked`, `came` and `told` are SQL conditions: whether a row of `orders`
    (features.order_features) is such an order, whether it came, and whether the shop had told of any by
    $as_of. `alone` are the characteristics that a scorecard has to gain on, and what to say of each. `note`
    goes with every answer. It is tested on the orders of so many `months` at once.
    """

    task: Task
    method: str
    feared: str
    asked: str
    came: str
    alone: Mapping[str, str]
    told: str = "true"
    note: str | None = None
    months: int = 1

    @property
    def name(self) -> str:
        """The label's id, by which its models and evaluations are known."""
        return self.task.name

    @property
    def window(self) -> timedelta:
        """The days after an order."""
        return timedelta(days=self.task.days)


# What one wrongly trusted costs, in margins of one wrongly refused: assumed, as literature on credit does.
COST_RATIO = 5.0
BASKET_ALONE = {"basket": "the amount of the order alone; a logistic curve makes it a probability"}


def _account(condition: str) -> str:
    """That what was told of how an order is paid, and whether it was refused, fulfils a condition."""
    return f"""
    exists (
        select 1 from features.order_accounts as accounts
        where
            accounts.customer_id = orders.customer_id and accounts.invoice_no = orders.invoice_no
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
    asked=_paid("on_delivery", 30),
    came=_refused(30),
    alone={
        **BASKET_ALONE,
        "refusal_rate": "the share of earlier orders that were refused, alone; a logistic curve likewise",
    },
    told="""
    exists (
        select 1 from features.order_accounts
        where method_kind = 'on_delivery' and method_day <= $as_of and refused_day <= $as_of
    )
    """,
    # orders on delivery are some of all
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
    asked="true",
    # what was refused at the door is cancelled, too, and was never handed over
    came=f"""
    exists (
        select 1 from features.invoice_states as states
        where
            states.customer_id = orders.customer_id and states.invoice_no = orders.invoice_no
            and states.returned_amount > 0 and states.valid_from <= orders.invoice_day + 60
    )
    and not {_refused(60)}
    """,
    alone={
        **BASKET_ALONE,
        "return_rate": "the share of earlier orders that came back, alone; a logistic curve likewise",
    },
    note="No refusals at the door have been learnt from: that a product is given back stands for them.",
)
EMI = Decision(
    Task(
        "emi",
        "of which order on account an instalment is 30 days late within 90 days",
        ("no", "yes"),
        "",
        days=90,
        cost_ratio=COST_RATIO,
    ),
    "emi",
    "an instalment of the order is 30 days late within 90 days",
    asked=_paid("on_account", 90),
    # as macros/accounts.sql counts days late, at the end of the window
    came="""
    exists (
        select 1 from features.instalment_states as states
        where
            states.customer_id = orders.customer_id and states.invoice_no = orders.invoice_no
            and states.valid_from <= orders.invoice_day + 90
            and (states.valid_until is null or states.valid_until > orders.invoice_day + 90)
            and coalesce(
                states.days_late, coalesce(states.paid_day, orders.invoice_day + 90) - states.due_day
            ) >= 30
    )
    """,
    alone={
        **BASKET_ALONE,
        "mean_days_late": "how late earlier instalments were on the mean, alone; a logistic curve likewise",
    },
    # orders on account are few
    months=3,
)
# Of the labels of one method the first that the shop tells is learnt for decisions; all are evaluated.
DECISIONS = (COD_REFUSED, COD, EMI)
METHODS = tuple(dict.fromkeys(each.method for each in DECISIONS))
# A day's orders are too few to compare with those learnt from. By as many days, for each month on which a
# decision is tested, calibration is judged.
ASKED_DAYS = 30
# Twice what 30 days of the Online Retail year were off at most (.022), and some. Of fewer orders chance alone
# moves the share that came by as much (twice the standard error of .17).
CALIBRATION = 0.05
MINIMUM_MATURED = 200


def read_spans(
    connection: duckdb.DuckDBPyConnection, decision: Decision, spans: Sequence[tuple[date, date]]
) -> list[Snapshot]:
    """The orders of a decision after a day up to another: what was known before each, and what came.

    A row is an order, so a customer may stand in several; `features` is indexed by its number. `outcome`
    knows the window after each order as far as the warehouse does. All spans are read at once: the figures of
    an order are computed from all orders before it, which takes as long for a day as for a year.
    """
    rows = connection.execute(
        f"""
        select customer_id, invoice_no, invoice_day, {", ".join(CHARACTERISTICS)}, {decision.came} as came
        from features.order_features as orders
        where basket > 0 and invoice_day > $since and invoice_day <= $until and {decision.asked}
        order by invoice_day, basket, invoice_no, customer_id
        """,
        {"since": min(since for since, _ in spans), "until": max(until for _, until in spans)},
    ).df()
    days = rows.pop("invoice_day").to_numpy(dtype="datetime64[D]")
    customers = rows.pop("customer_id").to_numpy(dtype=object)
    outcome = rows.pop("came").to_numpy(dtype=bool)
    features = rows.set_index("invoice_no").astype(np.float64)
    found = []
    for since, until in spans:
        of_span = (days > np.datetime64(since)) & (days <= np.datetime64(until))
        found.append(Snapshot(until, customers[of_span], features[of_span], outcome[of_span]))
    return found


def told_decisions(connection: duckdb.DuckDBPyConnection, as_of: date) -> list[Decision]:
    """Those of which the shop had told by a day, in the order of `DECISIONS`."""
    return [
        each
        for each in DECISIONS
        if connection.execute(
            f"select {each.told}", {"as_of": as_of} if "$as_of" in each.told else {}
        ).fetchall()
        == [(True,)]
    ]


def learnt_decisions(connection: duckdb.DuckDBPyConnection, as_of: date) -> list[Decision]:
    """The one of each method that a training learns: where refusals are told, nothing need stand for them."""
    first: dict[str, Decision] = {}
    for each in told_decisions(connection, as_of):
        first.setdefault(each.method, each)
    return list(first.values())


def newest_card(models: Path, method: str, as_of: date) -> tuple[Decision, dict[str, Any] | None]:
    """The newest card of a method not after a day, and of which label it is; None where there is none.

    Where a shop begins to tell refusals, the card that it has goes on until one of refusals is learnt.

    Raises:
        DataProblem: a card cannot be read.
    """
    labels = [each for each in DECISIONS if each.method == method]
    found = [(each, card) for each in labels if (card := store.newest_card(models, each.name, as_of))]
    # of one day's cards the first label's
    return max(found, key=lambda pair: pair[1]["data_day"], default=(labels[-1], None))


def read_orders(
    connection: duckdb.DuckDBPyConnection, decision: Decision, since: date, until: date
) -> Snapshot:
    """One of `read_spans`."""
    return read_spans(connection, decision, [(since, until)])[0]


def drift_of_orders(
    connection: duckdb.DuckDBPyConnection,
    decision: Decision,
    card: dict[str, Any],
    as_of: date,
    models: Path,
) -> list[drift.Drift]:
    """How far the orders of the last 30 days are from those learnt from; [] where there is none.

    And the calibration on the newest orders whose windows are over: what came of them against what the card
    said that stood before the first of them.
    """
    over = as_of - decision.window
    cut = over - timedelta(days=ASKED_DAYS * decision.months)
    asked, matured = read_spans(
        connection, decision, [(as_of - timedelta(days=ASKED_DAYS), as_of), (cut, over)]
    )
    if not len(asked.customers):
        return []
    found = drift.measure(card, asked, _probability(card, asked))
    stood = store.newest_card(models, decision.name, cut)
    if stood and len(matured.customers) >= MINIMUM_MATURED:
        said, came = (float(np.mean(each)) for each in (_probability(stood, matured), matured.labels))
        found.append(drift.calibration(str(cut), said, came, CALIBRATION))
    return found


def _probability(card: dict[str, Any], asked: Snapshot) -> Floats:
    scorecard = Scorecard.from_json(card["scorecard"])
    return card_probability(
        scorecard, {each.name: asked.matrix([each.name])[:, 0] for each in scorecard.characteristics}
    )
