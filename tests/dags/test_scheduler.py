"""A backfill under the real scheduler ends right though processes are killed and one file is bad.

The backfill is created as the UI creates it; Airflow is started as by `make up` in the docs.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest

from app.runtime import sessions, supervisor
from app.runtime.airflow_api import AirflowApi, ApiError
from app.runtime.airflow_env import admin_password, airflow_home
from goodstanding.core.settings import Settings
from tests.conftest import call_goodstanding
from tests.laws.conftest import KEY, Warehouse, days_from, fill
from tests.shop import mapping, write_day

# A day costs the scheduler some five seconds, so these are few; BACKFILL_DAYS=30 makes it a month.
COUNT = int(os.environ.get("BACKFILL_DAYS", "10"))
DAYS = [str(day) for day in days_from(COUNT + 3)]
LOADED, BACKFILLED = DAYS[:3], DAYS[3:]
BAD = BACKFILLED[-3]
# What is killed after how many ended runs: the process that works on a step, the worker above it (it reports
# the outcome of the step), two whole components, and everything, as in a power failure.
KILLS = {
    "task": 1,
    "worker": COUNT // 4,
    "api-server": COUNT // 2 - 2,
    "scheduler": COUNT // 2 - 1,
    "everything": COUNT // 2,
}
SECONDS = 100 + 10 * COUNT

READY = "Airflow is ready"
Wait = Callable[[Callable[[], Any]], None]


@dataclass
class Airflow:
    """`goodstanding up` for a home, and its output over all its starts."""

    settings: Settings
    output: Path
    process: subprocess.Popen[bytes] | None = None
    hit: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By what was killed: the task instance that worked then."""

    @property
    def api(self) -> AirflowApi:
        address = f"http://127.0.0.1:{self.settings.port}"
        return AirflowApi(address, password=admin_password(self.settings))

    def start(self) -> None:
        """Start it, also after it was killed; it is ready some seconds later."""
        environment = {n: value for n, value in os.environ.items() if not n.startswith("GOODSTANDING_")}
        environment |= {
            "GOODSTANDING_HOME": str(self.settings.home),
            "GOODSTANDING_LANDING": str(self.settings.landing),
            "GOODSTANDING_SHOP": self.settings.shop,
            "GOODSTANDING_PSEUDONYM_KEY": KEY,
            "GOODSTANDING_PORT": str(self.settings.port),
            "PYTHONDONTWRITEBYTECODE": "",
        }
        ready = self.said().count(READY)
        with self.output.open("a") as log:
            command = [str(Path(sys.executable).with_name("goodstanding")), "up"]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        self.wait_until(lambda: self.said().count(READY) > ready)

    def said(self) -> str:
        return self.output.read_text() if self.output.exists() else ""

    def wait_until(self, condition: Callable[[], Any]) -> None:
        """Wait until the condition holds, within the time limit and while Airflow is alive."""
        end = time.monotonic() + SECONDS
        while not condition():
            assert self.process and self.process.poll() is None, self.said()[-3000:]
            assert time.monotonic() < end, self.said()[-3000:]
            time.sleep(0.2)

    def kill(self, name: str) -> bool:
        """Kill a process while a task has a working file open; returns False if no task has one.

        The task is paused meanwhile. Otherwise it might end before the kill, and nothing would show that its
        work is tried again.
        """
        assert self.process
        leaders = json.loads((airflow_home(self.settings) / "up.json").read_text())["sessions"]["leaders"]
        found = writing(leaders["scheduler"][0])
        if found is None:
            return False
        worker, task = found
        sessions.send(task, signal.SIGSTOP)
        try:
            working = running(self.api)
            if not is_writing(task) or len(working) != 1:
                return False
            self.hit[name] = working[0]
            if name == "everything":
                others = [pid for leader, _ in leaders.values() for pid in sessions.members(leader)]
                kill_all([self.process.pid, *others])
                self.process.wait()
            elif name in leaders:
                kill_all([leaders[name][0]])
                # otherwise the next kill would end the supervisor before it has noticed this one
                self.wait_until(lambda: f"{name} ended with signal SIGKILL" in self.said())
            else:
                kill_all([{"task": task, "worker": worker}[name]])
        finally:
            sessions.send(task, signal.SIGCONT)
        if name == "everything":
            self.start()
        return True

    def end(self) -> None:
        supervisor.down(self.settings)
        if self.process:
            self.process.wait(timeout=30)


