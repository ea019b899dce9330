"""Versions: what is stored of customers and days costs what changed, and unfolds to the rows of every day."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import duckdb
import pytest

from goodstanding.core.days import Days
from goodstanding.core.settings import Settings
from goodstanding.ingest.samples.simulate_accounts import simulate_accounts
from goodstanding.warehouse.files import open_warehouse
from goodstanding.warehouse.publish import keep_for_readers
from pipeline import steps, transform

FIRST, COUNT = date(2011, 1, 10), 40
LAST = FIRST + timedelta(days=COUNT - 1)
MODELS = ("intermediate.int_rfm_measures", "marts.rfm_scores", "marts.customer_classes")

Rows = dict[str, list[tuple[object, ...]]]


@pytest.fixture
def current(tmp_path: Path, use_settings: Callable[..., Settings]) -> Callable[..., Settings]:
    """Settings of a home by its name; all homes have the same shop and landing."""
    landing = tmp_path / "landing"
    simulate_accounts(landing, first=FIRST, days=COUNT, customers=150, seed=5)
    return lambda name, **others: use_settings(
        home=tmp_path / name, landing=landing, shop="simulated", pseudonym_key="ab" * 32, **others
    )


def build(first: date, last: date) -> bool:
    """Build the marts of these days; return whether everything was recomputed."""
    for step in (steps.ingest, steps.check_raw):
        step(Days(first, last), "run")
    return bool(steps.transform(Days(first, last), "run")["rebuilt"])


def unfolded(settings: Settings) -> Rows:
    with open_warehouse(settings) as connection:
        return {
            model: connection.execute(f"select * from {model} order by all").fetchall() for model in MODELS
        }


def stored(settings: Settings) -> Rows:
    tables = [table for model in MODELS for table in (versions_of(model), f"{versions_of(model)}_days")]
    with open_warehouse(settings) as connection:
        return {
            table: connection.execute(f"select * from {table} order by all").fetchall() for table in tables
        }


def versions_of(model: str) -> str:
    return model.replace(".", "_versions.")


def built_anew(settings: Settings) -> tuple[Rows, Rows]:
    """What the same days give when all of them are computed at once."""
    with open_warehouse(settings) as connection:
        connection.execute("delete from state.built_by")
    assert transform.transform(settings, Days(LAST, LAST), "anew")["rebuilt"]
    return unfolded(settings), stored(settings)


def correct(landing: Path, day: date) -> None:
    """Take every other line out of the files of a day."""
    for path in landing.rglob(f"*{day}*"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[:1] + lines[1::2]))


def test_versions_unfold_to_the_rows_that_are_stored_without_them(
    current: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = current("versions")
    build(FIRST, LAST)
    rows, versions = unfolded(settings), stored(settings)
    project = tmp_path / "dbt_project"
    shutil.copytree(transform.DBT_PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    for model in MODELS:
        path = project / "models" / Path(*model.split(".")).with_suffix(".sql")
        text = path.read_text()
        assert "materialized='versioned'" in text
        path.write_text(text.replace("materialized='versioned'", "materialized='replaced'"))
    monkeypatch.setattr(transform, "DBT_PROJECT", project)
    plain = current("plain")
    build(FIRST, LAST)
    # the intermediate one holds the rows of a run alone, and this run had all days
    assert rows == unfolded(plain)
    # recency grows each day, scores and classes change on some
    assert all(3 * len(versions[versions_of(model)]) < len(rows[model]) for model in MODELS)


def test_a_day_that_changes_nothing_adds_no_version(current: Callable[..., Settings]) -> None:
    settings = current("home")
    build(FIRST, LAST)
    versions = stored(settings)
    late = LAST + timedelta(days=1)
    build(late, late)
    now = stored(settings)
    table = versions_of("intermediate.int_rfm_measures")
    assert now[table] == versions[table]
    assert len(now[f"{table}_days"]) == len(versions[f"{table}_days"]) + 1


@pytest.mark.parametrize("as_of_days", [400, 6])
def test_days_one_by_one_and_days_corrected_late_end_in_the_versions_of_one_build(
    current: Callable[..., Settings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    as_of_days: int,
) -> None:
    # with checks of scopes, and in batches of few days
    variables = {"check_scope": True, "batch_rows": 700}
    monkeypatch.setattr(transform, "run_dbt", partial(transform.run_dbt, variables=variables))
    settings = current("home", as_of_days=as_of_days)
    before = LAST - timedelta(days=9)
    build(FIRST, before)
    for number in range(1, 8):
        build(before + timedelta(days=number), before + timedelta(days=number))
    for late in (before - timedelta(days=12), before + timedelta(days=3)):
        correct(tmp_path / "landing", late)
        assert not build(late, late)
    assert not build(LAST - timedelta(days=1), LAST)
    rows, versions = unfolded(settings), stored(settings)
    monkeypatch.undo()
    settings = current("home", as_of_days=as_of_days)
    anew, versions_anew = built_anew(settings)
    assert rows == anew
    assert versions == versions_anew


def test_what_is_stored_of_a_customer_touches_only_where_it_differs(current: Callable[..., Settings]) -> None:
    settings = current("home")
    build(FIRST, LAST)
    with open_warehouse(settings) as connection:
        for model in MODELS:
            equal = connection.execute(
                f"""
                select count(*) from (select * exclude (valid_from) from {versions_of(model)}) as earlier
                join (select * replace (valid_from as valid_until) from {versions_of(model)}) as later
                    using ({", ".join(columns(connection, model))}, valid_until)
                """
            ).fetchone()
            assert equal == (0,), model


def columns(connection: duckdb.DuckDBPyConnection, model: str) -> list[str]:
    described = connection.execute(f"describe {model}").fetchall()
    return [row[0] for row in described if row[0] != "as_of"]


def test_readers_get_views_over_versions_and_no_versions_of_what_they_do_not_see(
    current: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = current("home")
    build(FIRST, LAST)
    rows = unfolded(settings)
    copy = tmp_path / "copy.duckdb"
    shutil.copyfile(settings.warehouse / "standing.duckdb", copy)
    with duckdb.connect(str(copy)) as connection:
        keep_for_readers(connection)
        schemas = connection.execute("select schema_name from duckdb_tables()").fetchall()
        assert ("marts_versions",) in schemas and ("intermediate_versions",) not in schemas
    with duckdb.connect() as connection:
        connection.execute(f"attach '{copy}' as readers (read_only)")
        for model in MODELS[1:]:
            read = connection.execute(f"select * from readers.{model} order by all").fetchall()
            assert read == rows[model]
