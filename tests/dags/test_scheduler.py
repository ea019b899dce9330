"""Real days under the real scheduler: a load and a backfill over the REST API, several runs at once."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from goodstanding import supervisor
from goodstanding.airflow_api import AirflowApi
from goodstanding.airflow_env import admin_password
from goodstanding.settings import Settings
from tests.calls import call_run
from tests.conftest import call_goodstanding

# Wednesday to Tuesday; Saturday the 4th has no file.
LOADED = ("2010-12-01", "2010-12-03")
BACKFILLED = ["2010-12-04", "2010-12-05", "2010-12-06", "2010-12-07"]
SECONDS = 240


@dataclass(frozen=True)
class Scheduled:
    """A home whose days went through the scheduler, and what its API said afterwards."""

    home: Path
    landing: Path
    api: AirflowApi
    load: dict[str, Any]

    def rows(self, sql: str, file: str = "published/current.duckdb") -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.home / file), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def backfilled(self) -> dict[str, dict[str, Any]]:
        """The backfill's runs by their day."""
        runs = self.api.get("/dags/orders_daily/dagRuns?run_type=backfill")["dag_runs"]
        return {run["data_interval_start"][:10]: run for run in runs}


@pytest.fixture(scope="module")
def scheduled(real_landing: Path) -> Iterator[Scheduled]:
    """`goodstanding up`, three days by `orders_history`, then four by a backfill that may run all at once."""
    # not in pytest's folder: under root PostgreSQL runs as another user, to whom that folder is closed
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, socket.socket() as free:
        home, landing = Path(folder, "home"), Path(folder, "landing")
        Path(folder).chmod(0o755)
        landing.mkdir()
        for path in real_landing.glob("2010-12-0[1-7].csv"):
            shutil.copy(path, landing)
        free.bind(("127.0.0.1", 0))
        settings = Settings(home=home, landing=landing, port=free.getsockname()[1], _env_file=None)
        free.close()
        environment = {n: value for n, value in os.environ.items() if not n.startswith("GOODSTANDING_")}
        environment |= {
            "GOODSTANDING_HOME": str(home),
            "GOODSTANDING_LANDING": str(landing),
            "GOODSTANDING_PORT": str(settings.port),
            "PYTHONDONTWRITEBYTECODE": "",
        }
        output = Path(folder, "output")
        with output.open("w") as said:
            command = [str(Path(sys.executable).with_name("goodstanding")), "up"]
            process = subprocess.Popen(command, env=environment, stdout=said, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: "Airflow is ready" in output.read_text(), process, output)
            api = AirflowApi(f"http://127.0.0.1:{settings.port}", password=admin_password(settings))
            yield Scheduled(home, landing, api, load_and_backfill(api, process, output))
        finally:
            supervisor.down(settings)
            process.wait(timeout=30)


def wait_until(condition: Any, process: subprocess.Popen[bytes], output: Path) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert process.poll() is None and time.monotonic() < end, output.read_text()[-3000:]
        time.sleep(0.2)


def load_and_backfill(api: AirflowApi, process: subprocess.Popen[bytes], output: Path) -> dict[str, Any]:
    api.wait_for_dag("orders_history")
    run_id = api.trigger("orders_history", {"from": LOADED[0], "to": LOADED[1]})
    load = api.wait_for_run("orders_history", run_id, SECONDS)
    # A DAG that is unpaused starts the run of yesterday, of which this landing has no file: a manual run of
    # that logical date, about a day that it has, takes its place.
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    wait_until(lambda: "orders_daily" in dags(api), process, output)
    manual = api.trigger("orders_daily", {"day": LOADED[1]}, f"{yesterday}T00:00:00Z")
    api.wait_for_dag("orders_daily")
    days = {"from_date": f"{BACKFILLED[0]}T00:00:00Z", "to_date": f"{BACKFILLED[-1]}T00:00:00Z"}
    backfill = api.post("/backfills", {"dag_id": "orders_daily", "max_active_runs": 4, **days})
    wait_until(lambda: api.get(f"/backfills/{backfill['id']}")["completed_at"], process, output)
    api.wait_for_run("orders_daily", manual, SECONDS)
    return load


