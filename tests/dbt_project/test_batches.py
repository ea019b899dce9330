"""Models of customers and as_of days, computed some days at once, hold the same rows as all at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest

from goodstanding.core.days import Days
from goodstanding.core.settings import Settings
from goodstanding.ingest.samples.simulate_accounts import simulate_accounts
from goodstanding.warehouse.files import open_warehouse
from pipeline import steps, transform

FIRST, COUNT = date(2011, 1, 10), 40
DAYS = Days(FIRST, FIRST + timedelta(days=COUNT - 1))
TABLES = (
    *("rfm_borders", "rfm_scores", "class_borders", "customer_classes"),
    *("return_behaviour", "payment_behaviour", "customer_features", "master_data"),
)


def rows(current: Settings) -> dict[str, list[tuple[object, ...]]]:
    with open_warehouse(current) as connection:
        return {
            table: connection.execute(f"select * from marts.{table} order by all").fetchall()
            for table in TABLES
        }


def test_batches_of_days_hold_the_rows_of_all_days_at_once(
    tmp_path: Path, use_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = tmp_path / "landing"
    simulate_accounts(landing, first=FIRST, days=COUNT, customers=60, seed=5)
    current = use_settings(home=tmp_path / "home", landing=landing, shop="simulated")
    for step in (steps.ingest, steps.check_raw, steps.transform):
        step(DAYS, "at once")
    at_once = rows(current)
    assert all(at_once.values()) and len({row[1] for row in at_once["customer_classes"]}) > 30
    monkeypatch.setattr(transform, "run_dbt", partial(transform.run_dbt, variables={"batch_rows": 100}))
    with open_warehouse(current) as connection:
        connection.execute("delete from state.built_by")
    assert transform.transform(current, DAYS, "in batches")["rebuilt"]
    assert rows(current) == at_once
    # and a range of days that comes again, of which only some rows are replaced
    with open_warehouse(current) as connection:
        connection.execute(
            f"""
            insert into intake.raw.changes by name
            select event_day, 'day' as kind from intake.raw.days where event_day > '{DAYS.last}'::date - 20
            """
        )
    assert not transform.transform(current, DAYS, "some days")["rebuilt"]
    assert rows(current) == at_once
