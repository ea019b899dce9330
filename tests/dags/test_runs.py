"""Real days run through the real DAGs in one process, as the command line does, and failures are clear."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from goodstanding.core.settings import PROJECT

STEPS = [
    "ingest",
    "check_raw",
    "transform",
    "check_invoices",
    "check_scores",
    "score",
    "check_predictions",
    "publish",
]
HOLD_ROWS = {"order_lines", "invoices", "rfm_scores", "customer_classes", "customer_features"}

# In a process of its own: Airflow keeps the home that it used first.
RUNS = """
import json, sys
from datetime import date
from pipeline import steps
from goodstanding.core.days import Days
from app.runtime.local import LocalRuns
from goodstanding.core.settings import settings

told, errors = [], {}
runs = LocalRuns(settings(), told.append)
history = runs.history(Days.parse("2010-12-02", "2010-12-03"))
ids = [history, runs.daily(date(2010, 12, 4)), runs.daily(date(2010, 12, 5))]
steps_told = list(told)

def try_day(name):
    try:
        runs.daily(date(2010, 12, 6))
    except Exception as error:
        errors[name] = [type(error).__name__, str(error)]

told.clear()
try_day("no file")
after_failure = list(told)

def broken(days, run_id):
    raise ZeroDivisionError("nobody thought of that")

steps.ingest = broken
try_day("a fault of ours")
print(json.dumps({"ids": ids, "steps": steps_told, "after_failure": after_failure, "errors": errors,
                  "log": str(runs.log_file)}))
"""


@dataclass(frozen=True)
class Runs:
    """The home of these runs, and what they returned to their caller."""

    home: Path
    landing: Path
    found: dict[str, Any]

    def rows(self, sql: str, file: str = "warehouse/intake.duckdb") -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.home / file), read_only=True) as connection:
            return connection.execute(sql).fetchall()


def in_new_process(script: str, home: Path, landing: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GOODSTANDING_")}
    environment |= {"GOODSTANDING_HOME": str(home), "GOODSTANDING_LANDING": str(landing)}
    environment |= {"PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def runs(any_landing: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """A range of two days, a Saturday without a file, a Sunday, and a Monday that fails twice."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "landing").mkdir()
    for path in any_landing.glob("2010-12-0[2-5].csv"):
        shutil.copy(path, folder / "landing")
    done = in_new_process(RUNS, folder / "home", folder / "landing")
    assert done.returncode == 0, done.stderr[-3000:]
    return Runs(folder / "home", folder / "landing", json.loads(done.stdout))


def test_every_run_goes_through_all_steps_in_order_and_reports_them(runs: Runs) -> None:
    assert runs.found["steps"] == STEPS * 3
    assert len(set(runs.found["ids"])) == 3


def test_a_run_takes_its_days_from_its_params_or_from_its_data_interval(runs: Runs) -> None:
    spans = runs.rows(
        "select run_id, first_day, last_day from ops.steps where step = 'publish' order by started_at"
    )
    days = [date(2010, 12, day) for day in (2, 3, 4, 5)]
    ids = runs.found["ids"]
    assert spans == [(ids[0], days[0], days[1]), (ids[1], days[2], days[2]), (ids[2], days[3], days[3])]


def test_a_saturday_without_a_file_still_gives_every_customer_a_standing(runs: Runs) -> None:
    assert runs.rows("select files, lines, admitted from raw.days where event_day = '2010-12-04'") == [
        (0, 0, True)
    ]
    scored = runs.rows(
        "select as_of, count(*) from marts.customer_classes group by 1 order by 1", "published/current.duckdb"
    )
    assert [as_of for as_of, _ in scored] == [date(2010, 12, day) for day in (2, 3, 4, 5)]
    assert scored[2][1] == scored[1][1], "no customer is gained or lost on Saturday"


def test_readers_see_the_newest_day_and_the_run_that_published_it(runs: Runs) -> None:
    publication = runs.rows(
        "select as_of, run_id, simulated from marts.publication", "published/current.duckdb"
    )
    assert publication == [(date(2010, 12, 5), runs.found["ids"][2], False)]


def test_each_dbt_model_and_test_of_each_run_is_recorded_with_its_seconds(runs: Runs) -> None:
    kept = runs.rows("select run_id, node, kind, status, seconds from ops.dbt_results")
    models = {path.stem for path in (PROJECT / "dbt_project" / "models").rglob("*.sql")}
    for run_id in runs.found["ids"]:
        mine = [row for row in kept if row[0] == run_id]
        ran = {node for _, node, kind, _, _ in mine if kind == "model"}
        # the first build creates everything; the views are not built again
        assert ran == models if run_id == runs.found["ids"][0] else ran > HOLD_ROWS
        assert {status for _, _, kind, status, _ in mine if kind == "model"} == {"success"}
        assert {status for _, _, kind, status, _ in mine if kind == "test"} == {"pass"}
        assert all(0 <= seconds < 60 for *_, seconds in mine)


def test_the_log_of_a_transform_lists_the_models_with_their_seconds(runs: Runs) -> None:
    log = Path(runs.found["log"]).read_text()
    listed = re.findall(r"success +(\d+\.\d\d) s  model (\w+)", log)
    models = {path.stem for path in (PROJECT / "dbt_project" / "models").rglob("*.sql")}
    assert {name for _, name in listed} == models
    later = [name for _, name in listed[len(models) :]]
    assert {name: later.count(name) for name in HOLD_ROWS} == dict.fromkeys(HOLD_ROWS, 2), "of two more runs"


def test_the_error_of_a_failed_task_reaches_the_caller_and_ends_the_run_there(runs: Runs) -> None:
    kind, message = runs.found["errors"]["no file"]
    assert kind == "DataProblem"
    assert f"no file for 1 trading day(s): 2010-12-06; expected {runs.landing / '2010-12-06.csv'}" in message
    assert runs.found["after_failure"] == ["ingest"], "a person watches this run: no retry, no further step"


def test_a_bug_of_the_project_is_reported_in_one_line_and_its_traceback_is_in_the_log(runs: Runs) -> None:
    kind, message = runs.found["errors"]["a fault of ours"]
    assert kind == "GoodstandingError"
    log = runs.found["log"]
    assert message == f"orders_daily failed unexpectedly (ZeroDivisionError); the traceback is in {log}"
    assert "nobody thought of that" in Path(log).read_text()


def test_every_task_of_the_runs_took_the_pool_with_one_slot(runs: Runs) -> None:
    import sqlite3

    with sqlite3.connect(runs.home / "airflow" / "airflow.sqlite") as connection:
        assert connection.execute("select slots from slot_pool where pool = 'duckdb_writer'").fetchall() == [
            (1,)
        ]
        assert connection.execute("select distinct pool from task_instance").fetchall() == [
            ("duckdb_writer",)
        ]
        states = connection.execute("select state, count(*) from dag_run group by 1 order by 1").fetchall()
    assert states == [("failed", 1), ("success", 3)], "a second run of a day takes the place of the first"
