"""The questions that `evaluate` asks of a shop: what becomes of a customer in a window after a cut.

One of them looks at no future at all: the class of today from the figures that made it. `SCORED` are those
that every daily run answers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from goodstanding.core.errors import WrongUse
from goodstanding.core.vocabulary import CLASSES
from ml.features import Snapshot, month_end

FORMULA = ("recency_days", "frequency", "monetary")

# What a question may know beside the features: the outcome of the window before the cut, the days on which
# the customer had ordered, and how many days ahead it asks.
BEFORE = "before"
ORDER_DAYS = "order_days"
DAYS_AHEAD = "days_ahead"

# Orders that count at the window's end: a cancellation after it changes nothing.
KEPT = """
    from features.invoice_states
    where
        is_kept and invoice_day > $since and invoice_day <= $until
        and valid_from <= $until and (valid_until is null or valid_until > $until)
"""
ORDERS = f"select customer_id, {{value}} as value {KEPT} group by customer_id"
RETURNS = """
    select distinct customer_id, 1 as value
    from features.product_cancellations
    where event_day > $since and event_day <= $until
"""
# Who has no class, having given everything back, is Worst by rule.
CLASS = f"""
    select customer_id, list_position({list(CLASSES)}, class) - 1 as value
    from features.customer_classes
    where as_of = $until
"""

Values = NDArray[np.float64]
Borders = Callable[[Values], Values]


def _each_class(values: Values) -> Values:
    return np.array([0.5, 1.5, 2.5])


def _yes_or_no(values: Values) -> Values:
    return np.array([0.5])


def _none_and_thirds(values: Values) -> Values:
    """Nobody's zero stands apart; the thirds are those of who spent anything."""
    spent = values[values > 0]
    return np.append(0.0, np.quantile(spent, [1 / 3, 2 / 3])) if len(spent) else np.zeros(1)


@dataclass(frozen=True)
class Task:
    """A question: what a customer does in the days, or up to the month end, after a cut.

    `outcome` is SQL for (customer_id, value) of the window after $since up to $until; who has no row has 0.
    `borders` of the train cut's values part the values into `classes`. Without `days` and `months` the
    question is about the cut itself, and the snapshots are random folds of one day. `cost_ratio`, where the
    second class is a risk: how many times as much it costs to trust wrongly as to refuse wrongly.
    """

    name: str
    question: str
    classes: tuple[str, ...]
    outcome: str
    borders: Borders = _yes_or_no
    days: int = 0
    months: int = 0
    is_about_orders: bool = False
    cost_ratio: float | None = None

    @property
    def is_formula(self) -> bool:
        """Whether the question is about the cut itself."""
        return not (self.days or self.months)

    def moved(self, cut: date, windows: int) -> date:
        """The end of as many windows after a cut."""
        if self.months:
            return month_end(cut, windows * self.months)
        return cut + windows * timedelta(days=self.days)


_NO_YES = ("no", "yes")

TASKS = {
    task.name: task
    for task in (
        Task(
            "present_class",
            "fidelity to the formula: the class of today from the three figures that made it",
            CLASSES,
            CLASS,
            _each_class,
        ),
        *(
            Task(
                f"buys_{days}d",
                f"who buys within {days} days",
                _NO_YES,
                ORDERS.format(value="1"),
                days=days,
                is_about_orders=True,
            )
            for days in (30, 60, 90)
        ),
        Task(
            "class_next_quarter",
            "the class three months on",
            CLASSES,
            CLASS,
            _each_class,
            months=3,
        ),
        Task(
            "value_tier_6m",
            "the tier of the money spent in the next six months: none, or a third of those who spent",
            ("none", "low", "middle", "high"),
            ORDERS.format(value="sum(net_amount)"),
            _none_and_thirds,
            months=6,
        ),
        Task(
            "returns_60d",
            "who cancels or returns a product within 60 days",
            _NO_YES,
            RETURNS,
            days=60,
        ),
    )
}


# Of the others one asks about today, and the tiers have borders of their own at every cut.
SCORED = tuple(t for t in TASKS.values() if not t.is_formula and t.borders is not _none_and_thirds)


def tasks_named(names: Sequence[str]) -> list[Task]:
    """The tasks with these names; all where none is named.

    Raises:
        WrongUse: there is no such task.
    """
    unknown = sorted(set(names) - set(TASKS))
    if unknown:
        raise WrongUse(f"there is no task {', '.join(unknown)}; there are {', '.join(TASKS)}")
    return [TASKS[name] for name in names or TASKS]


def window_values(
    connection: duckdb.DuckDBPyConnection, sql: str, snapshot: Snapshot, since: date, until: date
) -> Values:
    """The values of an `outcome` for the customers of a snapshot, in its order; 0 where there is none."""
    window = {"since": since, "until": until}
    rows = connection.execute(sql, {name: day for name, day in window.items() if f"${name}" in sql}).df()
    by_customer = rows.set_index("customer_id")["value"].astype(np.float64)
    return np.asarray(by_customer.reindex(snapshot.customers, fill_value=0.0), dtype=np.float64)


def classes_by(borders: Values, values: Values) -> NDArray[np.int64]:
    """The position of the class that each value belongs to."""
    return np.searchsorted(borders, values)


def known_to(
    connection: duckdb.DuckDBPyConnection, task: Task, snapshot: Snapshot, columns: Collection[str]
) -> Snapshot:
    """A snapshot with those of some columns that the question alone knows; the others are left alone.

    `BEFORE` is there for questions whose borders are the same at every cut, which all of `SCORED` are.
    """
    cut = snapshot.as_of
    added: dict[str, NDArray[Any]] = {}
    if ORDER_DAYS in columns:
        sql = ORDERS.format(value="count(distinct invoice_day)")
        added[ORDER_DAYS] = window_values(connection, sql, snapshot, date.min, cut)
    if DAYS_AHEAD in columns:
        added[DAYS_AHEAD] = np.full(len(snapshot.customers), float(task.days))
    if BEFORE in columns:
        before = window_values(connection, task.outcome, snapshot, task.moved(cut, -1), cut)
        added[BEFORE] = classes_by(task.borders(before), before)
    return replace(snapshot, features=snapshot.features.assign(**added)) if added else snapshot
