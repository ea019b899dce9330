"""The preset for Shopify: every order comes to the Total of the export, or is set aside and counted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from goodstanding.core.days import Days
from goodstanding.core.settings import Settings
from goodstanding.ingest.landed import days_in_landing
from goodstanding.ingest.load import ingest
from goodstanding.shops.mapping import load_shop
from tests.goodstanding.ingest.homes import Home
from tests.shops.exports_of_shopify import Order, drawn_orders, export

AUGUST = date(2026, 8, 1)


def shopify(folder: Path) -> Home:
    """A home of a shop that has the preset's mapping."""
    return Home(folder, "presets/shopify")


def put(home: Home, name: str, orders: Iterable[Order], without: tuple[str, ...] = ()) -> None:
    """Write an export."""
    home.put_bytes(export(orders, without).encode(), name)


def load(home: Home, days: Days | None = None) -> dict[str, object]:
    """Take in some days, or all that the exports cover."""
    days = days or days_in_landing(home.settings, load_shop(home.settings))
    assert days is not None
    return dict(ingest(home.settings, days, "test"))


def at(day: int, hour: int = 10, month: int = 8) -> datetime:
    """A time of 2026 in UTC."""
    return datetime(2026, month, day, hour)


def mug(price: str = "10", quantity: int = 1, sku: str = "MUG") -> tuple[int, Decimal, str, str]:
    """A line of an order."""
    return (quantity, Decimal(price), "Mug, red", sku)


# written by hand, with what older and newer exports have besides
BY_HAND = Path(__file__).with_name("shopify_by_hand.csv")


def test_a_small_export_comes_to_what_it_says(tmp_path: Path) -> None:
    home = shopify(tmp_path)
    home.put_bytes(BY_HAND.read_bytes(), "orders_export_1.csv")
    counts = load(home)
    assert (counts["accepted"], counts["rejected"]) == (5, 0)
    ann = home.pseudonym("ann@example.com")
    assert home.rows(
        "select event_day, invoice_no, stock_code, is_product, quantity, amount, customer_id "
        "from raw.order_lines order by event_day, line_number"
    ) == [
        (date(2026, 8, 2), "#2", "MUG", True, 2, Decimal("9.0000"), ann),
        (date(2026, 8, 2), "#2", "SHIPPING", False, 1, Decimal("4.9000"), ann),
        (date(2026, 8, 2), "#2", "CUP", True, 1, Decimal("9.0000"), ann),
        (date(2026, 8, 3), "#3", "GIFT CARD 7", False, 1, Decimal("7.0000"), None),
    ]
    # a refund without a day counts on the last day of the export that first states it
    assert home.rows("select event_day, invoice_no, amount, customer_id from raw.returns") == [
        (date(2026, 8, 3), "#2", Decimal("5.0000"), ann)
    ]
    assert home.rows("select event_day, topic, lines, example from raw.notices order by all") == [
        (date(2026, 8, 1), "no_order", 1, "*export*.csv/2026-08-01"),
        (date(2026, 8, 3), "undated", 1, "*export*.csv (returns)/2026-08-03"),
    ]


def test_a_refund_counts_from_the_export_that_first_states_it(tmp_path: Path) -> None:
    home = shopify(tmp_path)
    ann = Order("#1", at(5), [mug("30")], email="ann@example.com")
    put(home, "orders_export_1.csv", [ann, Order("#2", at(20), [mug()])])
    load(home)
    assert not home.rows("select * from raw.returns")
    ann.refunded, ann.status = Decimal("12.50"), "partially_refunded"
    put(
        home, "orders_export_2.csv", [ann, Order("#2", at(20), [mug()]), Order("#3", at(2, month=9), [mug()])]
    )
    put(home, "orders_export_3.csv", [ann, Order("#4", at(9, month=9), [mug()])])
    load(home, Days(date(2026, 9, 1), date(2026, 9, 9)))
    assert home.rows("select event_day, amount from raw.returns") == [(date(2026, 9, 2), Decimal("12.5000"))]


def test_an_order_that_is_voided_later_is_none_any_more(tmp_path: Path) -> None:
    home = shopify(tmp_path)
    order = Order("#1", at(5), [mug()], email="ann@example.com")
    put(home, "orders_export_1.csv", [order, Order("#2", at(6), [mug()])])
    load(home)
    order.status = "voided"
    put(home, "orders_export_2.csv", [order, Order("#2", at(6), [mug()]), Order("#3", at(7), [mug()])])
    assert "2026-08-05" in str(load(home, Days(date(2026, 8, 7), date(2026, 8, 7)))["restated"])
    assert home.rows("select invoice_no from raw.order_lines order by all") == [("#2",), ("#3",)]


def test_an_older_export_lacks_columns(tmp_path: Path) -> None:
    home = shopify(tmp_path)
    order = Order("#1", at(5), [mug()], email="ann@example.com", shipping=Decimal("4.90"))
    put(
        home,
        "export.csv",
        [order],
        without=("Phone", "Billing Phone", "Duties", "Source", "Payment Method", "Id"),
    )
    assert load(home)["accepted"] == 2


def test_another_currency_is_left_out_and_a_wrong_total_set_aside_whole(tmp_path: Path) -> None:
    home = shopify(tmp_path)
    other = Order("#1", at(5), [mug(), mug("3", sku="")], email="ann@example.com", currency="USD")
    other.refunded = Decimal("3.00")
    wrong = Order("#2", at(5), [mug(), mug("2")], email="bob@example.com", cells={"Total": "11.98"})
    put(home, "export.csv", [other, wrong, Order("#3", at(5), [mug()])])
    counts = load(home)
    assert (counts["accepted"], counts["rejected"]) == (1, 2)
    assert {reason for _, reason in home.rejected()} == {
        "order_total: 11.9800, and the lines of the order sum to 12.0000"
    }
    assert home.rows("select topic, lines, example from raw.notices order by all") == [
        # its return, too
        ("other_currency", 1, "*export*.csv (returns)/2026-08-05"),
        ("other_currency", 2, "*export*.csv/2026-08-05"),
    ]


def test_ten_thousand_orders_come_to_their_totals(tmp_path: Path) -> None:
    home = shopify(tmp_path)
    orders = drawn_orders(10_000, 7, datetime(2026, 5, 1), 90)
    put(home, "orders_export_1.csv", orders)
    counts = load(home)
    real = [order for order in orders if order.status != "voided"]
    refunds = [order for order in real if order.refunded]
    assert counts["rejected"] == 0
    zone = ZoneInfo("Europe/Berlin")
    expected = sorted(
        (
            order.name,
            order.at.replace(tzinfo=UTC).astimezone(zone).date(),
            home.pseudonym(order.person) if order.person else None,
            order.total,
        )
        for order in real
    )
    found = home.rows(
        "select invoice_no, event_day, customer_id, cast(sum(amount) as decimal(18, 2)) from raw.order_lines "
        "group by all order by all"
    )
    assert found == expected
    assert home.rows("select count(*), sum(amount) from raw.returns") == [
        (len(refunds), sum(order.refunded for order in refunds))
    ]


def test_the_preset_is_a_mapping_that_loads() -> None:
    shop = load_shop(Settings(shop="presets/shopify", _env_file=None))
    assert [source.name for source in shop.sources] == ["orders", "returns"]
