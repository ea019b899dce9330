"""Lines of returns lower the orders that they name, and all that follows from these, in any order of days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from goodstanding.core.days import Days
from goodstanding.core.settings import Settings
from goodstanding.warehouse.files import open_warehouse
from ml.features import Snapshot
from ml.tasks import TASKS, window_values
from pipeline import steps

MAPPING = """
source: tiny_shop
timezone: Europe/London
currency: GBP
files: {path: "orders/{day}*.csv"}
columns:
  invoice_no: {from: order, as: text}
  stock_code: {from: sku, as: text}
  quantity: {from: qty, as: integer}
  ordered_at: {from: at, as: timestamp}
  unit_price: {from: price, as: decimal}
  customer_id: {from: customer, as: text}
invoice_kinds:
  cancellation: {column: invoice_no, matches: "^C"}
returns:
  files: {path: "returns/{day}*.csv"}
  columns:
    customer_id: {from: customer, as: text}
    invoice_no: {from: order, as: text}
    returned_at: {from: at, as: timestamp}
    amount: {from: amount, as: decimal, optional: true}
    cause: {from: cause, as: text, optional: true}
  kinds:
    refusal: {column: cause, matches: "^refused"}
"""
FILES = {
    "orders/2011-09-01": [
        *("a1,TEA,1,50.00,ann", "b1,TEA,1,50.00,bob", "x1,TEA,2,50.00,cy", "x1,MUG,1,20.00,cy"),
        # free goods
        *("d1,TEA,1,50.00,dan", "f1,GIFT,1,0.00,flo"),
    ],
    "orders/2011-09-03": ["C9,TEA,-1,50.00,cy"],
    "orders/2011-09-04": ["a2,TEA,1,20.00,ann", "b2,TEA,1,20.00,bob", "d1,TEA,1,30.00,dan"],
    "returns/2011-09-03": [
        *("ann,a1,50.00,does not fit", "bob,b1,,refused", "cy,x1,50.00,broken"),
        *("eve,none,9.00,of no order", "flo,f1,,broken"),
    ],
    # the number d1 came again, so this is of the order of 4 September
    "returns/2011-09-05": ["dan,d1,10.00,late", "cy,x1,30.00,broken too"],
}
HEADERS = {"orders": "order,sku,qty,price,customer,at", "returns": "customer,order,amount,cause,at"}
FIRST, LAST = date(2011, 9, 1), date(2011, 9, 5)
TABLES = (
    *("marts.invoices", "marts.return_behaviour", "marts.customer_classes", "marts.customer_features"),
    *("features.invoice_states", "features.order_accounts"),
)
Tables = dict[str, list[tuple[object, ...]]]
Shop = Callable[..., Tables]


@pytest.fixture
def shop(tmp_path: Path, use_settings: Callable[..., Settings]) -> Shop:
    """Write files into the landing (None takes one away) and run some days; what the tables then hold.

    A name of a home gives the shop another one, which knows nothing yet.
    """
    landing, mapping = tmp_path / "landing", tmp_path / "shop.yml"
    mapping.write_text(MAPPING)
    for kind in HEADERS:
        (landing / kind).mkdir(parents=True)

    def run(files: dict[str, list[str] | None], *days: str, home: str = "home") -> Tables:
        for name, lines in files.items():
            kind, day = name.split("/")
            path = landing / f"{name}.csv"
            if lines is None:
                path.unlink()
            else:
                at = [f"{day[:10]} 10:{n:02d}" for n in range(len(lines))]
                rows = [f"{line},{time}" for line, time in zip(lines, at, strict=True)]
                path.write_text("\n".join([HEADERS[kind], *rows]) + "\n")
        current = use_settings(
            home=tmp_path / home, landing=landing, shop=str(mapping), pseudonym_key="ab" * 32
        )
        for day in days or (f"{FIRST}/{LAST}",):
            span = Days(*(date.fromisoformat(end) for end in (day.split("/") * 2)[:2]))
            for step in (steps.ingest, steps.check_raw, steps.transform, steps.check_invoices):
                step(span, "run")
        with open_warehouse(current) as connection:
            return {
                table: connection.execute(f"select * from {table} order by all").fetchall()
                for table in TABLES
            }

    return run


@pytest.fixture
def told(use_settings: Callable[..., Settings], tmp_path: Path) -> Callable[[str], list[tuple[object, ...]]]:
    def rows(sql: str) -> list[tuple[object, ...]]:
        with open_warehouse(use_settings(home=tmp_path / "home")) as connection:
            return connection.execute(sql).fetchall()

    return rows


def test_what_returns_state_is_taken_off_the_order_once(shop: Shop, told: Callable[[str], list]) -> None:
    shop(FILES)
    assert told(
        "select invoice_no, event_day, cancelled_amount, returned_amount, net_amount, is_kept "
        "from marts.invoices where kind = 'sale' order by 1, 2"
    ) == [
        ("a1", date(2011, 9, 1), 0, 50, 0, False),
        ("a2", date(2011, 9, 4), 0, 0, 20, True),
        # a refusal without an amount gives back all of the order
        ("b1", date(2011, 9, 1), 0, 50, 0, False),
        ("b2", date(2011, 9, 4), 0, 0, 20, True),
        ("d1", date(2011, 9, 1), 0, 0, 50, True),
        ("d1", date(2011, 9, 4), 0, 10, 20, True),
        ("f1", date(2011, 9, 1), 0, 0, 0, False),
        # 50 are cancelled and stated, and 30 more are stated
        ("x1", date(2011, 9, 1), 50, 30, 40, True),
    ]
    assert told(
        """
        select first_order, orders, returned_orders, cancelled_orders, refused_orders
        from marts.return_behaviour
        inner join (
            select customer_id, min(invoice_no) as first_order from features.invoice_states group by 1
        ) using (customer_id)
        order by 1
        """
    ) == [
        *(("a1", 2, 1, 1, 0), ("b1", 2, 1, 1, 1), ("d1", 2, 1, 0, 0), ("f1", 1, 1, 0, 0)),
        ("x1", 1, 1, 0, 0),
    ]
    monetary = (
        "select as_of, frequency, monetary from marts.customer_classes where customer_id = '{}' order by 1"
    )
    [(ann,)] = told("select customer_id from features.invoice_states where invoice_no = 'a2'")
    assert told(monetary.format(ann)) == [
        *((date(2011, 9, day), 1, Decimal(50)) for day in (1, 2)),
        *((date(2011, 9, day), 1, Decimal(20)) for day in (4, 5)),
    ]


def test_the_label_of_returns_knows_what_came_back_without_a_credit_note(
    shop: Shop, told: Callable[[str], list], tmp_path: Path, use_settings: Callable[..., Settings]
) -> None:
    shop(FILES)
    names = dict(told("select customer_id, min(invoice_no) from features.invoice_states group by 1"))
    snapshot = Snapshot(FIRST, np.array(list(names), dtype=object), pd.DataFrame())
    with open_warehouse(use_settings(home=tmp_path / "home")) as connection:
        labels = window_values(connection, TASKS["returns_60d"].outcome, snapshot, date(2011, 9, 3), LAST)
        first = window_values(connection, TASKS["returns_60d"].outcome, snapshot, FIRST, date(2011, 9, 3))
    known = [names[customer] for customer in snapshot.customers]
    assert {name for name, value in zip(known, first, strict=True) if value} == {"a1", "b1", "f1", "x1"}
    assert {name for name, value in zip(known, labels, strict=True) if value} == {"d1", "x1"}


CHANGES: dict[str, dict[str, list[str] | None]] = {
    "a return is taken back": {"returns/2011-09-03": ["bob,b1,,refused", "cy,x1,50.00,broken"]},
    "a file of returns is withdrawn": {"returns/2011-09-05": None},
    "a return is of another amount": {"returns/2011-09-03": ["ann,a1,10.00,does not fit"]},
    "the newer order of a number goes": {"orders/2011-09-04": ["a2,TEA,1,20.00,ann"]},
    "an older order of a number comes": {"orders/2011-09-02": ["a2,TEA,1,40.00,ann"]},
    "the order comes after its return": {"orders/2011-09-02": ["none,TEA,1,12.00,eve"]},
    "a cancellation comes late": {"orders/2011-09-05": ["C8,MUG,-1,20.00,cy"]},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_days_in_any_order_and_late_changes_end_in_one_clean_build(
    shop: Shop, change: dict[str, list[str] | None]
) -> None:
    shop(FILES, "2011-09-03", "2011-09-05", "2011-09-01", "2011-09-04", "2011-09-02")
    day = next(iter(change)).split("/")[1]
    found = shop(change, day)
    assert found == shop({}, home="clean")
