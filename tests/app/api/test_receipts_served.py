"""Receipts under a running server of two workers: a clock that jumps, and a file that is moved away."""

from __future__ import annotations

import sqlite3
import time
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.app.api.publication import Publication, publish
from tests.app.api.serving import serving
from tests.shop import mapping

TODAY = date.today()
# read by Python before anything else: it sets the one clock of the product ahead
CLOCK = """
import os
from datetime import timedelta
import goodstanding.core.vocabulary as vocabulary

right = vocabulary.moment
vocabulary.moment = lambda: right() + timedelta(days=int(os.environ["DAYS_AHEAD"]))
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    mapping(tmp_path)
    publication = Publication(
        as_of=TODAY - timedelta(days=1), published_at=datetime.combine(TODAY, datetime.min.time())
    )
    publish(tmp_path / "home" / "published" / "current.duckdb", publication)
    return tmp_path / "home"


def ask(client: httpx.Client, number: int) -> httpx.Response:
    asked = {"customer_id": str(11 + number % 7), "basket": f"{1 + number}.00", "method": "cod"}
    return client.post("/v1/decisions", json=asked)


def kept(file: Path) -> set[str]:
    with sqlite3.connect(file) as connection:
        return {receipt_id for (receipt_id,) in connection.execute("select receipt_id from receipts")}


def test_a_clock_that_jumps_once_drops_no_receipt_and_is_doubted(home, tmp_path):
    receipts = home / "receipts" / "receipts.sqlite"
    with serving(home) as server:
        told = {ask(server.client, number).json()["receipt_id"] for number in range(3)}
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    ahead = {"PYTHONPATH": str(tmp_path), "DAYS_AHEAD": "900"}
    with serving(home, ahead) as server:
        day = TODAY + timedelta(days=900)
        assert ask(server.client, 4).json()["age_days"] >= 900, "the server's clock is ahead"
        said = f"the clock says {day}, but the newest day known without it is {TODAY}"
        wait_until(lambda: said in server.log.read_text())
    assert told < kept(receipts)


def wait_until(holds: Any) -> None:
    for _ in range(100):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it does not come true")


@pytest.mark.parametrize("is_put_back", [True, False])
def test_a_file_of_receipts_that_is_moved_away_ends_the_granting(home, is_put_back):
    file = home / "receipts" / "receipts.sqlite"
    away = home.parent / "away.sqlite"
    with serving(home) as server:
        for number in range(30):
            assert ask(server.client, number).status_code == 200
        file.rename(away)
        refused = [ask(server.client, number) for number in range(30, 60)]
        assert {answer.status_code for answer in refused} == {503}
        assert "receipts.sqlite was moved, deleted or replaced" in refused[0].json()["detail"]
        assert str(home) not in refused[0].text
        assert server.client.get("/health").status_code == 200
        if is_put_back:
            away.rename(file)
            more = [ask(server.client, number).json() for number in range(60, 70)]
            assert all("receipt_id" in answer for answer in more), more
            assert {answer["receipt_id"] for answer in more} <= kept(file)
            assert sum(Decimal(answer["granted"]) for answer in more) > 0
    assert file.exists() == is_put_back
