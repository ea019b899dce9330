"""`goodstanding up` with all its real processes: it runs DAGs, restarts what dies, and cleans up."""

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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.runtime import sessions, supervisor
from app.runtime.airflow_api import AirflowApi, ApiError
from app.runtime.airflow_env import admin_password, airflow_home
from goodstanding.core.errors import GoodstandingError, WrongUse
from goodstanding.core.settings import PROJECT, Settings
from tests.conftest import call_goodstanding

DAG = '''
"""Two tasks, of which the second sees what the first found."""
from datetime import datetime

from airflow.sdk import dag, task
from airflow.timetables.interval import CronDataIntervalTimetable


@dag(schedule=CronDataIntervalTimetable("@daily", timezone="UTC"), start_date=datetime(2011, 1, 1))
def two_tasks():
    @task(pool="duckdb_writer")
    def find():
        import os, sys
        return {"home": os.environ["GOODSTANDING_HOME"], "preloaded": "great_expectations" in sys.modules}

    @task(pool="duckdb_writer")
    def hand_on(found):
        return found

    hand_on(find())


two_tasks()
'''
UP = """
import sys
from pathlib import Path
from goodstanding.core.settings import Settings
from app.runtime.supervisor import up
from goodstanding.core.private import own_files
own_files()
up(Settings(home=sys.argv[1], port=int(sys.argv[2]), _env_file=None), dags_folder=Path(sys.argv[1]) / "dags")
"""


