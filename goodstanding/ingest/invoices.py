"""Makes the invoices of staged order lines whole, and notices those that contradict themselves.

An invoice is the lines of one customer with one number on one day. An export may name the customer on the
first line of an invoice alone; then all its lines get that customer, in whichever of the day's files they
stand. `invoices_whole.sql` does it. The other scripts tell of it, of numbers that come again and of second
currencies, and `equal_lines.sql`, for every kind, of lines that two files have
(`goodstanding.warehouse.notices`).
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from goodstanding.core.days import Days
from goodstanding.core.sql import literal, rendered
from goodstanding.ingest.read import NO_PARTITIONS, exact
from goodstanding.ingest.stage import CURRENCY, OTHER_CURRENCY
from goodstanding.shops.kinds import Kind
from goodstanding.shops.mapping import Shop

SCRIPTS = [
    Path(__file__).with_name(f"invoices_{name}.sql")
    for name in ("whole", "customers", "numbers", "currencies")
]

EQUAL_LINES = Path(__file__).with_name("equal_lines.sql")


def make_invoices_whole(connection: duckdb.DuckDBPyConnection, shop: Shop, days: Days, staged: Path) -> None:
    """Let the view `staged_order_lines` carry customers over, and stage the notices about invoices.

    Args:
        connection: gets the view; has `staged_notices` and what raw holds of other days.
        shop: for what its mapping says of invoices.
        days: those whose partitions are replaced; all their lines are staged.
        staged: the file of typed lines.
    """
    invoices = shop.invoices
    assert shop.orders is not None
    for template in SCRIPTS:
        script = rendered(
            template,
            lines=f"read_parquet({literal(exact(staged))}, {NO_PARTITIONS})",
            source=literal(shop.source),
            first=literal(days.first),
            last=literal(days.last),
            carries_over=invoices.missing_customer == "carry_over",
            tells_customers=invoices.two_customers == "another",
            tells_numbers=invoices.number_again == "another",
            has_currency=CURRENCY in shop.orders.columns,
            other_currency=literal(f"{CURRENCY}: {OTHER_CURRENCY}"),
        )
        _run(connection, script)


def tell_equal_lines(connection: duckdb.DuckDBPyConnection, kind: Kind, days: Days) -> None:
    """Stage the notices about lines that two files of a day have.

    Args:
        connection: gets them; has `staged_notices` and the staged lines of the kind.
        kind: the kind of lines.
        days: those whose partitions are replaced.
    """
    script = rendered(
        EQUAL_LINES,
        table=kind.table,
        content=", ".join(("event_day", *kind.kept)),
        first=literal(days.first),
        last=literal(days.last),
    )
    _run(connection, script)


def _run(connection: duckdb.DuckDBPyConnection, script: str) -> None:
    for statement in connection.extract_statements(script):
        connection.execute(statement.query)
