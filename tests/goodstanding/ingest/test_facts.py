"""Facts of a line: its amount, its instant."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from goodstanding.core.errors import WrongUse
from tests.goodstanding.ingest.homes import DAY, HEADER, Home, home_with, line

PRICE = "  unit_price: {from: UnitPrice, as: decimal}\n"


@pytest.mark.parametrize(
    ("quantity", "price", "stored", "amount"),
    [
        ("3", "2.55", "2.55", "7.65"),
        # a total of 10.00 divided by its quantity
        ("3", "3.3333333333333335", "3.33333333", "10.0000"),
        ("7", "1.4285714285714286", "1.42857143", "10.0000"),
        ("1", "0.000000005", "0.00000001", "0"),
        ("1", "0.00000000499", "0", "0"),
        ("1", "0.00005", "0.00005", "0.0001"),
        ("-1", "0.00005", "0.00005", "-0.0001"),
        ("1", "-0.00005", "-0.00005", "-0.0001"),
        ("999999999", "0.00000001", "0.00000001", "10.0000"),
        ("0", "5", "5", "0"),
    ],
)
def test_a_price_keeps_eight_decimals_and_an_amount_four(
    home: Home, quantity: str, price: str, stored: str, amount: str
) -> None:
    home.put(line(quantity=quantity, price=price))
    home.ingest()
    assert home.accepted("unit_price, amount") == [(Decimal(stored), Decimal(amount))]


def test_a_line_total_beats_the_price_and_stands_alone(tmp_path: Path) -> None:
    total = "  line_total: {from: UnitPrice, as: decimal, optional: true}\n"
    price = "  unit_price: {from: Each, as: decimal, optional: true}\n"
    header = HEADER + ",Each"
    home = home_with(tmp_path, (PRICE, price + total))
    home.put(
        line(price="9.99") + ",5",
        line(price="") + ",5",
        line(price="4.5", quantity=0) + ",",
        line(price="3.14159") + ",",
        line(price="") + ",",
        line(price="-1", quantity=1) + ",",
        line(price="-1", quantity=-1, invoice="C1") + ",",
        line(price="1", quantity=-1, invoice="C1") + ",",
        header=header,
    )
    home.ingest()
    assert home.accepted("line_number, quantity, unit_price, amount, is_product") == [
        (2, 6, Decimal(5), Decimal("9.99"), True),
        (3, 6, Decimal(5), Decimal(30), True),
        (4, 0, None, Decimal("4.5"), True),
        (5, 6, None, Decimal("3.1416"), True),
        (7, 1, None, Decimal(-1), False),
        (8, -1, None, Decimal(-1), True),
    ]
    assert home.rejected() == [
        (6, "unit_price: missing, and there is no line_total either"),
        (9, "line_total: of another sign than the quantity of the cancellation"),
    ]


def test_a_shop_without_prices_and_totals_is_refused(tmp_path: Path) -> None:
    home = home_with(tmp_path, (PRICE, ""))
    home.put(line())
    with pytest.raises(WrongUse, match=r"unit_price is missing, and so is columns\.line_total"):
        home.ingest()


def test_a_discount_is_money_off_and_no_product(home: Home) -> None:
    home.put(line(price="5"), line(code="X9", quantity=1, price="-5"), line(quantity=-1, price="5"))
    home.ingest()
    assert home.accepted("amount, is_product") == [
        (Decimal(30), True),
        (Decimal(-5), False),
        (Decimal(-5), True),
    ]


@pytest.mark.parametrize(
    ("keys", "text", "clock", "instant"),
    [
        # the hour that the clock of London shows twice
        ("", "2011-10-30 00:50:00Z", "2011-10-30 01:50:00", "2011-10-30 00:50:00"),
        ("", "2011-10-30 01:10:00Z", "2011-10-30 01:10:00", "2011-10-30 01:10:00"),
        ("", "2011-10-30 01:10:00", "2011-10-30 01:10:00", "2011-10-30 00:10:00"),
        ("", "2011-10-30T03:10:00+02:00", "2011-10-30 01:10:00", "2011-10-30 01:10:00"),
        (', zone: "America/New_York"', "2011-10-29 20:50:00", "2011-10-30 01:50:00", "2011-10-30 00:50:00"),
        (', zone: "America/New_York"', "2011-10-30 01:10:00Z", "2011-10-30 01:10:00", "2011-10-30 01:10:00"),
        (
            ', format: "%d.%m.%Y %H:%M %z"',
            "30.10.2011 02:10 +0100",
            "2011-10-30 01:10:00",
            "2011-10-30 01:10:00",
        ),
        (', format: "%d.%m.%Y %H:%M"', "30.10.2011 12:10", "2011-10-30 12:10:00", "2011-10-30 12:10:00"),
    ],
)
def test_a_time_is_kept_as_the_clock_and_as_the_instant(
    tmp_path: Path, keys: str, text: str, clock: str, instant: str
) -> None:
    home = home_with(tmp_path, (', format: "%Y-%m-%d %H:%M:%S"}', keys + "}"))
    day = date(2011, 10, 30)
    home.put(line(time=text), day=day)
    home.ingest(day)
    assert home.rejected() == []
    assert home.accepted("ordered_at, ordered_at_utc") == [
        (datetime.fromisoformat(clock), datetime.fromisoformat(instant))
    ]


def test_a_skipped_hour_stays_as_it_is_written(tmp_path: Path) -> None:
    home = home_with(tmp_path, (', format: "%Y-%m-%d %H:%M:%S"}', "}"))
    day = date(2011, 3, 27)
    home.put(line(time="2011-03-27 01:30:00"), day=day)
    home.ingest(day)
    assert home.accepted("ordered_at, ordered_at_utc") == [
        (datetime(2011, 3, 27, 1, 30), datetime(2011, 3, 27, 1, 30))
    ]


def test_names_of_zones_in_the_lines_are_refused(tmp_path: Path) -> None:
    home = home_with(tmp_path, ('"%Y-%m-%d %H:%M:%S"', '"%Y-%m-%d %H:%M:%S %Z"'))
    home.put(line(time=f"{DAY} 08:00:00 CET"))
    with pytest.raises(WrongUse, match="set zone"):
        home.ingest()
