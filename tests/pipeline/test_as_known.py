"""`goodstanding as-known`: the marts as known on an evening, when that evening ends, and refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner, Result

import goodstanding.ingest.load as load
from app.cli.main import app
from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import Settings, settings
from pipeline import steps
from pipeline.as_known import build_as_known
from pipeline.transform import require_success, run_dbt
from tests.shop import line, mapping, write_day

DAY, NEXT = date(2011, 1, 10), date(2011, 1, 11)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home with the marts of two days, taken in at 23:30 on the 12th in New York, the shop's time."""
    folder = tmp_path_factory.mktemp("known")
    shop = mapping(folder)
    shop.write_text(shop.read_text().replace("Europe/London", "America/New_York"))
    for day in (DAY, NEXT):
        write_day(folder / "landing", day, [line(day, f"{day:%d}{n}", 11 + n) for n in range(5)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOODSTANDING_HOME", str(folder / "home"))
        patch.setenv("GOODSTANDING_LANDING", str(folder / "landing"))
        patch.setenv("GOODSTANDING_SHOP", str(shop))
        patch.setitem(Settings.model_config, "env_file", None)
        patch.setattr(load, "now_utc", lambda: datetime(2011, 1, 13, 4, 30))
        settings.cache_clear()
        for step in ("ingest", "check_raw", "transform"):
            getattr(steps, step)(Days(DAY, NEXT), "the run")
        yield settings()
    settings.cache_clear()


@pytest.fixture
def call(known: Settings, monkeypatch: pytest.MonkeyPatch):
    """Call `goodstanding as-known` on that home."""

    def call(*arguments: str) -> Result:
        for name in ("home", "landing", "shop"):
            monkeypatch.setenv(f"GOODSTANDING_{name.upper()}", str(getattr(known, name)))
        settings.cache_clear()
        return CliRunner().invoke(app, ["as-known", *arguments])

    return call


def test_the_command_prints_where_the_marts_are_and_how_many_customers_a_class_has(
    call, known: Settings
) -> None:
    result = call("--day", str(DAY), "--on", "2011-01-12", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    path = known.home / "as_known" / "2011-01-10_on_2011-01-12.duckdb"
    assert (report["ok"], report["as_of"], report["known_on"]) == (True, str(DAY), "2011-01-12")
    assert report["known_before"] == "2011-01-13T05:00:00"
    assert (report["path"], report["customers"], report["left_out"]) == (str(path), 5, [])
    assert sum(report["classes"].values()) == 5
    assert [left.name for left in path.parent.iterdir()] == [path.name], "no draft stays"
    with duckdb.connect(str(path), read_only=True) as connection:
        schemas = connection.execute("select schema_name from duckdb_schemas() where not internal").fetchall()
        assert {name for (name,) in schemas} - {"main"} == {
            *("marts", "marts_versions", "features", "predictions")
        }
        assert connection.execute("select distinct event_day from marts.order_lines").fetchall() == [(DAY,)]
        notes = connection.execute("select distinct prediction_note from marts.customer_profiles").fetchall()
        assert notes == [("no buys_90d model was trained on data up to 2011-01-10",)]
    shown = call("--day", str(DAY), "--on", "2011-01-12").stdout
    assert f"Standing as of {DAY}, as known at the end of 2011-01-12" in shown
    assert str(path) in shown.replace("\n", "")


def test_the_evening_ends_in_the_time_zone_of_the_shop(known: Settings) -> None:
    with pytest.raises(
        DataProblem, match="nothing was known at the end of 2011-01-11: no file had been ingested"
    ):
        build_as_known(known, DAY, date(2011, 1, 11))


def test_a_day_not_known_then_is_refused_with_the_days_that_were_known(call) -> None:
    result = call("--day", "2011-01-12", "--on", "2011-01-12", "--json")
    assert result.exit_code == 1
    message = json.loads(result.stdout)["error"]
    assert message == (
        "2011-01-12 was not known at the end of 2011-01-12: the days known then lie between 2011-01-10 "
        "and 2011-01-11"
    )
    assert result.stderr.splitlines()[-1] == f"goodstanding: {message}"


def test_a_day_that_had_not_passed_its_gate_is_refused(known: Settings, tmp_path: Path) -> None:
    (tmp_path / "home" / "warehouse").mkdir(parents=True)
    shutil.copy(known.warehouse / "intake.duckdb", tmp_path / "home" / "warehouse")
    with duckdb.connect(str(tmp_path / "home" / "warehouse" / "intake.duckdb")) as connection:
        connection.execute("update ops.verdicts set passed = false where event_day = ?", [NEXT])
    copy = known.model_copy(update={"home": tmp_path / "home"})
    with pytest.raises(
        DataProblem, match=rf"what was known of {NEXT} .* has not passed the gate of raw orders"
    ):
        build_as_known(copy, NEXT, date(2011, 1, 12))
    assert list((copy.home / "as_known").iterdir()) == []


def test_a_home_without_a_warehouse_is_refused(known: Settings, tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match="nothing was known"):
        build_as_known(known.model_copy(update={"home": tmp_path}), DAY, date(2011, 1, 12))


@pytest.mark.parametrize(
    ("day", "on", "says"),
    [
        ("10.01.2011", "2011-01-12", "'10.01.2011' is no day"),
        (str(DAY), "yesterday", "'yesterday' is no day"),
        (str(DAY), str(date.today() + timedelta(days=3)), "is in the future"),
    ],
)
def test_wrong_use_is_reported_in_one_line(call, day: str, on: str, says: str) -> None:
    result = call("--day", day, "--on", on, "--json")
    assert result.exit_code == WrongUse.exit_code
    assert says in json.loads(result.stdout)["error"]


def test_building_over_the_marts_of_the_runs_is_refused(known: Settings) -> None:
    results = run_dbt(known, ["build", "--select", "stg_days"], {"known_before": "2011-01-13 05:00:00"})
    with pytest.raises(DataProblem, match="this working file holds marts already; copy intake"):
        require_success(results, known)
