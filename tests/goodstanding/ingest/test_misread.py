"""A file that changes its form on the way: what is proven to be read wrongly is set aside, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from goodstanding.core.settings import PROJECT
from tests.goodstanding.ingest.homes import DAY, HEADER, Home, home_with, line

NAMES = HEADER.split(",")


def reordered(text: str, order: list[int]) -> str:
    """A line of the file with its columns in another order."""
    fields = text.split(",")
    return ",".join(fields[at] for at in order)


# quantity and price change places: both are still read as numbers
SWAPPED = [0, 1, 2, 5, 4, 3, 6, 7]


def a_line(number: int) -> str:
    """A line whose quantity and price could be read in each other's place."""
    return line(invoice=number, quantity=number, price=2)


def faults(home: Home) -> dict[int, str]:
    """The line numbers of what was set aside, with the reasons."""
    return {number: reason for number, reason in home.rejected()}


def test_a_header_that_stands_again_costs_its_own_line_alone(home: Home) -> None:
    home.put(a_line(1), HEADER, a_line(2), "\ufeff" + HEADER, a_line(3))
    home.ingest()
    assert faults(home) == {3: "the header again", 5: "the header again"}
    assert home.accepted("invoice_no, quantity") == [("1", 1), ("2", 2), ("3", 3)]


@pytest.mark.parametrize("quoted", [False, True])
def test_all_lines_behind_a_header_in_another_order_are_set_aside(home: Home, quoted: bool) -> None:
    odd = [reordered(text, SWAPPED) for text in (HEADER, a_line(7), a_line(8))]
    # a text of several lines makes the file one that is read record by record
    first = line(invoice=1, description='"A\nB"') if quoted else a_line(1)
    home.put(first, *odd, HEADER, a_line(3), odd[0], a_line(9))
    home.ingest()
    begin = 4 if quoted else 3
    told = faults(home)
    assert sorted(told) == [begin + n for n in (0, 1, 2, 3, 5, 6)]
    assert told.pop(begin + 3) == "the header again"
    expected = f"behind a second header in line {begin}, whose columns are not those of the first"
    assert told[begin + 2] == expected
    assert home.accepted("invoice_no") == [("1",), ("3",)]


def test_blanks_around_a_name_make_no_other_header(tmp_path: Path) -> None:
    home = home_with(tmp_path, ("from: UnitPrice", 'from: " UnitPrice "'))
    header = HEADER.replace("UnitPrice", " UnitPrice ")
    home.put(a_line(1), header, a_line(2), header=header)
    home.ingest()
    assert faults(home) == {3: "the header again"}


def test_a_second_header_with_another_column_of_the_same_number_is_found(home: Home) -> None:
    other = HEADER.replace("UnitPrice", "LineTotal")
    home.put(a_line(1), other, a_line(2))
    home.ingest()
    assert sorted(faults(home)) == [3, 4]


def test_a_second_header_whose_first_columns_have_other_names_or_none_is_found(home: Home) -> None:
    blank = HEADER.replace("InvoiceNo,StockCode", ",")
    other = HEADER.replace("InvoiceNo,StockCode,Description", "Order,Item,What")
    home.put(a_line(1), blank, a_line(2), HEADER, a_line(3), other, a_line(4))
    home.ingest()
    assert sorted(faults(home)) == [3, 4, 5, 7, 8]


def test_a_name_of_signs_is_found_as_it_is_written(tmp_path: Path) -> None:
    home = home_with(tmp_path, ("from: InvoiceNo", 'from: "Order (no.) [*]"'))
    header = HEADER.replace("InvoiceNo", "Order (no.) [*]")
    home.put(a_line(1), header, a_line(2), header=header)
    home.ingest()
    assert faults(home) == {3: "the header again"}


def test_a_value_that_is_the_name_of_a_column_is_no_header(home: Home) -> None:
    home.put(line(invoice="InvoiceNo", country="Country"), line(invoice="StockCode", description="Quantity"))
    home.ingest()
    assert home.rejected() == []


# --- notations ---


