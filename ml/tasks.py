"""The prediction questions (tasks): what a customer does in a window after a cut, like buying within 90 days.

`goodstanding evaluate` measures methods on all of them. One is no forecast at all: the class of today, from
the figures that it is computed from. `SCORED` are those that every daily run answers.
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
from goodstanding.warehouse.returns import RETURN_DAYS
from ml.features import Snapshot, month_end

FORMULA = ("recency_days", "frequency", "monetary")

# Columns that a question may have beside the features: the outcome of the window before the cut, the number
# of days on which the customer had ordered, and how many days ahead is asked.
BEFORE = "before"
ORDER_DAYS = "order_days"
DAYS_AHEAD = "days_ahead"

# The orders that count at the end of the window; a later cancellation does not change them.
KEPT = """
    from features.invoice_states
    where
        is_kept and invoice_day > $since and invoice_day <= $until
        and valid_from <= $until and (valid_until is null or valid_until > $until)
"""
ORDERS = f"select customer_id, {{value}} as value {KEPT} group by customer_id"
RETURNS = f"""
    select distinct customer_id, 1 as value
    from ({RETURN_DAYS})
    where event_day > $since and event_day <= $until
"""
# A customer who has given everything back has no class, and counts as Worst.
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
    """A class for those who spent nothing, and three of equal size for those who spent anything."""
    spent = values[values > 0]
    return np.append(0.0, np.quantile(spent, [1 / 3, 2 / 3])) if len(spent) else np.zeros(1)


@dataclass(frozen=True)
class Task:
    """A question: what a customer does in the days, or up to a month end, after a cut.

    Attributes:
        name: its lasting id, like buys_90d.
        question: in words.
        classes: the names of the classes, in the order of the probabilities.
        outcome: SQL for (customer_id, value) of the window after $since up to $until; a customer without a
            row has the value 0.
        borders: gives from the train cut's values the borders that divide values into `classes`.
        days: the length of the window; 0 where it is in months.
        months: the window ends at the end of this month after the cut. Without days and months the question
            is about the cut itself, and the snapshots are random folds of one day.
        is_about_orders: methods may read `ORDER_DAYS` and `DAYS_AHEAD`.
        cost_ratio: where the second class is a risk, how many times as much it costs to trust wrongly as to
            refuse wrongly; else None.
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
        """The end of so many windows after a cut; before it, where `windows` is negative."""
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


# Not scored: the one about today, and the tiers, which have other borders at every cut.
SCORED = tuple(t for t in TASKS.values() if not t.is_formula and t.borders is not _none_and_thirds)


def tasks_named(names: Sequence[str]) -> list[Task]:
    """The tasks with these names; all tasks where no name is given.

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
    """The values of an outcome for the customers of a snapshot, in its order, (customers,).

    Args:
        connection: a warehouse with the marts.
        sql: the `outcome` of a task.
        snapshot: the customers; one without a row has the value 0.
        since: the window begins after this day.
        until: its last day.
    """
    window = {"since": since, "until": until}
    rows = connection.execute(sql, {name: day for name, day in window.items() if f"${name}" in sql}).df()
    by_customer = rows.set_index("customer_id")["value"].astype(np.float64)
    return np.asarray(by_customer.reindex(snapshot.customers, fill_value=0.0), dtype=np.float64)


def classes_by(borders: Values, values: Values) -> NDArray[np.int64]:
    """(values,) the index of the class of each value; a border belongs to the class below it."""
    return np.searchsorted(borders, values)


def known_to(
    connection: duckdb.DuckDBPyConnection, task: Task, snapshot: Snapshot, columns: Collection[str]
) -> Snapshot:
    """Add to a snapshot those of some columns that only the question has; other columns are not touched.

    `BEFORE` is right only for questions whose borders are the same at every cut; those of `SCORED` are.

    Args:
        connection: a warehouse with the marts.
        task: the question.
        snapshot: the customers.
        columns: those that a model reads.
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
