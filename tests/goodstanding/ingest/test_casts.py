"""Casting follows the mapping exactly, rounds nothing, and uses the shop's own day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from goodstanding.core.settings import Settings
from goodstanding.ingest.casts import cast, clock, instant
from goodstanding.shops.mapping import Column, Shop, load_shop
from tests.goodstanding.ingest.homes import SHOPS, Home


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


@pytest.fixture(scope="module")
def shop() -> Shop:
    return load_shop(Settings(_env_file=None))


@pytest.fixture
def value(connection: duckdb.DuckDBPyConnection, shop: Shop):  # type: ignore[no-untyped-def]
    def value(text: str | None, kind: str, **keys: object) -> Any:
        column = Column.model_validate({"from": "x", "as": kind, **keys})
        sql = f"select t, {cast('t', column)} as t_read from (select cast(? as varchar) as t)"
        if kind == "timestamp":
            sql = f"select *, {instant('t', column, shop)} as t_utc_value from ({sql})"
            sql = f"select {clock('t', column, shop)} from ({sql})"
        else:
            sql = f"select t_read from ({sql})"
        return connection.execute(sql, [text]).fetchall()[0][0]

    return value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("6", 6), ("-6", -6), ("+6", 6), (" 6.0 ", 6), ("1000000000", 10**9), ("-1000000000", -(10**9))),
        *((text, None) for text in ("3.7", "1000000001", "-1000000001", "1e3", "1_0", "1,0", "x", "", None)),
        ("9" * 60, None),
    ],
)
def test_an_integer_is_whole_and_within_the_limit(value, text, expected) -> None:  # type: ignore[no-untyped-def]
    assert value(text, "integer") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(
            ("2.55", "2.55"),
            ("-0.0001", "-0.0001"),
            (" +1. ", "1"),
            (".5", "0.5"),
            ("2.550000000000", "2.55"),
        ),
        ("99999999999999.9999", "99999999999999.9999"),
        *((text, None) for text in ("2.55001", "1.00000000000000001", "1e308", "1e2", "1_000", "1,5", ".")),
        *((text, None) for text in ("100000000000000", "nan", "inf", "-", "", "--1", "\u00a31", None)),
    ],
)
def test_an_amount_is_exact_to_four_decimals(value, text, expected) -> None:  # type: ignore[no-untyped-def]
    assert value(text, "decimal") == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("1,5", "1.5"), ("1.234,50", "1234.5"), ("-12.345.678,9", "-12345678.9"), ("1234,5", "1234.5")),
        ("1.500", "1500"),
        *(
            (text, None)
            for text in ("1.50", "1.5", "12.34,5", "1234.567,8", "1,2,3", "1,234.5", ".500", "1,23456")
        ),
    ],
)
def test_an_amount_with_misplaced_marks_is_refused(value, text, expected) -> None:  # type: ignore[no-untyped-def]
    read = value(text, "decimal", decimal_mark=",", thousands_mark=".")
    assert read == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize("mark", [",", " ", "'"])
def test_every_thousands_mark_is_read_as_itself(value, mark) -> None:  # type: ignore[no-untyped-def]
    assert value(f"1{mark}234{mark}567.8", "decimal", thousands_mark=mark) == Decimal("1234567.8")
    assert value("1.234.567", "decimal", thousands_mark=mark) is None


EIGHT = datetime(2011, 7, 4, 8, 0)


@pytest.mark.parametrize(
    ("text", "keys", "expected"),
    [
        ("2011-07-04 08:00:00", {}, EIGHT),
        (" 2011-07-04T08:00 ", {}, EIGHT),
        ("2011-07-04 08:00:00.25", {}, EIGHT.replace(microsecond=250_000)),
        ("2011-07-04", {}, datetime(2011, 7, 4)),
        # the shop is in London, an hour ahead of UTC in July
        ("2011-07-04 07:00:00Z", {}, EIGHT),
        ("2011-07-04 09:00:00+02", {}, EIGHT),
        ("2011-07-04T01:30:00-0530", {}, EIGHT),
        ("2011-07-04T12:30:00.0+05:30", {}, EIGHT),
        ("2011-07-04 07:00:00", {"zone": "UTC"}, EIGHT),
        ("2011-07-04 03:00:00", {"zone": "America/New_York"}, EIGHT),
        ("2011-07-04 09:00:00+02", {"zone": "America/New_York"}, EIGHT),
        ("04.07.2011 08:00", {"format": "%d.%m.%Y %H:%M"}, EIGHT),
        ("04.07.2011 07:00", {"format": "%d.%m.%Y %H:%M", "zone": "UTC"}, EIGHT),
        ("04.07.2011 09:00 +0200", {"format": "%d.%m.%Y %H:%M %z"}, EIGHT),
        *((text, {}, None) for text in ("04.07.2011 08:00", "2011-07-04 08:00 Europe/Paris", "infinity")),
        *(
            (text, {}, None)
            for text in ("2011-02-30", "2011-07-04 24:01", "2011-07-04 08:00 +02", "", "8", None)
        ),
        ("2011-07-04 08:00:00Z", {"format": "%Y-%m-%d %H:%M:%S"}, None),
        ("", {"format": "%Y-%m-%d"}, None),
    ],
)
def test_a_time_is_converted_to_the_shops_zone(value, text, keys, expected) -> None:  # type: ignore[no-untyped-def]
    assert value(text, "timestamp", **keys) == expected


# --- the days of shops on both sides of UTC, on ordinary days and when clocks change ---

AUCKLAND = {  # the instants (UTC) of the day's first and last second
    date(2011, 1, 5): ("2011-01-04 11:00:00", "2011-01-05 10:59:59"),
    date(2011, 7, 5): ("2011-07-04 12:00:00", "2011-07-05 11:59:59"),
    date(2011, 4, 3): ("2011-04-02 11:00:00", "2011-04-03 11:59:59"),  # 25 hours
    date(2011, 9, 25): ("2011-09-24 12:00:00", "2011-09-25 10:59:59"),  # 23 hours
}
NEW_YORK = {
    date(2011, 1, 5): ("2011-01-05 05:00:00", "2011-01-06 04:59:59"),
    date(2011, 7, 5): ("2011-07-05 04:00:00", "2011-07-06 03:59:59"),
    date(2011, 3, 13): ("2011-03-13 05:00:00", "2011-03-14 03:59:59"),  # 23 hours
    date(2011, 11, 6): ("2011-11-06 04:00:00", "2011-11-07 04:59:59"),  # 25 hours
}


@pytest.mark.parametrize("day", AUCKLAND)
def test_east_of_utc_times_in_utc_give_the_shops_own_day(tmp_path: Path, day: date) -> None:
    home = Home(tmp_path, str(SHOPS / "garden_store.yml"))
    instants = [datetime.fromisoformat(text) for text in AUCKLAND[day]]
    home.put(
        *(f"{n};ROSE;1;{instant};1,5;A" for n, instant in enumerate(around(instants))),
        name=f"{day:%Y/%m}/takings-{day:%Y%m%d}.csv",
        header='Receipt;Article;Pieces;Moment;"Price, each";Member',
    )
    home.ingest(day)
    check_borders(home, day)


@pytest.mark.parametrize("day", NEW_YORK)
def test_west_of_utc_instants_in_parquet_give_the_shops_own_day(tmp_path: Path, day: date) -> None:
    home = Home(tmp_path, str(SHOPS / "book_store.yml"))
    instants = [datetime.fromisoformat(text) for text in NEW_YORK[day]]
    file = home.put_bytes(b"", f"day={day}/orders.parquet")
    rows = ", ".join(
        f"('{n}', 'X', null, 1, timestamptz '{instant}+00', 1.5, 7)"
        for n, instant in enumerate(around(instants))
    )
    duckdb.execute(
        f"copy (from (values {rows}) as orders(order_id, isbn, title, copies, placed_at, price, reader))"
        f" to '{file}' (format parquet)"
    )
    home.ingest(day)
    check_borders(home, day)


def around(borders: list[datetime]) -> list[datetime]:
    """The last second before a day, its first and last, and the first after it."""
    first, last = borders
    return [
        datetime.fromtimestamp(moment.timestamp() + step)
        for moment, step in ((first, -1), (first, 0), (last, 0), (last, 1))
    ]


def check_borders(home: Home, day: date) -> None:
    assert home.accepted("line_number, cast(ordered_at as varchar)") == [
        (numbers(home)[1], f"{day} 00:00:00"),
        (numbers(home)[2], f"{day} 23:59:59"),
    ]
    assert [(number, reason.split(" in ")[0]) for number, reason in home.rejected()] == [
        (numbers(home)[0], f"ordered_at: a row of {date.fromordinal(day.toordinal() - 1)}"),
        (numbers(home)[3], f"ordered_at: a row of {date.fromordinal(day.toordinal() + 1)}"),
    ]


def numbers(home: Home) -> list[int]:
    """Line numbers count a CSV file's header; a Parquet file has none."""
    first = 1 if home.rows("select file_name from raw.files")[0][0].endswith(".parquet") else 2
    return [first + n for n in range(4)]
