"""No customer's id is left in a text that is stored: of a line set aside or accepted, in whichever field."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

import duckdb
import pytest
import yaml

from goodstanding.identity.in_texts import id_pattern
from goodstanding.ingest.masks import define_masks
from goodstanding.warehouse.files import open_intake
from tests.goodstanding.ingest.homes import Home

DAY, NEXT = date(2011, 12, 1), date(2011, 12, 2)
SHOP = {
    "source": "made_up",
    "timezone": "Europe/London",
    "currency": "GBP",
    "files": {"path": "{day}.csv"},
    "columns": {
        "invoice_no": {"from": "no", "as": "text"},
        "stock_code": {"from": "code", "as": "text"},
        "description": {"from": "what", "as": "text", "optional": True},
        "quantity": {"from": "units", "as": "integer"},
        "ordered_at": {"from": "at", "as": "timestamp"},
        "unit_price": {"from": "price", "as": "decimal"},
        "customer_id": {"from": "who", "as": "text", "optional": True},
        "country": {"from": "land", "as": "text", "optional": True},
        "channel": {"from": "channel", "as": "text", "optional": True},
    },
    "returns": {
        "files": {"path": "returns-{day}.csv"},
        "columns": {
            "customer_id": {"from": "who", "as": "text"},
            "invoice_no": {"from": "no", "as": "text"},
            "returned_at": {"from": "at", "as": "timestamp"},
            "cause": {"from": "cause", "as": "text", "optional": True},
        },
    },
}
HEADER = "no,code,what,units,at,price,who,land,channel"
FIELDS = {
    **{"no": "1", "code": "A", "what": "A CUP", "units": "1", "at": f"{DAY} 09:00", "price": "5", "who": ""},
    **{"land": "UK", "channel": "web"},
}


@cache
def memory() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    define_masks(connection)
    return connection


@pytest.mark.parametrize(
    ("text", "customer", "hidden"),
    [
        ("gift for cust-000781, CUST-000781", "CUST-000781", "gift for *, *"),
        ("INVCUST-000781-1", "CUST-000781", "INV*-1"),
        ("17850-1", "17850", "*-1"),
        ("a_17850.0_b 017850", "17850", "a_*_b *"),
        ("17850 17850,17850", "17850", "* *,*"),
        ("mail Ann.O'Hara@shop.example!", "ann.o'hara@shop.example", "mail *!"),
        (r"it is \N(x)", r"\N(x)", "it is *"),
        ("K2", "K2", "*"),
        ("straße für MÜLLER-7", "müller-7", "straße für *"),
        ("茶茶茶 for 茶茶茶", "茶茶茶", "* for *"),
        # others
        ("CUST-0007811", "CUST-000781", "CUST-0007811"),
        ("117850 and 178501", "17850", "117850 and 178501"),
        ("HANNAH", "ann", "HANNAH"),
        # a number or letter that is in every second text
        ("PACK OF 12, SIZE L", "12", "PACK OF 12, SIZE L"),
        ("PACK OF 12, SIZE L", "L", "PACK OF 12, SIZE L"),
        ("made in UK", "UK", "made in UK"),
        ("17850", None, "17850"),
        (None, "17850", None),
    ],
)
def test_an_id_is_hidden_where_it_stands_in_a_text(text: str, customer: str, hidden: str) -> None:
    pattern = customer and id_pattern(customer)
    asked = "select hidden($text, {'customer': $customer::varchar, 'pattern': $pattern::varchar}, '*')"
    values = {"text": text, "customer": customer, "pattern": pattern}
    assert memory().execute(asked, values).fetchone() == (hidden,)


@pytest.mark.parametrize("customer", [r"shop\ann", r"\n(x)", r"a\12345", "\\\\host\\ann"])
def test_an_id_with_a_backslash_is_hidden_by_its_shape(customer: str) -> None:
    asked = "select hidden($text, {'customer': $customer, 'pattern': $pattern}, masked($customer))"
    values = {"text": f"for {customer}, {customer}", "customer": customer, "pattern": id_pattern(customer)}
    ((hidden,),) = memory().execute(asked, values).fetchall()
    ((shape,),) = memory().execute("select masked(?)", [customer]).fetchall()
    assert hidden == f"for {shape}, {shape}"


def shop(folder: Path, **columns: dict[str, object]) -> Home:
    mapping = {**SHOP, "columns": {**SHOP["columns"], **columns}}  # type: ignore[dict-item]
    folder.mkdir(exist_ok=True)
    (folder / "shop.yml").write_text(yaml.safe_dump(mapping))
    return Home(folder, str(folder / "shop.yml"))


def line(**fields: str) -> str:
    return ",".join({**FIELDS, **fields}.values())


def holders(home: Home, *ids: str) -> list[str]:
    """Files of the home and values of its tables that hold an id, in whichever case."""
    with open_intake(home.settings) as connection:
        connection.execute("checkpoint")
    places = {str(path): path.read_bytes() for path in home.settings.home.rglob("*") if path.is_file()}
    places |= {table: str(rows).encode() for table, rows in home.everything().items()}
    return [name for name, held in places.items() if any(one.encode() in held.lower() for one in ids)]


WAYS = ("CUST-000781", " CUST-000781 ", "\u00a0cust-000781\u200b", "\tCust-000781")


@pytest.mark.parametrize("who", WAYS)
@pytest.mark.parametrize("at", [f"{DAY} 09:00", f"{NEXT} 09:00"])
def test_no_file_of_the_home_holds_an_id_that_stands_in_another_field(
    tmp_path: Path, at: str, who: str
) -> None:
    home = shop(tmp_path)
    lines = [
        line(who=who, at=at, **{field: text})
        for field in ("no", "code", "what", "land", "channel", "price")
        for text in ("x cust-000781-7", "CUST-000781")
    ]
    home.put(*lines, header=HEADER, day=DAY)
    home.ingest(DAY)
    assert holders(home, "cust-000781") == []
    aside = 2 if at.startswith(str(DAY)) else len(lines)
    assert home.rows("select accepted, rejected from raw.days") == [(len(lines) - aside, aside)]


def test_a_line_that_lacks_its_customer_has_the_id_hidden_whom_its_invoice_names(tmp_path: Path) -> None:
    home = shop(tmp_path)
    home.put(
        line(no="CUST-000781-1", who="cust-000781", what="A CUP"),
        line(no="CUST-000781-1 ", code="B", what="for CUST-000781"),
        line(no="CUST-000781-1", code="C", what="of CUST-000781", at=f"{NEXT} 09:00"),
        line(no="7", code="D", who="cust-000782"),
        line(no="7", code="E", who="cust-000783"),
        line(no="7", code="F", what="cust-000782 and cust-000783"),
        header=HEADER,
        day=DAY,
    )
    home.ingest(DAY)
    assert holders(home, "cust-00078") == []
    who = home.pseudonym("cust-000781")
    # it is one invoice still, of the customer whom its first line names
    assert home.accepted("invoice_no, customer_id, description")[:2] == [
        (f"{who}-1", who, "A CUP"),
        (f"{who}-1", who, "for xxxx-999999"),
    ]


def test_a_number_with_an_id_is_the_same_number_in_every_kind(tmp_path: Path) -> None:
    home = shop(tmp_path)
    home.put(line(no="CUST-000781-1", who="CUST-000781"), header=HEADER, day=DAY)
    home.put(
        f"CUST-000781,cust-000781-1,{DAY} 10:00,CUST-000781 did not like it",
        header="who,no,at,cause",
        name=f"returns-{DAY}.csv",
    )
    home.ingest(DAY)
    assert holders(home, "cust-000781") == []
    numbers = home.rows("select invoice_no from raw.order_lines union select invoice_no from raw.returns")
    assert numbers == [(f"{home.pseudonym('CUST-000781')}-1",)]


def test_rules_of_the_mapping_see_a_text_before_an_id_is_hidden_in_it(tmp_path: Path) -> None:
    folder = tmp_path
    mapping = {**SHOP, "no_products": ["GIFT-CUST-*"]}
    (folder / "shop.yml").write_text(yaml.safe_dump(mapping))
    home = Home(folder, str(folder / "shop.yml"))
    home.put(line(code="GIFT-CUST-000781", who="CUST-000781"), line(), header=HEADER, day=DAY)
    home.ingest(DAY)
    assert home.accepted("is_product") == [(False,), (True,)]


@pytest.mark.parametrize(
    ("column", "bound"),
    [
        ("line_total", "100,000,000,000,000"),
        ("weight", "100,000,000,000,000"),
        ("unit_price", "10,000,000,000"),
    ],
)
def test_the_reason_of_an_amount_that_is_too_large_names_its_bound(
    tmp_path: Path, column: str, bound: str
) -> None:
    home = shop(
        tmp_path, **{column: {"from": "land", "as": "decimal"}, "country": {"from": "what", "as": "text"}}
    )
    number = bound.replace(",", "")
    home.put(line(no="1", land="9" * (len(number) - 1)), line(no="2", land=number), header=HEADER, day=DAY)
    home.ingest(DAY)
    aside = [reason for _, reason in home.rejected()]
    assert aside == [f"{column}: no amount as the mapping writes it, below {bound}"]
