"""Scopes: no model writes a row that its own next run would not delete, and one that does is found."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest

from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem
from goodstanding.ingest.samples.simulate_accounts import simulate_accounts
from goodstanding.warehouse.files import open_warehouse
from pipeline import steps, transform

FIRST, BEFORE, COUNT = date(2011, 1, 3), 40, 43
LAST_BEFORE, LAST = FIRST + timedelta(days=BEFORE - 1), FIRST + timedelta(days=COUNT - 1)
# it deletes the rows of changed invoices and writes those of every invoice
PLANTED = """
{%- do scope_is('invoice') -%}

select distinct customer_id, invoice_no, event_day from {{ ref('stg_order_lines') }}
where customer_id is not null
"""


@pytest.fixture(autouse=True)
def checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every build of these tests checks scopes."""
    monkeypatch.setattr(transform, "run_dbt", partial(transform.run_dbt, variables={"check_scope": True}))


@pytest.fixture
def landing(tmp_path: Path, use_settings) -> Path:
    """The made-up shop, whose days up to the 40th are built."""
    landing = tmp_path / "landing"
    simulate_accounts(landing, first=FIRST, days=COUNT, customers=250, seed=5)
    use_settings(home=tmp_path / "home", landing=landing, shop="simulated")
    return landing


def build(days: Days) -> dict[str, object]:
    for step in (steps.ingest, steps.check_raw):
        step(days, "run")
    return steps.transform(days, "run")


def test_no_model_writes_rows_outside_of_its_scope(landing: Path, use_settings) -> None:
    assert build(Days(FIRST, LAST_BEFORE))["rebuilt"]
    # the next days bring orders, cancellations, payments, returns and deliveries
    assert not build(Days(LAST_BEFORE + timedelta(days=1), LAST))["rebuilt"]
    # a day in the middle is corrected: every other line of it is gone
    corrected = FIRST + timedelta(days=20)
    files = list(landing.rglob(f"*{corrected}*"))
    assert len(files) >= 3
    for path in files:
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[:1] + lines[1::2]))
    assert not build(Days(corrected, corrected))["rebuilt"]
    with open_warehouse(use_settings()) as connection:
        written = [
            connection.execute(f"select count(*) from {table}").fetchone()
            for table in ("intermediate.int_changed_invoice_lines", "features.instalment_states")
        ]
    assert (0,) not in written


def test_a_model_that_writes_rows_outside_of_its_scope_is_found(
    landing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "dbt_project"
    shutil.copytree(transform.DBT_PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    (project / "models" / "intermediate" / "int_planted.sql").write_text(PLANTED)
    monkeypatch.setattr(transform, "DBT_PROJECT", project)
    build(Days(FIRST, LAST_BEFORE))
    with pytest.raises(
        DataProblem, match=r"of the \d+ rows that int_planted writes lie outside of its scope 'invoice'"
    ):
        build(Days(LAST, LAST))
