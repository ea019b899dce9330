"""Reads a landing as a run would, and says what would come of it; the home is not touched.

What is told is what an ingest into a home of its own has found, which is deleted at the end: so it is what a
run would find.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypedDict

import duckdb

from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import Settings
from goodstanding.ingest.landed import days_in_landing
from goodstanding.ingest.load import ingest
from goodstanding.shops.kinds import KINDS
from goodstanding.shops.mapping import Orders, Shop, load_shop
from goodstanding.warehouse.files import open_intake
from goodstanding.warehouse.notices import LEFT_OUT


class CheckedFile(TypedDict):
    """One file of the landing.

    Attributes:
        name: its path within the landing.
        lines: below its header.
        orders: different invoice numbers in it, of an export of orders; else None.
        off: orders of it that do not come to their own total; None where they state none.
        first_day, last_day: the event days that it covers.
    """

    name: str
    lines: int
    orders: int | None
    off: int | None
    first_day: date
    last_day: date


class Reconciled(TypedDict):
    """How many orders come to their own total, and how many do not; 0 and 0 where they state none."""

    orders: int
    off: int


class LandingCheck(TypedDict):
    """What a run over some days would find.

    Attributes:
        first_day, last_day: the days.
        files: files with lines of these days, or whole exports. lines: in them.
        orders, customers: those that would count.
        lost: lines that would be set aside.
        set_aside: {reason: lines}, also of orders that are left out as the mapping says; numbers are # in it.
        reconciled: of the orders, see `Reconciled`.
        by_file: each file.
    """

    first_day: date
    last_day: date
    files: int
    lines: int
    orders: int
    customers: int
    lost: int
    set_aside: dict[str, int]
    reconciled: Reconciled
    by_file: list[CheckedFile]


def check_landing(settings: Settings, days: Days | None = None) -> LandingCheck:
    """What a run over these days, or over all that the landing holds, would find.

    Raises:
        WrongUse: the mapping or the landing cannot be used.
        DataProblem: there is no file, or one cannot be read at all.
        DayNotOver: the last day is not over in the shop's time zone.
    """
    shop = load_shop(settings)
    with TemporaryDirectory(prefix="goodstanding-check-") as folder:
        home = settings.model_copy(update={"home": Path(folder), "landing": settings.landing_folder})
        days = days or days_in_landing(home, shop)
        if days is None:
            raise DataProblem(
                f"no file in {settings.landing_folder} matches '{shop.sources[0].files.path}'; put the "
                f"shop's files there, or mend files.path in {shop.mapping_file}"
            )
        counts = ingest(home, days, "check")
        with open_intake(home) as connection:
            return _told(connection, shop, days, counts.get("ahead", 0))


def _told(connection: duckdb.DuckDBPyConnection, shop: Shop, days: Days, ahead: int) -> LandingCheck:
    by_file = _files(connection, shop)
    counts = connection.execute(
        """
        select count(distinct (event_day, invoice_no)), count(distinct customer_id) from raw.order_lines
        """
    ).fetchone()
    assert counts is not None
    set_aside: dict[str, int] = {}
    rejected = " union all ".join(f"select reason from raw.rejected_{kind.table}" for kind in KINDS)
    reasons = connection.execute(
        f"""
        select regexp_replace(reason, '[0-9]+([.][0-9]+)?', '#', 'g') as told, count(*)
        from ({rejected}) group by told order by 2 desc, 1
        """
    ).fetchall()
    set_aside |= dict(reasons)
    if ahead:
        set_aside["a day to come"] = ahead
    left_out = connection.execute(
        """
        select message, sum(lines)::bigint from raw.notices
        where topic in (select unnest($topics)) group by message order by 2 desc, 1
        """,
        {"topics": sorted(LEFT_OUT)},
    ).fetchall()
    orders, off = counts[0], sum(file["off"] or 0 for file in by_file)
    states_totals = isinstance(shop.orders, Orders) and shop.orders.order_total is not None
    return {
        "first_day": days.first,
        "last_day": days.last,
        "files": len(by_file),
        "lines": sum(file["lines"] for file in by_file),
        "orders": orders,
        "customers": counts[1],
        "lost": sum(set_aside.values()),
        "set_aside": set_aside | dict(left_out),
        "reconciled": {"orders": orders if states_totals else 0, "off": off},
        "by_file": by_file,
    }


def _files(connection: duckdb.DuckDBPyConnection, shop: Shop) -> list[CheckedFile]:
    """Each file once, also where several kinds of lines are read from it."""
    states_totals = shop.orders is not None and shop.orders.order_total is not None
    rows = connection.execute(
        """
        select
            file_name, max(lines), max(orders) filter (where kind = 'orders'),
            max(orders_off) filter (where kind = 'orders'), min(first_day), max(last_day)
        from raw.exports where first_day is not null group by file_name
        """
    ).fetchall()
    rows += [
        (name, lines, None, None, first, last)
        for name, lines, first, last in connection.execute(
            """
            select file_name, sum(lines)::bigint, min(event_day), max(event_day) from raw.files
            group by file_name
            """
        ).fetchall()
        if any(source.files.is_of_a_day and source.may_hold(name) for source in shop.sources)
    ]
    return [
        {
            "name": name,
            "lines": lines,
            "orders": orders,
            "off": off if states_totals else None,
            "first_day": first,
            "last_day": last,
        }
        for name, lines, orders, off, first, last in sorted(rows, key=lambda row: (row[4], row[0]))
    ]
