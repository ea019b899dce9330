"""Settles commitments: what files tell of the orders that took an answer, and what is open of them.

Commitments lie beside the receipts (`app.api.commitments`), orders in the warehouse; they meet here, at each
publication, by the order's id. `matched_orders.sql` finds the order of each, `orders_of_commitments.sql` what
is told of it, and `settlements.sql` has the rules. What is told is computed from the start each time, so that
a file that comes late, or is withdrawn, changes it; it is written beside the commitments once readers see the
publication, with its time, because an answer that rests on an older one does not know the debts that the
newer one tells.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb
import pandas as pd

from goodstanding.core.errors import DataProblem

log = logging.getLogger(__name__)

FILE = "receipts.sqlite"
BUSY_SECONDS = 10
MATCHED = Path(__file__).with_name("matched_orders.sql")
ORDERS = Path(__file__).with_name("orders_of_commitments.sql")
SETTLEMENTS = Path(__file__).with_name("settlements.sql")
EXPOSURE = Path(__file__).with_name("exposure.sql")
COMMITMENTS = (
    *("receipt_id", "order_id", "method", "buyer", "day", "until", "cents", "return_days"),
    *("expires", "settled_until", "settled_cents", "settled_because"),
)
# whether the buyer asked by a customer's id, and not as a guest
IS_CUSTOMER = """
    select receipts.content ->> '$.customer' is not null from receipts
    where receipts.receipt_id = commitments.receipt_id
"""
PARTS = ("receipt_id", "until", "cents")
# the columns of commitments that hold numbers; a frame without rows has lost their types
NUMBERS = ("is_customer", "cents", "return_days", "settled_cents")


@dataclass(frozen=True)
class Exposure:
    """What is told of commitments as of a day.

    Attributes:
        rows: of `marts.exposure`.
        changes: by receipt, what is told and was not told before: the last day as ISO 8601 or None, the most
            that may be open in cents or None, and why; three times None where nothing is told any more.
    """

    rows: pd.DataFrame
    changes: dict[str, tuple[str | None, int | None, str | None]]


def expose(connection: duckdb.DuckDBPyConnection, receipts: Path, as_of: date) -> Exposure:
    """What the files up to a day tell of the commitments, and what is open of them.

    Args:
        connection: to both working files.
        receipts: the folder of the receipts.
        as_of: the newest day.
    """
    commitments, parts = _read(receipts / FILE)
    connection.register("commitments", commitments)
    connection.register("parts", parts)
    connection.execute(f"set variable as_of = date '{as_of}'")
    for step in (MATCHED, ORDERS, SETTLEMENTS):
        connection.execute(step.read_text(encoding="utf-8"))
    told = connection.execute("select * from settlements").fetchall()
    rows = connection.execute(EXPOSURE.read_text(encoding="utf-8")).df()
    connection.unregister("commitments")
    connection.unregister("parts")
    connection.execute("drop table settlements; drop table orders_of_commitments; drop table matched_orders")
    now = {receipt_id: (until and str(until), cents, because) for receipt_id, until, cents, because in told}
    before = commitments[["receipt_id", "settled_until", "settled_cents", "settled_because"]]
    changes = {}
    for receipt_id, until, cents, because in before.astype(object).itertuples(index=False):
        had = (_or_none(until), None if pd.isna(cents) else int(cents), _or_none(because))
        has = now.get(receipt_id, (None, None, None))
        if had != has:
            changes[receipt_id] = has
    return Exposure(rows, changes)


def settle(receipts: Path, exposure: Exposure, published_at: datetime) -> None:
    """Write what a publication tells beside the commitments, once readers see it."""
    if not exposure.changes:
        return
    at = published_at.isoformat(timespec="microseconds")
    try:
        with closing(sqlite3.connect(receipts / FILE, timeout=BUSY_SECONDS)) as file, file:
            file.executemany(
                "update commitments set settled_at = ?, settled_until = ?, settled_cents = ?, "
                "settled_because = ? where receipt_id = ?",
                [
                    (at if because else None, until, cents, because, receipt_id)
                    for receipt_id, (until, cents, because) in exposure.changes.items()
                ],
            )
    except sqlite3.Error as error:
        # what is not told stays open, and the next publication tells it
        log.warning("%s cannot be written (%s): what orders took is settled later", receipts / FILE, error)


def _read(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The commitments that were not released, and their parts; none where nothing was ever committed.

    Raises:
        DataProblem: the file cannot be read.
    """
    rows: list[tuple[object, ...]] = []
    parts: list[tuple[object, ...]] = []
    if not path.exists():
        return _frame(rows, (*COMMITMENTS, "is_customer")), _frame(parts, PARTS)
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as file:
            tables = {name for (name,) in file.execute("select name from sqlite_master")}
            if "commitments" in tables:
                is_open = "from commitments where released_at is null"
                columns = f"{', '.join(COMMITMENTS)}, coalesce(({IS_CUSTOMER}), 0)"
                rows = file.execute(f"select {columns} {is_open}").fetchall()
                parts = file.execute(
                    f"select * from parts where receipt_id in (select receipt_id {is_open})"
                ).fetchall()
    except sqlite3.Error as error:
        raise DataProblem(
            f"{path} cannot be read ({error}), so nobody knows what orders took; mend or restore it, and "
            "publish again"
        ) from None
    return _frame(rows, (*COMMITMENTS, "is_customer")), _frame(parts, PARTS)


def _frame(rows: list[tuple[object, ...]], columns: tuple[str, ...]) -> pd.DataFrame:
    types = {name: "Int64" if name in NUMBERS else "string" for name in columns}
    return pd.DataFrame(rows, columns=list(columns)).astype(types)


def _or_none(value: object) -> str | None:
    return None if pd.isna(value) else str(value)  # type: ignore[call-overload]
