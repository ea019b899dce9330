"""`goodstanding init`: writes a mapping for a shop's exports, and asks what they do not prove."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli.main import app
from goodstanding.core.settings import PROJECT, Settings, settings
from goodstanding.shops.mapping import load_shop

BY_HAND = PROJECT / "tests" / "shops" / "shopify_by_hand.csv"
Call = Callable[..., Result]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Call `init` over the export that was written by hand."""
    monkeypatch.setenv("GOODSTANDING_HOME", str(tmp_path / "home"))
    settings.cache_clear()

    def call(*arguments: str, answers: str = "") -> Result:
        given = ["init", str(BY_HAND), "--out", str(tmp_path / "tea.yml"), *arguments]
        return CliRunner().invoke(app, given, input=answers)

    return call


def test_yes_takes_what_is_proposed(call: Call, tmp_path: Path) -> None:
    done = call("--yes", "--name", "tea", "--json")
    told = json.loads(done.stdout)
    assert (told["ok"], told["preset"], told["mapping"]) == (True, "shopify", str(tmp_path / "tea.yml"))
    shop = load_shop(Settings(shop=str(tmp_path / "tea.yml"), _env_file=None))
    assert (shop.source, shop.timezone) == ("tea", "Europe/Berlin")
    again = call("--yes", "--name", "tea", "--json")
    assert again.exit_code == 2
    assert "is there already" in json.loads(again.stdout)["error"]


def test_json_alone_writes_nothing(call: Call, tmp_path: Path) -> None:
    assert json.loads(call("--json").stdout)["mapping"] is None
    assert not (tmp_path / "tea.yml").exists()


def test_what_is_not_sure_is_asked(call: Call, tmp_path: Path) -> None:
    done = call("--name", "tea", answers="Europe/Busingen\n")
    assert done.exit_code == 0, done.output
    assert "other zones show the same offsets" in " ".join(done.output.split())
    shop = load_shop(Settings(shop=str(tmp_path / "tea.yml"), _env_file=None))
    assert shop.timezone == "Europe/Busingen"
