"""What a suite is made of: batches, each a query and the expectations that its rows must meet.

A gate's module (`raw_orders`, `invoices`, `scores`, `predictions`) holds its `BATCHES`; long queries are in
`expectations/sql/`. To add an expectation, add one line to a batch: any class of
`great_expectations.expectations` on a column that the batch's query selects. `description` is the sentence
that people read when it fails; without one, Great Expectations words it. Where the mapping may set a limit of
its own (`limits`), it gives the usual one and names the key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

# 1.24 sends no usage data; earlier versions did unless this was set before the import, and a later one may
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

import great_expectations.expectations as gxe

if TYPE_CHECKING:
    import pandas as pd

    from goodstanding.shops.mapping import Limits

# Shares of classes and of customers, and the mean of probabilities, are judged of at least so many customers:
# 95 came on the first real day. What is judged of a day's lines has rules for days of any size (`usual`).
ENOUGH = 100
FEW_CUSTOMERS = f"there are fewer than {ENOUGH} customers"
# why most rows have nothing to judge where a column is NULL
TOO_YOUNG = "there are fewer than 7 trading days before it to compare with"


class Told(NamedTuple):
    """What is said of a day beside the verdict: either a `text`, or how many `lines` a `topic` has.

    Attributes:
        event_day: the day.
        topic: what it is about; of a range, the rows of a topic are said once.
        lines: how many lines of the day it is true of; None where there is a text.
        place: the first of them; None where there is a text.
        text: as it is said; None where lines are counted.
    """

    event_day: date
    topic: str
    lines: int | None
    place: str | None
    text: str | None


@dataclass(frozen=True)
class Batch:
    """A query, and the expectations that its rows must meet.

    Attributes:
        name: what the rows are, for people: "order lines".
        sql: one query; it may use $first and $last (the days judged), $as_of_days (how many days of snapshots
            the marts keep), $enough (`ENOUGH`), and of the mapping $invoice_column (the place of invoice_no
            among its columns, from 1 on), $rule and $rule_column (of cancellations; null without one) and
            $stopped (the keys of `invoices` that say stop). NULL means "not judged" to every expectation but
            the not-null ones. Where its rows have an `event_day`, the days of those that fail are the failed
            ones; else all days of the run are.
        key: columns that name a row in a message. They must not identify a person: a customer appears by the
            first 8 characters of the pseudonym at most.
        expectations: all must hold. Of a batch taken in chunks they must hold in each chunk.
        chunked_by: the table whose `event_day` splits a long range of days into chunks; None takes it whole.
        optional: not every shop has such rows; where there are none the result leaves the batch out.
        judge: adds columns of verdicts to the rows, by the shop's limits: what SQL says less well.
        not_judged: why a column is NULL, by its name; a check that judged no row says so and has not passed.
        causes: queries of one column of text that say why a check fails, by its column; they may use $days,
            the failed days, besides $first and $last.
        tells: a query about the days whose rows are said beside the verdict: what stops nothing and must not
            stay silent. Its columns are those of `Told`.
    """

    name: str
    sql: str
    key: tuple[str, ...]
    expectations: Sequence[gxe.Expectation]
    chunked_by: str | None = None
    optional: bool = False
    judge: Callable[[pd.DataFrame, Limits], None] | None = None
    not_judged: Mapping[str, str] = field(default_factory=dict)
    causes: Mapping[str, str] = field(default_factory=dict)
    tells: str | None = None


def query(name: str) -> str:
    """The query in `expectations/sql/<name>.sql`."""
    return (Path(__file__).parent / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def holds(column: str, description: str) -> gxe.Expectation:
    """Expect a rule that the query computes exactly, in decimals: a boolean column that is never false."""
    return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=[True], description=description)


def present(column: str, description: str | None = None) -> gxe.Expectation:
    """Expect a value in every row."""
    return gxe.ExpectColumnValuesToNotBeNull(column=column, description=description)


def between(
    column: str,
    low: float | None,
    high: float | None,
    description: str | None = None,
    above_low: bool = False,
) -> gxe.Expectation:
    """Expect every value within closed bounds; None is no bound, and `above_low` leaves out the lower one."""
    return gxe.ExpectColumnValuesToBeBetween(
        column=column, min_value=low, max_value=high, strict_min=above_low, description=description
    )


def one_of(column: str, values: Sequence[str | int], description: str | None = None) -> gxe.Expectation:
    """Expect every value to be one of the few that the field's vocabulary knows."""
    return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values), description=description)


def unique(columns: Sequence[str], description: str | None = None) -> gxe.Expectation:
    """Expect the grain: no two rows with the same values in these columns."""
    return gxe.ExpectCompoundColumnsToBeUnique(column_list=list(columns), description=description)
