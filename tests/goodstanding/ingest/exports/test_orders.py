"""Exports of orders: an order's cells on all its lines, and the money of the whole order to the cent."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import Settings
from goodstanding.ingest.exports.orders import carry_cells, count_money, with_money
from goodstanding.shops.mapping import Shop, load_shop

CONTENT = {
    "source": "shop",
    "timezone": "Europe/Berlin",
    "currency": "EUR",
    "files": {"path": "export*.csv"},
    "columns": {
        "invoice_no": {"from": "Order", "as": "text"},
        "stock_code": {"from": "SKU", "as": "text", "else_from": ["Name"]},
        "quantity": {"from": "Quantity", "as": "integer"},
        "unit_price": {"from": "Price", "as": "decimal"},
        "ordered_at": {"from": "At", "as": "timestamp", "carry_down": True},
        "customer_id": {
            "from": "Email",
            "else_from": [{"column": "Phone", "keep": "digits"}],
            "as": "text",
            "optional": True,
            "carry_down": True,
        },
    },
    "order_money": {
        "discount": {"from": "Discount", "sign": "minus", "becomes": "spread"},
        "shipping": {"from": "Shipping"},
        "taxes": {"from": "Taxes", "where": "total_needs_it"},
    },
    "order_total": {"from": "Total"},
}
INPUTS = (
    *("invoice_no", "stock_code", "quantity", "unit_price", "ordered_at", "customer_id"),
    *("stock_code_else_0", "customer_id_else_0"),
    *("money_discount", "money_shipping", "money_taxes", "order_total"),
)


def shop_of(folder: Path, **changes: object) -> Shop:
    """The shop with other keys in the place of some; a key that is None is left out."""
    content = {key: value for key, value in {**CONTENT, **changes}.items() if value is not None}
    path = folder / "shop.yml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return load_shop(Settings(shop=str(path), _env_file=None))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop as it is."""
    return shop_of(tmp_path_factory.mktemp("shop"))


def counted(shop: Shop, *lines: dict[str, str]) -> list[dict[str, object]]:
    """What becomes of these lines of one export."""
    names = [name for name in INPUTS if not name.startswith("money_") or name[6:] in shop.orders.order_money]
    with duckdb.connect(config={"threads": 1}) as connection:
        columns = ", ".join(f"{name} varchar" for name in names)
        connection.execute(
            f"create temp table text_lines (file_name varchar, line_number bigint, {columns}, fault varchar, "
            "record varchar)"
        )
        for number, line in enumerate(lines, start=2):
            values = ["export.csv", number, *(line.get(name) for name in names), None, None]
            marks = ", ".join("?" for _ in values)
            connection.execute(f"insert into text_lines values ({marks})", values)
        carry_cells(connection, shop, shop.orders)
        count_money(connection, shop, shop.orders)
        cursor = connection.execute("from text_lines order by line_number, part")
        found = [column[0] for column in cursor.description]
        return [dict(zip(found, row, strict=True)) for row in cursor.fetchall()]


def item(price: str, quantity: str = "1", invoice: str = "1", **cells: str) -> dict[str, str]:
    """A line of an order."""
    return {"invoice_no": invoice, "stock_code": "MUG", "quantity": quantity, "unit_price": price, **cells}


def money(lines: list[dict[str, object]]) -> list[str]:
    """The amount of each line."""
    return [str(Decimal(str(line["line_total"])).normalize() + 0) for line in lines]


def test_cells_of_an_order_are_carried_to_all_its_lines(shop: Shop) -> None:
    lines = counted(
        shop,
        item("1", ordered_at="2026-08-01 10:00", customer_id="a@b.c", order_total="3"),
        item("2"),
        item("5", invoice="2", ordered_at="2026-08-02 10:00", order_total="5"),
    )
    assert [(line["ordered_at"], line["customer_id"]) for line in lines] == [
        ("2026-08-01 10:00", "a@b.c"),
        ("2026-08-01 10:00", "a@b.c"),
        # a till sale has nobody, and takes nothing from the order above it
        ("2026-08-02 10:00", None),
    ]


def test_the_first_column_that_says_something_counts(shop: Shop) -> None:
    (by_phone,) = counted(
        shop,
        {
            **item("1", order_total="1", customer_id=" ", customer_id_else_0="'+49 (151) 12-3"),
            "stock_code": "",
            "stock_code_else_0": "Mug, red",
        },
    )
    assert (by_phone["customer_id"], by_phone["stock_code"]) == ("49151123", "Mug, red")


def test_a_word_of_nobody_leaves_the_word_to_the_next_column(shop: Shop) -> None:
    lines = counted(
        shop,
        *(
            item("1", invoice=str(n), order_total="1", customer_id=word, customer_id_else_0="+49 151")
            for n, word in enumerate(["Guest", "0", "00.0", "n/a", "g@b.c"])
        ),
    )
    assert [line["customer_id"] for line in lines] == ["49151"] * 4 + ["g@b.c"]


