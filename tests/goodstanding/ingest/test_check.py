"""`goodstanding check` says what a run would find in the landing, and touches no home."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem
from goodstanding.ingest.check import check_landing
from goodstanding.ingest.load import ingest
from tests.goodstanding.ingest.homes import DAY, Home, line
from tests.shops.exports_of_shopify import Order, export


def test_an_export_is_checked_without_loading_it(tmp_path: Path) -> None:
    home = Home(tmp_path, "presets/shopify")
    mug = (1, Decimal(10), "Mug", "MUG")
    at = datetime(2026, 8, 5, 10)
    orders = [
        Order("#1", at, [mug, mug], email="ann@example.com"),
        Order("#2", at, [mug], email="bob@example.com", cells={"Total": "9.00"}),
        Order("#3", at, [mug], email="bob@example.com", status="voided"),
        Order("#4", at, [mug], email="cay@example.com", currency="USD"),
        Order("#5", at, [mug], refunded=Decimal(10)),
    ]
    home.put_bytes(export(orders).encode(), "export.csv")
    checked = check_landing(home.settings)
    assert (checked["files"], checked["lines"], checked["orders"], checked["customers"]) == (1, 6, 2, 1)
    assert checked["reconciled"] == {"orders": 2, "off": 1}
    assert checked["lost"] == 1
    assert checked["set_aside"] == {
        "order_total: #, and the lines of the order sum to #": 1,
        "lines in another currency than the shop's (other_currencies of the mapping): left out": 1,
        "lines of orders that are none by their status (no_orders of the mapping): left out": 1,
        "returns of orders without a customer: left out": 1,
    }
    (file,) = checked["by_file"]
    assert (file["name"], file["lines"], file["orders"], file["off"]) == ("export.csv", 6, 5, 1)
    assert not home.settings.home.exists()


def test_a_line_of_a_day_to_come_is_lost_and_told(tmp_path: Path) -> None:
    home = Home(tmp_path, "presets/shopify")
    mug = (1, Decimal(10), "Mug", "MUG")
    orders = [
        Order(f"#{year}", datetime(year, 8, 5, 10), [mug], email="ann@example.com") for year in (2026, 2062)
    ]
    home.put_bytes(export(orders).encode(), "export.csv")
    checked = check_landing(home.settings)
    assert (checked["orders"], checked["lost"], checked["set_aside"]) == (1, 1, {"a day to come": 1})


def test_an_export_whose_columns_are_called_otherwise_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path, "presets/shopify")
    mug = (1, Decimal(10), "Mug", "MUG")
    text = export([Order("#1", datetime(2026, 8, 5, 10), [mug], email="ann@example.com")])
    for name in ("Email", "Financial Status", "Total"):
        home.put_bytes(text.replace(name, "Other", 1).encode(), "export.csv")
        with pytest.raises(DataProblem, match=name):
            check_landing(home.settings)


def test_files_of_a_day_are_checked_too(home: Home) -> None:
    home.put(line(), line(invoice="2", price="free"))
    checked = check_landing(home.settings, Days(DAY, DAY))
    assert (checked["files"], checked["lines"], checked["orders"], checked["lost"]) == (1, 2, 1, 1)
    assert checked["reconciled"] == {"orders": 0, "off": 0}
    counts = ingest(home.settings, Days(DAY, DAY), "test")
    assert counts["rejected"] == checked["lost"]


def test_a_landing_without_a_file_of_the_shop_is_told(tmp_path: Path) -> None:
    home = Home(tmp_path, "presets/shopify")
    home.put_bytes(b"", "orders.txt")
    with pytest.raises(DataProblem, match=r"no file in .* matches '\*export\*\.csv'"):
        check_landing(home.settings)
