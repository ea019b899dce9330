"""Order of events is that of instants, equal lines of a day count once, and money is rounded as stated."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from goodstanding.core.settings import Settings
from tests.dbt_project.shops import SmallShop
from tests.shop import line

DAY = "2011-10-30"


@pytest.fixture
def shop(tmp_path: Path, use_settings: Callable[..., Settings]) -> SmallShop:
    """A shop that writes instants, and may have several files of a day."""
    shop = SmallShop(tmp_path, use_settings)
    mapping = tmp_path / "tiny.yml"
    text = mapping.read_text().replace('path: "{day}.csv"', 'path: "{day}*.csv"')
    mapping.write_text(text.replace(', format: "%Y-%m-%d %H:%M:%S"', ""))
    return shop


def test_events_instants_and_copies(shop: SmallShop) -> None:
    lines = [
        # the clock shows 01:50, and after it has been put back 01:10
        line(DAY, "1", 101, "A", 1, 10, "00:50:00Z"),
        line(DAY, "C1", 101, "A", -1, 10, "01:10:00Z"),
        line(DAY, "2", 102, "A", 1, 10, "01:10:00Z"),
        line(DAY, "C2", 102, "A", -1, 10, "00:50:00Z"),
        # a third of 10.00 is taken back, and the shop gives money off
        line(DAY, "3", 103, "A", 3, "3.3333333333", "09:00:00Z"),
        line(DAY, "C3", 103, "A", -1, "3.3333333333", "09:01:00Z"),
        line(DAY, "3", 103, "OFF", 1, -1, "09:00:00Z"),
        # two purchases of one minute: the one that was recorded last is taken back first, whatever the file
        line(DAY, "4", 104, "A", 2, 5, "09:00:00Z"),
        line(DAY, "4", 104, "A", 3, 7, "09:00:00Z"),
        line(DAY, "C4", 104, "A", -1, 5, "09:00:00Z"),
    ]
    # exported again, with an order more, in another order of orders
    shop.put(f"{DAY}.csv", *lines)
    shop.put(f"{DAY} (1).csv", *lines[4:], *lines[:4], line(DAY, "5", 105, "A", 1, 4, "09:00:00Z"))
    shop.run(DAY)
    assert shop.rows(
        "select customer_id, invoice_no, net_amount from marts.invoices where kind = 'sale' order by 2"
    ) == [
        (101, "1", Decimal(0)),
        (102, "2", Decimal(10)),
        (103, "3", Decimal("5.6667")),
        (104, "4", Decimal(24)),
        (105, "5", Decimal(4)),
    ]
    assert shop.rows("select outcome, count(*) from marts.order_lines group by 1 order by 1")[2] == (
        "duplicate",
        len(lines),
    )
    assert shop.rows("select min(ordered_at::date), max(ordered_at_utc::date) from marts.order_lines") == [
        (date(2011, 10, 30), date(2011, 10, 30))
    ]
