"""`goodstanding check`: what a run would find, as tables and as JSON; exit 1 where lines would be lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli.main import app
from goodstanding.core.settings import PROJECT, settings

BY_HAND = PROJECT / "tests" / "shops" / "shopify_by_hand.csv"


def checked(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str, *arguments: str) -> Result:
    """The command over a landing with one export."""
    landing = folder / "landing"
    landing.mkdir()
    (landing / "export.csv").write_text(text)
    for name, value in {"home": folder / "home", "landing": landing, "shop": "presets/shopify"}.items():
        monkeypatch.setenv(f"GOODSTANDING_{name.upper()}", str(value))
    settings.cache_clear()
    return CliRunner().invoke(app, ["check", *arguments])


def test_what_a_run_would_find_is_one_json_object(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done = checked(monkeypatch, tmp_path, BY_HAND.read_text(), "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (told["ok"], told["files"], told["lines"], told["orders"], told["customers"]) == (True, 1, 4, 2, 1)
    assert told["reconciled"] == {"orders": 2, "off": 0}
    left_out = "lines of orders that are none by their status (no_orders of the mapping): left out"
    assert told["set_aside"] == {left_out: 1}


def test_lines_that_would_be_lost_end_in_exit_code_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = BY_HAND.read_text().replace("22.90", "22.00")
    done = checked(monkeypatch, tmp_path, text)
    assert done.exit_code == 1
    shown = " ".join(done.stdout.split())
    assert "order_total: #, and the lines of the order sum to #" in shown
    assert "that do not" in shown
