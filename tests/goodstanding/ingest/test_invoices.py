"""Invoices are whole, and what numbers, currencies and the files of a day say twice is told."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from goodstanding.core.errors import WrongUse
from goodstanding.warehouse.files import open_intake
from goodstanding.warehouse.notices import NOBODY, notice_groups
from tests.goodstanding.ingest.homes import DAY, Home, home_with, line

NEXT = date(2011, 1, 5)
PARTS = ('path: "{day}.csv"', 'path: "{day}*.csv"')
COUNTRY = "  country: {from: Country, as: text, optional: true}\n"
A, B = "17850", "17851"


def sale(customer: str = "", invoice: str = "1", code: str = "X", day: date = DAY, **fields: object) -> str:
    return line(customer=customer, invoice=invoice, code=code, time=f"{day} 08:26:00", **fields)


def home_saying(folder: Path, invoices: str = "", *changes: tuple[str, str]) -> Home:
    """A home whose days may have several files, and whose mapping says something of invoices."""
    home = home_with(folder, PARTS, *changes)
    mapping = folder / "shop.yml"
    mapping.write_text(mapping.read_text() + (f"invoices: {{{invoices}}}\n" if invoices else ""))
    return home


def customers(home: Home) -> list[str | None]:
    """The customers of the accepted lines, in the order of the files."""
    known = {home.pseudonym(customer): customer for customer in (A, B)}
    return [customer and known[customer] for (customer,) in home.accepted("customer_id")]


def told(home: Home) -> dict[str, tuple[int, str]]:
    """How many lines the notices of each topic are about, and where one of them is; but those of words of
    nobody, of which each has its own."""
    with open_intake(home.settings) as connection:
        groups = [group for group in notice_groups(connection, "raw.notices") if group["topic"] != NOBODY]
    assert len({group["topic"] for group in groups}) == len(groups)
    return {group["topic"]: (group["lines"], group["example"]) for group in groups}


@pytest.mark.parametrize(
    ("named", "carried", "notices"),
    [
        ([A, "", ""], [A, A, A], {"missing_customer": (2, f"{DAY}.csv:3")}),
        (["", "", A], [A, A, A], {"missing_customer": (2, f"{DAY}.csv:2")}),
        (["NULL", A, "0"], [A, A, A], {"missing_customer": (2, f"{DAY}.csv:2")}),
        (["guest", f"0{A}", f"{A}.0", " "], [A, A, A, A], {"missing_customer": (2, f"{DAY}.csv:2")}),
        ([A, B, ""], [A, B, None], {"two_customers": (3, f"{DAY}.csv:2")}),
        (["", "0"], [None, None], {}),
        ([A, A], [A, A], {}),
    ],
)
def test_lines_get_the_customer_whom_all_others_of_their_invoice_name(
    tmp_path: Path, named: list[str], carried: list[str | None], notices: dict[str, tuple[int, str]]
) -> None:
    home = home_saying(tmp_path)
    home.put(*(sale(customer, code=f"X{n}") for n, customer in enumerate(named)))
    home.ingest()
    assert customers(home) == carried
    assert told(home) == notices


def test_an_invoice_over_two_files_is_whole_and_another_day_or_number_is_another_one(tmp_path: Path) -> None:
    home = home_saying(tmp_path)
    home.put(sale(code="X"), sale(code="Y", invoice="2"), name=f"{DAY}-1.csv")
    home.put(sale(A, code="Z"), name=f"{DAY}-2.csv")
    home.put(sale(code="X", day=NEXT), day=NEXT)
    home.ingest(DAY, NEXT)
    assert customers(home) == [A, None, A, None]
    assert told(home)["missing_customer"] == (1, f"{DAY}-1.csv:2")
    (home.landing / f"{DAY}-2.csv").unlink()
    home.ingest(DAY)
    assert customers(home) == [None, None, None]
    assert "missing_customer" not in told(home)


def test_a_customer_of_a_line_set_aside_is_not_carried_over(tmp_path: Path) -> None:
    home = home_saying(tmp_path)
    home.put(sale(A, quantity="x"), sale(code="Y"))
    home.ingest()
    assert customers(home) == [None]


def test_the_mapping_may_leave_lines_without_a_customer(tmp_path: Path) -> None:
    home = home_saying(tmp_path, "missing_customer: leave")
    home.put(sale(A), sale(code="Y"))
    home.ingest()
    assert customers(home) == [A, None]
    assert told(home) == {"missing_customer": (1, f"{DAY}.csv:3")}


def test_what_decides_lines_is_part_of_the_reading_and_what_stops_days_is_not(tmp_path: Path) -> None:
    home = home_saying(tmp_path, "missing_customer: leave")
    for day in (DAY, NEXT):
        home.put(sale(A, day=day), day=day)
    home.ingest(DAY, NEXT)
    mapping = tmp_path / "shop.yml"
    before = mapping.read_text()
    mapping.write_text(
        before.replace("missing_customer: leave", "missing_customer: leave, number_again: stop")
    )
    home.ingest(DAY)
    mapping.write_text(before.replace("missing_customer: leave", "two_customers: stop"))
    with pytest.raises(WrongUse, match=r"invoices\.missing_customer: leave -> \(left out\)"):
        home.ingest(DAY)


def test_a_number_that_comes_again_is_told_on_the_later_day_or_when_a_day_comes_late(tmp_path: Path) -> None:
    home = home_saying(tmp_path)
    home.put(sale(A), sale(B, invoice="2"), sale(A, invoice="C3", quantity=-1))
    home.put(sale(A, day=NEXT, code="Y"), sale(A, invoice="C3", quantity=-1, day=NEXT), day=NEXT)
    home.ingest(DAY, NEXT)
    assert told(home) == {"number_again": (1, f"{NEXT}.csv:2")}
    home.ingest(NEXT)
    assert told(home) == {"number_again": (1, f"{NEXT}.csv:2")}
    (tmp_path / "late").mkdir()
    late = home_saying(tmp_path / "late")
    late.landing.rmdir()
    home.landing.rename(late.landing)
    late.ingest(NEXT)
    assert told(late) == {}
    late.ingest(DAY)
    assert told(late) == {"number_again": (1, f"{DAY}.csv:2")}


@pytest.mark.parametrize("key", ["missing_customer: drop", "number_again: true", "two: another"])
def test_the_section_is_strict(tmp_path: Path, key: str) -> None:
    home = home_saying(tmp_path, key)
    home.put(sale(A))
    with pytest.raises(WrongUse, match=r"invoices\.(missing_customer|number_again|two)"):
        home.ingest()


def currency_home(folder: Path, optional: str = ", optional: true") -> Home:
    return home_saying(folder, "", (COUNTRY, f"  currency: {{from: Country, as: text{optional}}}\n"))


def test_a_line_in_another_currency_is_set_aside(tmp_path: Path) -> None:
    home = currency_home(tmp_path)
    written = ["GBP", "gbp", " Gbp\u00a0", "", "USD", "usd ", "John Smith"]
    home.put(*(sale(A, invoice=f"{n}", country=text) for n, text in enumerate(written)))
    home.ingest()
    assert [number for (number,) in home.accepted("line_number")] == [2, 3, 4, 5]
    said = "currency: not that of the shop, GBP: "
    assert home.rejected() == [(6, f"{said}USD"), (7, f"{said}USD"), (8, f"{said}no code like GBP")]
    assert told(home) == {}


def test_a_currency_that_a_line_must_name_is_missing(tmp_path: Path) -> None:
    home = currency_home(tmp_path, "")
    home.put(sale(A, country="GBP"), sale(A, country="", code="Y"))
    home.ingest()
    assert home.rejected() == [(3, "currency: missing")]
    assert told(home) == {}


def test_an_invoice_of_two_currencies_keeps_its_lines_in_that_of_the_shop(tmp_path: Path) -> None:
    home = currency_home(tmp_path)
    home.put(sale(A, country="USD"), sale(A, country="GBP", code="Y"), sale(A, country="", code="Z"))
    home.ingest()
    assert [number for (number,) in home.rejected("line_number")] == [2]
    assert told(home) == {"two_currencies": (1, f"{DAY}.csv:2")}


def test_a_line_without_a_currency_has_that_of_its_invoice(tmp_path: Path) -> None:
    home = currency_home(tmp_path)
    home.put(sale(A, country="USD"), sale(A, invoice="2", code="Y", country="GBP"), name=f"{DAY}-1.csv")
    home.put(sale(A, country="", code="Z"), sale(A, invoice="2", country=""), name=f"{DAY}-2.csv")
    home.ingest()
    assert home.rejected("file_name, line_number") == [(f"{DAY}-1.csv", 2), (f"{DAY}-2.csv", 2)]
    assert told(home) == {}


def test_a_line_without_a_currency_is_not_the_shops_where_its_invoice_has_two_others(tmp_path: Path) -> None:
    home = currency_home(tmp_path)
    home.put(*(sale(A, country=text, code=f"X{n}") for n, text in enumerate(("USD", "EUR", ""))))
    home.ingest()
    assert home.accepted("line_number") == []
    assert [reason[-5:] for _, reason in home.rejected()] == [": USD", ": EUR", ": EUR"]
    assert told(home) == {}


@pytest.mark.parametrize(
    ("invoices", "aside"),
    [
        ("", [2, 4]),
        ("missing_customer: leave", [2, 4]),
    ],
)
def test_a_line_without_a_currency_has_that_of_its_own_customers_invoice(
    tmp_path: Path, invoices: str, aside: list[int]
) -> None:
    changes = (COUNTRY, "  currency: {from: Country, as: text, optional: true}\n")
    home = home_saying(tmp_path, invoices, changes)
    home.put(
        sale(A, country="USD"),
        sale(B, country="GBP"),
        sale(A, country="", code="Y"),
        sale(B, country="", code="Y"),
        sale("", country="", code="Y"),
    )
    home.ingest()
    assert [number for (number,) in home.rejected("line_number")] == aside
    # that of B has one currency
    assert "two_currencies" not in told(home)


@pytest.mark.parametrize(("invoices", "aside"), [("", [2, 3]), ("missing_customer: leave", [2])])
def test_a_line_without_customer_and_currency_has_both_of_its_invoice(
    tmp_path: Path, invoices: str, aside: list[int]
) -> None:
    home = home_saying(
        tmp_path, invoices, (COUNTRY, "  currency: {from: Country, as: text, optional: true}\n")
    )
    home.put(sale(A, country="USD"), sale("", country="", code="Y"), sale("", country="GBP", invoice="2"))
    home.ingest()
    assert [number for (number,) in home.rejected("line_number")] == aside


def test_a_line_of_another_day_says_nothing_of_the_currency_of_an_invoice(tmp_path: Path) -> None:
    home = currency_home(tmp_path)
    home.put(sale(A, country="USD", day=NEXT), sale(A, country=""))
    home.ingest()
    assert home.accepted("line_number") == [(3,)]
    assert [reason for _, reason in home.rejected()] == [f"ordered_at: a row of {NEXT} in the file of {DAY}"]


def test_equal_lines_in_two_files_of_a_day_are_told(tmp_path: Path) -> None:
    home = home_saying(tmp_path)
    twice = sale(A, code="Y")
    home.put(sale(A), twice, twice, sale("", invoice="2"), name=f"{DAY}.csv")
    # equal once it has the customer of its invoice
    home.put(sale(), sale("", invoice="2"), twice, sale(A, code="NEW"), name=f"{DAY} (1).csv")
    home.put(sale(A, day=NEXT, invoice="3"), sale(A, day=NEXT, invoice="3"), day=NEXT)
    home.ingest(DAY, NEXT)
    notices = told(home)
    assert notices["missing_customer"] == (1, f"{DAY} (1).csv:2")
    # of the two files the second by name
    assert notices["equal_lines"] == (3, f"{DAY}.csv:2")
    assert set(notices) == {"missing_customer", "equal_lines"}


def test_payments_and_returns_have_a_currency_too(tmp_path: Path) -> None:
    home = home_with(
        tmp_path,
        (
            "archive: true",
            "archive: true\nreturns:\n  files: {path: '{day}-returns.csv'}\n  columns:\n"
            "    customer_id: {from: c, as: whole_number}\n    invoice_no: {from: i, as: text}\n"
            "    returned_at: {from: t, as: timestamp}\n    currency: {from: m, as: text, optional: true}",
        ),
    )
    home.put(sale(A))
    rows = "".join(f"{A},1,{DAY} 10:00:00,{money}\n" for money in ("gbp", "", "EUR"))
    home.put_bytes(f"c,i,t,m\n{rows}".encode(), f"{DAY}-returns.csv")
    home.ingest()
    assert home.rows("select line_number, reason from raw.rejected_returns") == [
        (4, "currency: not that of the shop, GBP: EUR")
    ]
    assert home.rows("select line_number from raw.returns order by 1") == [(2,), (3,)]


def test_equal_lines_of_payments_and_returns_in_two_files_are_told_too(tmp_path: Path) -> None:
    home = home_with(
        tmp_path,
        (
            "archive: true",
            "archive: true\nreturns:\n  files: {path: 'r/{day}*.csv'}\n  columns:\n"
            "    customer_id: {from: c, as: whole_number}\n    invoice_no: {from: i, as: text}\n"
            "    returned_at: {from: t, as: timestamp}\n"
            "payments:\n  files: {path: 'p/{day}*.csv'}\n  columns:\n"
            "    customer_id: {from: c, as: whole_number}\n    amount: {from: i, as: decimal}\n"
            "    due_day: {from: t, as: date}",
        ),
    )
    home.put(sale(A))
    for kind, at in (("r", f"{DAY} 10:00:00"), ("p", str(DAY))):
        lines = [f"{number},{A},{at}\n" for number in (1, 2, 3)]
        home.put_bytes(f"i,c,t\n{lines[0]}{lines[1]}{lines[1]}".encode(), f"{kind}/{DAY}-1.csv")
        home.put_bytes(f"i,c,t\n{lines[2]}{lines[1]}".encode(), f"{kind}/{DAY}-2.csv")
    home.ingest()
    notices = home.rows("select file_name, topic, lines, example from raw.notices order by all")
    assert notices == [(f"{kind}/{DAY}-2.csv", "equal_lines", 1, f"{kind}/{DAY}-2.csv:3") for kind in "pr"]