def dags(api: AirflowApi) -> set[str]:
    return {dag["dag_id"] for dag in api.get("/dags")["dags"]}


def test_every_run_of_the_load_and_the_backfill_ends_well(scheduled: Scheduled) -> None:
    assert scheduled.load["state"] == "success"
    states = {day: run["state"] for day, run in scheduled.backfilled().items()}
    assert states == dict.fromkeys(BACKFILLED, "success")
    for run in scheduled.backfilled().values():
        tasks = scheduled.api.states("orders_daily", run["dag_run_id"])
        assert len(tasks) == 8 and set(tasks.values()) == {"success"}


def test_the_runs_of_a_backfill_were_under_way_at_once_and_their_tasks_one_by_one(
    scheduled: Scheduled,
) -> None:
    spans = sorted((run["start_date"], run["end_date"]) for run in scheduled.backfilled().values())
    assert spans[1][0] < spans[0][1], "the second began before the first was through"
    listed = scheduled.api.get("/dags/~/dagRuns/~/taskInstances?limit=100")["task_instances"]
    tasks = sorted((task["start_date"], task["end_date"], task["pool"]) for task in listed)
    assert len(tasks) == 8 * 6
    for (_, end, pool), (start, _, _) in pairwise(tasks):
        assert pool == "duckdb_writer" and end <= start, "one task writes at a time"


def test_each_backfilled_day_was_taken_in_by_a_run_of_its_own(scheduled: Scheduled) -> None:
    runs = {run["dag_run_id"]: day for day, run in scheduled.backfilled().items()}
    taken = scheduled.api.get("/dags/orders_daily/dagRuns/~/taskInstances?task_ids=ingest")["task_instances"]
    assert {runs[task["dag_run_id"]] for task in taken if task["dag_run_id"] in runs} == set(BACKFILLED)


def test_readers_see_the_newest_day_with_all_its_gates(scheduled: Scheduled) -> None:
    assert scheduled.rows("select as_of, simulated from marts.publication") == [(date(2010, 12, 7), False)]
    done = call_goodstanding(scheduled.home, scheduled.landing, "status", "--json")
    assert done.returncode == 0 and '"raw_orders": true' in done.stdout and '"waiting": []' in done.stdout


def test_the_published_tables_are_those_of_one_clean_run_over_the_landing(
    scheduled: Scheduled, tmp_path: Path
) -> None:
    clean = tmp_path / "clean"
    clean.mkdir()
    # the same key gives the same customers the same pseudonyms
    shutil.copy(scheduled.home / "pseudonym.key", clean)
    done = call_run(clean, scheduled.landing, "run", "--from", LOADED[0], "--to", BACKFILLED[-1], "--json")
    assert done.code == 0, done
    expected = Scheduled(clean, scheduled.landing, scheduled.api, {})
    tables = "select schema_name || '.' || table_name from duckdb_tables() order by 1"
    assert scheduled.rows(tables) == expected.rows(tables)
    of_the_runs = ("marts.publication", "marts.restatements")
    compared = [name for (name,) in expected.rows(tables) if name not in of_the_runs]
    assert len(compared) > 7
    for name in compared:
        sql = f"select * from {name} order by all"
        assert scheduled.rows(sql) == expected.rows(sql), name


def test_the_log_of_a_task_shows_in_the_ui_which_models_ran_and_how_long(scheduled: Scheduled) -> None:
    run = scheduled.backfilled()[BACKFILLED[-1]]
    path = f"/dags/orders_daily/dagRuns/{run['dag_run_id']}/taskInstances/transform/logs/1"
    text = str(scheduled.api.get(path)["content"])
    for model in ("order_lines", "customer_classes"):
        assert f"s  model {model}" in text