@pytest.fixture(params=["%d/%m/%Y", "%-d/%-m/%Y"])
def dotted(tmp_path: Path, request: pytest.FixtureRequest) -> Home:
    """A home of a shop that writes prices as 1,234.50 and due days as 31/01/2011."""
    text = (PROJECT / "shops" / "online_retail.yml").read_text()
    text = text.replace(
        "{from: UnitPrice, as: decimal}", '{from: UnitPrice, as: decimal, thousands_mark: ","}'
    )
    assert "thousands_mark" in text
    path = tmp_path / "dotted.yml"
    path.write_text(
        text
        + """
payments:
  files: {path: "payments/{day}.csv"}
  columns:
    customer_id: {from: Customer, as: whole_number}
    amount: {from: Amount, as: decimal}
    due_day: {from: Due, as: date, format: "FORMAT"}
""".replace("FORMAT", request.param)
    )
    return Home(tmp_path, str(path))


def read_prices(home: Home, *prices: str) -> tuple[list[str], dict[int, str]]:
    """The prices that were accepted, and what was set aside."""
    home.put(*(line(invoice=n, price=f'"{price}"') for n, price in enumerate(prices, 2)))
    home.ingest()
    return [f"{price:.2f}" for (price,) in home.accepted("unit_price")], faults(home)


def test_amounts_are_doubted_once_the_file_exchanges_its_marks(dotted: Home) -> None:
    prices, told = read_prices(
        dotted, "1,234", "1.50", "1,234", "7", "2,50", "1,234", "8", "1.234,50", "5,000"
    )
    assert prices == ["1234.00", "1.50", "7.00", "8.00"]
    assert sorted(told) == [4, 6, 7, 9, 10]
    assert told[4].startswith("unit_price: can be read in two ways, and line 6 of the file is not written as")
    assert told[6].startswith("unit_price: no amount as the mapping writes it")


@pytest.mark.parametrize(
    "prices",
    [
        ("1.50", "1,234", "1,234.50", "12", "0.125"),
        ("1,234", "1,235", "7"),
        ("1.50", "dear", "1,234", "1,23.4"),
    ],
)
def test_amounts_are_not_doubted_in_a_file_that_the_other_marks_do_not_read(
    dotted: Home, prices: tuple[str, ...]
) -> None:
    _, told = read_prices(dotted, *prices)
    assert not any("in two ways" in reason for reason in told.values())


def test_an_amount_with_three_decimals_is_doubted_in_a_file_that_writes_a_comma(home: Home) -> None:
    prices, told = read_prices(home, "0.50", "1.234", "2,50", "3")
    assert prices == ["0.50", "3.00"]
    assert sorted(told) == [3, 4]


def read_due(home: Home, *days: str) -> tuple[list[str], dict[int, str]]:
    """The due days that were accepted, and what was set aside."""
    home.put(line())
    home.put(*(f"17850,5.00,{day}" for day in days), name=f"payments/{DAY}.csv", header="Customer,Amount,Due")
    home.ingest()
    aside = home.rows("select line_number, reason from raw.rejected_payments order by 1")
    due = home.rows("select due_day from raw.payments order by line_number")
    return [str(day) for (day,) in due], dict(aside)


def test_days_are_doubted_behind_the_last_sure_one_before_the_order_changes(dotted: Home) -> None:
    days = (
        "01/02/2011",
        "25/02/2011",
        "03/03/2011",
        "03/04/2011",
        "02/28/2011",
        "05/06/2011",
        "25/07/2011",
        "01/08/2011",
    )
    due, told = read_due(dotted, *days)
    # what is the same day in both orders is sure everywhere
    assert due == ["2011-02-01", "2011-02-25", "2011-03-03", "2011-07-25"]
    assert sorted(told) == [5, 6, 7, 9]
    assert told[5].startswith("due_day: can be read in two ways, and line 6 of the file")


def test_a_file_that_writes_days_in_the_other_order_throughout_gives_no_day(dotted: Home) -> None:
    due, told = read_due(dotted, "02/03/2011", "02/13/2011", "04/05/2011")
    assert due == []
    assert sorted(told) == [2, 3, 4]


def test_days_in_one_order_are_not_doubted(dotted: Home) -> None:
    due, told = read_due(dotted, "01/02/2011", "25/02/2011", "31/31/2011", "03/04/2011")
    assert (len(due), sorted(told)) == (3, [4])