class Stack:
    """A supervisor in a process of its own, under a home of its own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.output = settings.home / "output"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", UP, str(settings.home), str(settings.port)],
                cwd=PROJECT,
                stdout=output,
                stderr=subprocess.STDOUT,
                umask=0,
            )

    def wait_for(self, condition: Callable[[], Any], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline and self.process.poll() is None, self.output.read_text()
            time.sleep(0.1)

    def says(self, words: str) -> Callable[[], bool]:
        return lambda: words in self.output.read_text()

    def leaders(self) -> dict[str, int]:
        record = airflow_home(self.settings) / "up.json"
        if not record.exists():
            return {}
        leaders = json.loads(record.read_text()).get("sessions", {}).get("leaders", {})
        return {name: pid for name, (pid, _) in leaders.items()}

    def processes(self) -> list[int]:
        return [pid for leader in self.leaders().values() for pid in sessions.members(leader)]

    def api(self, password: str | None = None) -> AirflowApi:
        address = f"http://127.0.0.1:{self.settings.port}"
        return AirflowApi(address, password=password or admin_password(self.settings))


@contextmanager
def stack_under_own_home() -> Iterator[Stack]:
    # Not in pytest's folder: under root, PostgreSQL runs as another user, and every pytest that starts
    # closes that folder to others.
    with tempfile.TemporaryDirectory(dir="/tmp") as home, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings = Settings(home=home, port=free.getsockname()[1], _env_file=None)
        free.close()
        (settings.home / "dags").mkdir()
        (settings.home / "dags" / "two_tasks.py").write_text(DAG)
        stack = Stack(settings)
        try:
            yield stack
        finally:
            supervisor.down(settings)
            stack.process.wait(timeout=30)


@pytest.fixture(scope="module")
def airflow() -> Iterator[Stack]:
    with stack_under_own_home() as stack:
        stack.wait_for(stack.says("Airflow is ready"))
        yield stack
        everything = stack.processes()
        assert supervisor.down(stack.settings), stack.output.read_text()
        assert stack.process.wait(timeout=15) == 0, stack.output.read_text()
        # an ended process stays listed until its parent, here the system's first process, has reaped it
        deadline = time.monotonic() + 10
        while left := [pid for pid in everything if psutil.pid_exists(pid)]:
            assert time.monotonic() < deadline, [psutil.Process(pid).cmdline() for pid in left]
            time.sleep(0.1)


def test_a_run_succeeds_and_its_tasks_have_the_settings_and_the_preloaded_modules(airflow: Stack) -> None:
    api = airflow.api()
    api.wait_for_dag("two_tasks")
    run = api.trigger("two_tasks")
    assert api.wait_for_run("two_tasks", run)["state"] == "success"
    assert api.states("two_tasks", run) == {"find": "success", "hand_on": "success"}
    returned = api.get(f"/dags/two_tasks/dagRuns/{run}/taskInstances/hand_on/xcomEntries/return_value")
    assert returned["value"] == {"home": str(airflow.settings.home), "preloaded": True}


def test_a_backfill_created_over_the_api_succeeds_on_each_of_its_days(airflow: Stack) -> None:
    api = airflow.api()
    api.wait_for_dag("two_tasks")
    days = {"from_date": "2011-02-01T00:00:00Z", "to_date": "2011-02-04T00:00:00Z"}
    api.post("/backfills", {"dag_id": "two_tasks", "max_active_runs": 4, **days})

    def runs() -> dict[str, str]:
        listed = api.get("/dags/two_tasks/dagRuns?run_type=backfill")["dag_runs"]
        return {run["data_interval_start"][:10]: run["state"] for run in listed}

    airflow.wait_for(lambda: set(runs().values()) <= {"success", "failed"} and runs())
    assert runs() == {f"2011-02-0{day}": "success" for day in (1, 2, 3, 4)}


def test_airflows_own_command_line_reaches_only_the_running_airflow(airflow: Stack, tmp_path: Path) -> None:
    """The line `airflow backfill create` of the docs."""
    airflow.api().wait_for_dag("two_tasks")
    backfill = ["airflow", "backfill", "create", "--dag-id", "two_tasks"]
    # only a dry run: Airflow admits one backfill of a DAG at a time, and another test's may still be open
    days = ["--from-date", "2011-03-01", "--to-date", "2011-03-02", "--dry-run"]
    done = call_goodstanding(airflow.settings.home, None, *backfill, *days)
    assert done.returncode == 0, done.stderr
    assert "2011-03-01" in done.stdout and "2011-03-02" in done.stdout and "2011-03-03" not in done.stdout
    refused = call_goodstanding(tmp_path, None, *backfill, *days)
    assert refused.returncode == 2 and "start it with `make up`" in refused.stderr


def test_all_that_airflow_writes_is_closed_to_others_but_the_way_to_postgresql_under_root(
    airflow: Stack,
) -> None:
    home = airflow.settings.home
    # PostgreSQL runs as another user there: the folders above its data may be passed through
    passed = {home, home / "airflow"} if os.geteuid() == 0 else set()
    data = home / "airflow" / "postgres"
    paths = [path for path in (home, *home.rglob("*")) if data not in path.parents and not path.is_symlink()]
    found = {path: path.lstat().st_mode for path in paths}
    theirs = {home / "output", home / "dags", *(home / "dags").rglob("*")}
    opened = {path for path, mode in found.items() if mode & (0o076 if path in passed else 0o077)}
    assert opened - theirs == set()
    assert data in found and any(path.suffix == ".log" for path in found)


def test_a_wrong_password_is_refused(airflow: Stack) -> None:
    with pytest.raises(ApiError) as refused:
        airflow.api(password="admin").get("/dags")
    assert refused.value.status == 401


def test_every_port_listens_on_this_machine_only(airflow: Stack) -> None:
    listening = [
        connection.laddr
        for pid in airflow.processes()
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {(address.ip, address.port) for address in listening} == {("127.0.0.1", airflow.settings.port)}


def test_the_output_shows_the_address_and_the_password(airflow: Stack) -> None:
    output = airflow.output.read_text()
    assert f"http://127.0.0.1:{airflow.settings.port}" in output
    assert admin_password(airflow.settings) in output


def test_a_second_up_says_that_the_first_is_running_and_leaves_it_alone(airflow: Stack) -> None:
    before = airflow.leaders()
    messages: list[str] = []
    supervisor.up(airflow.settings, messages.append)
    assert len(messages) == 1
    assert "already running" in messages[0] and str(airflow.process.pid) in messages[0]
    assert airflow.leaders() == before


def test_a_killed_component_is_started_again_and_the_output_says_so(airflow: Stack) -> None:
    killed = airflow.leaders()["triggerer"]
    os.kill(killed, signal.SIGKILL)
    airflow.wait_for(lambda: airflow.leaders().get("triggerer", killed) != killed)
    assert sessions.members(killed) == []
    assert "triggerer ended with signal SIGKILL; starting it again (1 of 3)" in airflow.output.read_text()


def test_a_port_in_use_is_reported_with_its_setting(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(WrongUse, match=f"port {port} .*GOODSTANDING_PORT"):
            supervisor.up(Settings(home=tmp_path, port=port, _env_file=None))


def test_down_ends_what_a_killed_supervisor_left_behind() -> None:
    with stack_under_own_home() as stack:
        stack.wait_for(lambda: "postgres" in stack.leaders())
        orphans = stack.leaders()
        stack.process.kill()
        stack.process.wait()
        assert supervisor.running(stack.settings) is None
        assert any(sessions.members(leader) for leader in orphans.values())
        assert supervisor.down(stack.settings), stack.output.read_text()
        assert [pid for pid in orphans.values() if sessions.members(pid)] == []
        assert not supervisor.down(stack.settings)


def test_an_interrupt_during_the_start_ends_everything() -> None:
    with stack_under_own_home() as stack:
        stack.wait_for(lambda: "scheduler" in stack.leaders())
        everything = stack.leaders()
        stack.process.send_signal(signal.SIGINT)
        assert stack.process.wait(timeout=20) == 0
        assert [pid for pid in everything.values() if sessions.members(pid)] == []


def test_a_component_that_cannot_start_ends_everything_and_its_log_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "COMPONENTS", {"scheduler": ["scheduler", "--no-such-option"]})
    with tempfile.TemporaryDirectory(dir="/tmp") as home, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings = Settings(home=home, port=free.getsockname()[1], _env_file=None)
        free.close()
        with pytest.raises(
            GoodstandingError, match=r"scheduler ended with exit code 2(.|\n)*--no-such-option"
        ):
            supervisor.up(settings)
        assert not supervisor.down(settings)


def test_a_component_that_keeps_dying_is_given_up(tmp_path: Path) -> None:
    messages: list[str] = []
    airflow_home(Settings(home=tmp_path, _env_file=None)).mkdir()
    stack = supervisor._Stack(Settings(home=tmp_path, _env_file=None), messages.append, tmp_path)
    stack._add("scheduler", ["-c", "raise SystemExit('out of luck')"], dict(os.environ))
    with pytest.raises(GoodstandingError, match=r"scheduler ended with exit code 1, for the 4th(.|\n)*luck"):
        stack._watch()
    assert [line[-8:] for line in messages] == ["(1 of 3)", "(2 of 3)", "(3 of 3)"]