def writing(scheduler: int) -> tuple[int, int] | None:
    """The worker under a scheduler and its task that has a working file open, or None."""
    # any of them may end meanwhile, also the scheduler, which an earlier step may have killed
    with suppress(psutil.NoSuchProcess):
        for worker in psutil.Process(scheduler).children():
            for task in worker.children():
                if is_writing(task.pid):
                    return worker.pid, task.pid
    return None


def is_writing(pid: int) -> bool:
    """Whether a process has a working file open; an ended process has none."""
    with suppress(psutil.NoSuchProcess):
        return any(file.path.endswith("/standing.duckdb") for file in psutil.Process(pid).open_files())
    return False


def running(api: AirflowApi) -> list[dict[str, Any]]:
    """The task instances that hold the writer's slot; none while the API server is down."""
    try:
        return list(api.get("/dags/~/dagRuns/~/taskInstances?state=running")["task_instances"])
    except (OSError, ApiError):
        return []


def kill_all(pids: list[int]) -> None:
    """Kill processes as a power failure would. The first goes first, as it would restart the others."""
    for pid in pids:
        sessions.send(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Scheduled:
    """A home whose days went through the scheduler, and what was observed meanwhile."""

    settings: Settings
    output: Path
    api: AirflowApi
    load: dict[str, Any]
    hit: dict[str, dict[str, Any]]
    stopped: Stopped

    def backfilled(self) -> dict[str, dict[str, Any]]:
        """The backfill's runs by their day."""
        return backfilled(self.api)


@dataclass(frozen=True)
class Stopped:
    """The state after the backfill had ended and before the bad file was corrected."""

    runs: dict[str, str]
    published: list[tuple[Any, ...]]
    messages: dict[str, str]
    """What the publish tasks that failed say, by their day."""
    tries: dict[tuple[str, str], int]
    """By run and task how often it was tried; by then nobody had cleared any."""


@pytest.fixture(scope="module")
def scheduled() -> Iterator[Scheduled]:
    """`goodstanding up`, three days by `orders_history`, and the backfill, four runs at once."""
    # not in pytest's folder: under root, PostgreSQL runs as another user, who cannot enter that folder
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, socket.socket() as free:
        Path(folder).chmod(0o755)
        fill(Path(folder, "landing"), 11, days_from(COUNT + 3))
        free.bind(("127.0.0.1", 0))
        settings = Settings(
            home=Path(folder, "home"),
            landing=Path(folder, "landing"),
            shop=str(mapping(Path(folder))),
            port=free.getsockname()[1],
            _env_file=None,
        )
        free.close()
        airflow = Airflow(settings, Path(folder, "output"))
        try:
            airflow.start()
            api = airflow.api
            load = load_and_backfill(api, airflow)
            stopped = look(api, settings)
            mend_and_clear(api, settings, airflow.wait_until)
            yield Scheduled(settings, airflow.output, api, load, airflow.hit, stopped)
        finally:
            airflow.end()


def load_and_backfill(api: AirflowApi, airflow: Airflow) -> dict[str, Any]:
    """Load the history, create the backfill, kill processes, and wait until every run has ended."""
    settings, wait_until = airflow.settings, airflow.wait_until
    good = (settings.landing_folder / f"{BAD}.csv").read_text()
    write_day(settings.landing_folder, BAD, ["unreadable"] * 9)
    (settings.landing_folder / "mended").write_text(good)
    api.wait_for_dag("orders_history")
    run_id = api.trigger("orders_history", {"from": LOADED[0], "to": LOADED[-1]})
    load = api.wait_for_run("orders_history", run_id, SECONDS)
    # Unpausing a DAG starts the run of yesterday, for which this landing has no file: a manual run with that
    # logical date, about a day that has a file, takes its place.
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    wait_until(lambda: "orders_daily" in {dag["dag_id"] for dag in api.get("/dags")["dags"]})
    manual = api.trigger("orders_daily", {"day": LOADED[1]}, f"{yesterday}T00:00:00Z")
    api.wait_for_dag("orders_daily")
    days = {"from_date": f"{BACKFILLED[0]}T00:00:00Z", "to_date": f"{BACKFILLED[-1]}T00:00:00Z"}
    api.post("/backfills", {"dag_id": "orders_daily", "max_active_runs": 4, **days})
    for name, done in KILLS.items():
        wait_until(lambda done=done: ended(api) >= done)
        wait_until(partial(airflow.kill, name))
    wait_until(lambda: ended(api) == COUNT)
    api.wait_for_run("orders_daily", manual, SECONDS)
    return load


def backfilled(api: AirflowApi) -> dict[str, dict[str, Any]]:
    runs = api.get("/dags/orders_daily/dagRuns?run_type=backfill&limit=100")["dag_runs"]
    return {run["data_interval_start"][:10]: run for run in runs}


def ended(api: AirflowApi) -> int:
    """How many of the backfill's runs have ended; 0 while the API server is down."""
    try:
        return sum(run["state"] in ("success", "failed") for run in backfilled(api).values())
    except (OSError, ApiError):
        return 0


def look(api: AirflowApi, settings: Settings) -> Stopped:
    """What is published, which runs failed, and the messages of their publish tasks."""
    runs = backfilled(api)
    messages = {}
    for day, run in runs.items():
        path = f"/dags/orders_daily/dagRuns/{run['dag_run_id']}/taskInstances/publish"
        if api.get(path)["state"] == "failed":
            messages[day] = str(api.get(f"{path}/logs/{api.get(path)['try_number']}")["content"])
    published = rows(settings.home, "select as_of from marts.publication")
    tries = {(task["dag_run_id"], task["task_id"]): task["try_number"] for task in tasks(api)}
    return Stopped({day: run["state"] for day, run in runs.items()}, published, messages, tries)


def mend_and_clear(api: AirflowApi, settings: Settings, wait_until: Wait) -> None:
    """Follow the message with the UI's calls: clear the day's run, then the runs that waited for it."""
    (settings.landing_folder / "mended").replace(settings.landing_folder / f"{BAD}.csv")
    runs = backfilled(api)
    bad = runs[BAD]["dag_run_id"]
    api.post(f"/dags/orders_daily/dagRuns/{bad}/clear", {"dry_run": False, "only_failed": False})
    api.wait_for_run("orders_daily", bad, SECONDS)
    waiting = {"task_ids": ["publish"], "only_failed": True, "include_past": True, "include_future": True}
    last = runs[BACKFILLED[-1]]["dag_run_id"]
    api.post("/dags/orders_daily/clearTaskInstances", {"dry_run": False, "dag_run_id": last, **waiting})
    wait_until(lambda: ended(api) == COUNT)


def tasks(api: AirflowApi) -> list[dict[str, Any]]:
    """All task instances of all runs."""
    path, instances = "/dags/~/dagRuns/~/taskInstances?limit=100&order_by=id", []
    while page := api.get(f"{path}&offset={len(instances)}")["task_instances"]:
        instances += page
    return instances


def rows(home: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(home / "published" / "current.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_every_run_of_the_load_and_the_backfill_succeeds(scheduled: Scheduled) -> None:
    assert scheduled.load["state"] == "success"
    states = {day: run["state"] for day, run in scheduled.backfilled().items()}
    assert states == dict.fromkeys(BACKFILLED, "success")
    for run in scheduled.backfilled().values():
        tasks = scheduled.api.states("orders_daily", run["dag_run_id"])
        assert len(tasks) == 8 and set(tasks.values()) == {"success"}


def test_killed_components_were_started_again_and_their_tasks_were_retried(scheduled: Scheduled) -> None:
    for name in ("api-server", "scheduler"):
        assert f"{name} ended with signal SIGKILL; starting it again (1 of 3)" in scheduled.output.read_text()
    for name in ("task", "worker", "scheduler", "everything"):
        hit = scheduled.hit[name]
        tries = scheduled.stopped.tries[hit["dag_run_id"], hit["task_id"]]
        assert tries > hit["try_number"], f"{hit['task_id']} of {hit['dag_run_id']}, at the kill of {name}"


def test_after_everything_was_killed_the_next_start_continues_the_backfill(scheduled: Scheduled) -> None:
    assert scheduled.output.read_text().count(READY) == 2


def test_a_failed_day_blocks_publishing_later_days_and_their_messages_name_it(scheduled: Scheduled) -> None:
    stopped = scheduled.stopped
    assert stopped.runs[BAD] == "failed"
    assert str(stopped.published[0][0]) < BAD
    assert set(BACKFILLED[-2:]) <= set(stopped.messages)
    for message in stopped.messages.values():
        assert f"cannot be published: {BAD} failed the gate of raw_orders" in message
        assert f"run {BAD} again (clear its run in the UI)" in message
    failed = {day for day, state in stopped.runs.items() if state == "failed"}
    assert failed == {BAD, *stopped.messages}, "the other days are taken in and wait only for this one"


def test_the_runs_of_a_backfill_ran_at_once_but_their_tasks_one_by_one(
    scheduled: Scheduled,
) -> None:
    spans = sorted((run["start_date"], run["end_date"]) for run in scheduled.backfilled().values())
    assert spans[1][0] < spans[0][1], "the second run began before the first ended"
    listed = sorted((task["start_date"], task["end_date"], task["pool"]) for task in tasks(scheduled.api))
    assert len(listed) == 8 * (COUNT + 2)
    for (_, end, pool), (start, _, _) in pairwise(listed):
        assert pool == "duckdb_writer" and end <= start, "one task writes at a time"


def test_readers_see_the_newest_day_with_all_its_gates_passed(scheduled: Scheduled) -> None:
    published = rows(
        scheduled.settings.home, "select cast(as_of as varchar), simulated from marts.publication"
    )
    assert published == [(DAYS[-1], False)]
    settings = scheduled.settings
    done = call_goodstanding(
        settings.home, settings.landing, "status", "--json", GOODSTANDING_SHOP=settings.shop
    )
    assert done.returncode == 0 and '"raw_orders": true' in done.stdout and '"waiting": []' in done.stdout


def test_the_published_tables_are_those_of_one_clean_run_over_the_landing(
    scheduled: Scheduled, use_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = scheduled.settings
    lived, clean = (
        Warehouse(use_settings, home, settings.landing_folder, Path(settings.shop))
        for home in (settings.home, tmp_path / "clean")
    )
    clean.run(date.fromisoformat(DAYS[0]), date.fromisoformat(DAYS[-1]))
    assert len(clean.seen_by_readers()) > 7
    assert lived.seen_by_readers() == clean.seen_by_readers()


def test_the_ui_shows_in_a_tasks_log_which_models_ran_and_how_long(scheduled: Scheduled) -> None:
    run = scheduled.backfilled()[BACKFILLED[-1]]
    path = f"/dags/orders_daily/dagRuns/{run['dag_run_id']}/taskInstances/transform"
    number = scheduled.api.get(path)["try_number"]
    text = str(scheduled.api.get(f"{path}/logs/{number}")["content"])
    for model in ("order_lines", "customer_classes"):
        assert f"s  model {model}" in text