def test_a_line_without_a_readable_amount_sets_its_order_aside_where_no_total_is_told(tmp_path: Path) -> None:
    shop = shop_of(
        tmp_path, order_total=None, order_money={"discount": {"from": "Discount", "sign": "minus"}}
    )
    lines = counted(shop, item("50", money_discount="10"), item("3o.00"), item("7", invoice="2"))
    assert [bool(line["order_fault"]) for line in lines if line["part"] == 0] == [True, True, False]


def test_a_cent_of_tax_beside_the_price_is_kept(shop: Shop) -> None:
    lines = counted(shop, item("10", money_taxes="0.01", order_total="10.01"))
    assert money(lines) == ["10", "0.01"]


def test_a_discount_is_spread_to_the_cent_and_shipping_is_a_line(shop: Shop) -> None:
    cells = {"money_discount": "1.00", "money_shipping": "4.90", "order_total": "13.90"}
    lines = counted(shop, item("3.33", **cells), item("3.33"), item("3.34"))
    # a third of a cent each: the two of equal remainders are told apart by their place
    assert money(lines) == ["3", "4.9", "3", "3"]
    assert [(line["stock_code"], line["quantity"], line["part"]) for line in lines][1] == ("SHIPPING", "1", 1)
    assert not any(line["order_fault"] for line in lines)
    assert "SHIPPING" in with_money(shop.orders).no_products


@pytest.mark.parametrize(("total", "amounts"), [("10", ["10"]), ("11.9", ["10", "1.9"])])
def test_taxes_count_where_the_total_holds_them(shop: Shop, total: str, amounts: list[str]) -> None:
    lines = counted(shop, item("10", money_taxes="1.90", order_total=total))
    assert money(lines) == amounts
    assert lines[0]["order_fault"] is None


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ({"order_total": "9.98"}, "order_total: 9.9800, and the lines of the order sum to 10.0000"),
        ({}, "order_total: none that can be read"),
        ({"order_total": "ten"}, "order_total: none that can be read"),
        (
            {"order_total": "10", "unit_price": "free"},
            "line_total: the amount of a line of the order cannot",
        ),
        ({"order_total": "10", "money_shipping": "free"}, "order_money.shipping: no amount as the mapping"),
    ],
)
def test_an_order_that_does_not_sum_to_its_total_has_a_fault(
    shop: Shop, cells: dict[str, str], fault: str
) -> None:
    first, second, other = counted(
        shop, {**item("4"), **cells}, item("6"), item("7", invoice="2", order_total="7")
    )
    assert str(first["order_fault"]).startswith(fault)
    assert second["order_fault"] == first["order_fault"]
    assert other["order_fault"] is None


def test_a_cent_of_rounding_is_no_fault(shop: Shop) -> None:
    (line,) = counted(shop, item("10", order_total="10.01"))
    assert line["order_fault"] is None


def test_what_cannot_be_spread_is_a_line_of_its_own(shop: Shop) -> None:
    lines = counted(shop, item("0", money_discount="5", order_total="-5"))
    assert money(lines) == ["0", "-5"]
    assert lines[1]["stock_code"] == "DISCOUNT"


def test_a_currency_without_decimals_is_spread_in_whole_units(tmp_path: Path) -> None:
    yen = shop_of(tmp_path, currency="JPY")
    lines = counted(yen, item("100", money_discount="100", order_total="200"), item("100"), item("100"))
    assert money(lines) == ["66", "67", "67"]


AMOUNTS = st.lists(st.tuples(st.integers(1, 5), st.decimals(0, 500, places=2)), min_size=1, max_size=7)


@settings(max_examples=40, deadline=None)
@given(items=AMOUNTS, discount=st.decimals(0, 400, places=2), shipping=st.decimals(0, 30, places=2))
def test_an_order_sums_to_its_total_whatever_is_spread(
    shop: Shop, items: list[tuple[int, Decimal]], discount: Decimal, shipping: Decimal
) -> None:
    gross = sum((quantity * price for quantity, price in items), Decimal(0))
    total = gross - discount + shipping
    cells = {
        "money_discount": str(discount),
        "money_shipping": str(shipping),
        "order_total": str(total),
    }
    texts = [item(str(price), str(quantity)) for quantity, price in items]
    texts[0] |= cells
    lines = counted(shop, *texts)
    assert sum(Decimal(str(line["line_total"])) for line in lines) == total
    assert all(line["order_fault"] is None for line in lines)
    if gross:
        # no line is off its share by a cent or more
        for line, (quantity, price) in zip([line for line in lines if not line["part"]], items, strict=True):
            share = quantity * price * (1 - discount / gross)
            assert abs(Decimal(str(line["line_total"])) - share) < Decimal("0.01")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"files": {"path": "{day}.csv"}}, r"columns\.stock_code\.else_from: only exports may have it"),
        ({"order_money": {"Gift Card": {"from": "Gift"}}}, r"order_money\.Gift Card: call it by small"),
        ({"no_orders": {"from": "Status", "matches": "("}}, r"no_orders\.matches: '\(' is no regular"),
        ({"other_currencies": "leave_out"}, r"other_currencies: leave_out needs exports with columns"),
        ({"order_total": {"column": "Total"}}, r"order_total\.from: is missing"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(WrongUse, match=message):
        shop_of(tmp_path, **changes)
