"""A mapping is proposed for the exports that a shop has, from what they say."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import Settings
from goodstanding.ingest.check import check_landing
from goodstanding.ingest.proposal import propose, write_mapping
from goodstanding.shops.mapping import load_shop
from tests.shops.exports_of_shopify import Order, export

MUG = (1, Decimal(10), "Mug", "MUG")


def shopify(*orders: Order) -> str:
    """An export of these orders."""
    return export(orders)


def order(name: str, month: int = 8, offset: int = 120, country: str = "DE", **fields: object) -> Order:
    """An order of one line."""
    cells = {"Billing Country": country}
    return Order(name, datetime(2026, month, 5, 10), [MUG], offset=offset, cells=cells, **fields)


def test_an_export_of_shopify_is_known_and_what_it_says_is_taken(tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    landing.mkdir()
    file = landing / "orders_export_2026-08.csv"
    file.write_text(shopify(order("#1"), order("#2"), order("#3", currency="USD")))
    proposal = propose("My Tea-Shop", [file])
    assert {
        key: proposal[key] for key in ("preset", "source", "timezone", "currency", "path", "mapping")
    } == {
        "preset": "shopify",
        "source": "my_tea_shop",
        "timezone": "Europe/Berlin",
        "currency": "EUR",
        "path": "orders_export_*.csv",
        "mapping": None,
    }
    assert proposal["unsure"][0] == "currency: 2 orders are in EUR; orders in USD would be left out"
    written = write_mapping(proposal, tmp_path / "tea.yml")
    shop = load_shop(Settings(shop=str(tmp_path / "tea.yml"), _env_file=None))
    assert written["mapping"] == str(tmp_path / "tea.yml")
    assert (shop.source, shop.timezone, shop.currency) == ("my_tea_shop", "Europe/Berlin", "EUR")
    assert {source.files.path for source in shop.sources} == {"orders_export_*.csv"}
    # what a comment of the preset says is there for the shop too
    assert "no id of a customer" in (tmp_path / "tea.yml").read_text()
    home = Settings(home=tmp_path / "home", landing=landing, shop=str(tmp_path / "tea.yml"), _env_file=None)
    assert check_landing(home)["orders"] == 2


@pytest.mark.parametrize(
    ("orders", "zone"),
    [
        (
            [order("#1", country="GB", offset=60), order("#2", month=1, country="GB", offset=0)],
            "Europe/London",
        ),
        ([order("#1", country="US", offset=-420)], "America/Los_Angeles"),
        ([order("#1", country="JP", offset=540)], "Asia/Tokyo"),
        # the buyers are elsewhere, and the shop's clock tells where it is
        ([order("#1", country="DE", offset=330)], "Asia/Kolkata"),
    ],
)
def test_the_zone_is_one_whose_clock_shows_the_offsets(
    tmp_path: Path, orders: list[Order], zone: str
) -> None:
    (tmp_path / "export.csv").write_text(shopify(*orders))
    proposal = propose("shop", [tmp_path])
    if zone == "America/Los_Angeles":
        # Phoenix and Los Angeles show the same in summer
        assert any(doubt.startswith("timezone: other zones") for doubt in proposal["unsure"])
    elif zone == "Asia/Kolkata":
        assert any(doubt.startswith("timezone: other zones") for doubt in proposal["unsure"])
    if zone != "America/Los_Angeles":
        assert proposal["timezone"] == zone


def test_what_no_preset_knows_is_refused_with_what_the_nearest_needs(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("Receipt,When,Sum\n1,2026-08-01,5\n")
    with pytest.raises(DataProblem, match=r"the columns of sales\.csv; the nearest, shopify, needs also"):
        propose("shop", [tmp_path / "sales.csv"])


def test_a_mapping_is_not_written_over_another(tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text(shopify(order("#1")))
    proposal = propose("shop", [tmp_path])
    (tmp_path / "shop.yml").write_text("mine")
    with pytest.raises(WrongUse, match="is there already"):
        write_mapping(proposal, tmp_path / "shop.yml")
    assert (tmp_path / "shop.yml").read_text() == "mine"


def test_a_wrong_answer_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text(shopify(order("#1")))
    proposal = propose("shop", [tmp_path])
    proposal["timezone"] = "Europe/Berln"
    with pytest.raises(WrongUse, match="'Europe/Berln' is no time zone"):
        write_mapping(proposal, tmp_path / "shop.yml")
    assert not (tmp_path / "shop.yml").exists()


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("orders_export_1.csv", "orders_export_*.csv"),
        ("orders_export_2026-08 (2).csv", "orders_export_*.csv"),
        ("orders.csv", "orders*.csv"),
    ],
)
def test_the_path_finds_the_next_export_too(tmp_path: Path, name: str, pattern: str) -> None:
    (tmp_path / name).write_text(shopify(order("#1")))
    assert propose("shop", [tmp_path / name])["path"] == pattern


def test_no_file_and_no_name_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match="there is no csv file in"):
        propose("shop", [tmp_path])
    with pytest.raises(DataProblem, match="there is no file"):
        propose("shop", [tmp_path / "export.csv"])
    with pytest.raises(WrongUse, match="'2026' is no name"):
        propose("2026", [tmp_path])
