"""The key of an invoice is checked: a number on another day, or of another customer, is another invoice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from goodstanding.core.settings import Settings
from tests.dbt_project.shops import SmallShop
from tests.shop import line

FIRST, SECOND, THIRD = "2011-12-01", "2011-12-05", "2011-12-07"
ORDERS = {
    FIRST: [
        line(FIRST, "17", 103, "A", 2, 5),
        line(FIRST, "18", 104, "A", 1, 5),
        line(FIRST, "19", 105, "A", 1, 5),
        line(FIRST, "19", 106, "A", 1, 6),
    ],
    SECOND: [
        line(SECOND, "17", 103, "B", 1, 7),
        # the number that another customer's invoice had
        line(SECOND, "18", 105, "B", 1, 8),
        line(SECOND, "C17", 103, "B", -1, 7),
    ],
    # the cancellation's number comes again, too
    THIRD: [line(THIRD, "C17", 103, "A", -1, 5)],
}
PAYMENTS = {
    FIRST: f"17,103,account,1,9,{FIRST},,9,",
    # the instalment of the newer order: that of the older stays unpaid
    SECOND: f"17,103,account,1,7,{SECOND},{SECOND},0,",
}
INVOICES = [
    (103, "17", date(2011, 12, 1), "sale", Decimal(10), Decimal(5)),
    (103, "17", date(2011, 12, 5), "sale", Decimal(7), Decimal(0)),
    (103, "C17", date(2011, 12, 5), "cancellation", Decimal(-7), Decimal(-7)),
    (103, "C17", date(2011, 12, 7), "cancellation", Decimal(-5), Decimal(-5)),
    (104, "18", date(2011, 12, 1), "sale", Decimal(5), Decimal(5)),
    (105, "18", date(2011, 12, 5), "sale", Decimal(8), Decimal(8)),
    (105, "19", date(2011, 12, 1), "sale", Decimal(5), Decimal(5)),
    (106, "19", date(2011, 12, 1), "sale", Decimal(6), Decimal(6)),
]


@pytest.mark.parametrize(
    "order", [(FIRST, SECOND, THIRD), (THIRD, SECOND, FIRST)], ids=["in order", "backwards"]
)
def test_a_number_that_comes_again_is_another_invoice(
    tmp_path: Path, use_settings: Callable[..., Settings], order: tuple[str, ...]
) -> None:
    shop = SmallShop(tmp_path, use_settings, accounts=True)
    for day in order:
        shop.put(f"{day}.csv", *ORDERS[day])
        if day in PAYMENTS:
            shop.put(f"payments/{day}.csv", PAYMENTS[day])
        if day == SECOND:
            shop.put(f"returns/{SECOND}.csv", f"17,103,{SECOND} 11:00:00,torn,7")
        shop.run(day)
    found = shop.rows(
        "select customer_id, invoice_no, event_day, kind, gross_amount, net_amount from marts.invoices"
    )
    assert sorted(found, key=str) == INVOICES
    assert shop.rows(
        "select customer_id, recency, frequency, monetary from marts.customer_classes "
        f"where as_of = '{SECOND}' and customer_id = (select max(customer_id) from features.order_accounts)"
    ) == [(103, 4, 1, Decimal(10))]
    assert shop.rows(
        "select invoice_day, amount, settled_day from features.instalment_states order by invoice_day"
    ) == [
        (date(2011, 12, 1), Decimal(9), None),
        (date(2011, 12, 5), Decimal(7), date(2011, 12, 5)),
    ]
    assert shop.rows(
        "select invoice_day, method_kind, returned_day from features.order_accounts order by invoice_day"
    ) == [(date(2011, 12, 1), "on_account", None), (date(2011, 12, 5), "on_account", date(2011, 12, 5))]
