"""Starts Airflow on this machine, restarts programs that die, and ends all of them (`make up`, `make down`).

PostgreSQL, the API server, the scheduler, the DAG processor and the triggerer each lead a process session of
their own, and every process that they fork stays in it. So ending a session ends its task processes too. A
supervisor writes its sessions down, so that if it is killed, the next one finds the processes that remain. A
supervisor holds a file lock while it runs: the lock says whether there is one, and no crash can leave it
behind. Why supervisord or honcho does not do this: docs/explanation/why-our-own-supervisor.md.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NoReturn, TypedDict, cast

from filelock import FileLock, Timeout

from app.runtime import sessions
from app.runtime.airflow_api import AirflowApi, ApiError
from app.runtime.airflow_env import ADMIN, admin_password, airflow_environment, airflow_home, logs
from app.runtime.component import Component, fresh_log
from app.runtime.postgres import Postgres, external_url
from goodstanding.core.durable import write_in_place
from goodstanding.core.errors import GoodstandingError, WrongUse
from goodstanding.core.settings import PROJECT, Settings
from goodstanding.core.vocabulary import moment

# All share one folder of logs, so none has to serve its own; such a server would listen on every address.
COMPONENTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
START_SECONDS = 180
# At the end, how long tasks and then PostgreSQL may take to end by themselves before they are killed.
GRACE_SECONDS = 12
POSTGRES_SECONDS = 4
# A component that dies more often than this within the window has a fault that no restart mends.
RESTARTS = 3
WINDOW_SECONDS = 600

Say = Callable[[str], None]


def say_now(line: str) -> None:
    """Print a line at once, into a pipe too."""
    print(line, flush=True)


class UpRecord(TypedDict, total=False):
    """The record that a supervisor keeps of itself, as JSON in `airflow/up.json` under the home.

    Attributes:
        pid: process id of the supervisor.
        address: where its Airflow answers, like http://127.0.0.1:8080.
        sessions: the sessions of its components, to be found again after a crash.
    """

    pid: int
    address: str
    sessions: sessions.SessionRecord


@dataclass(frozen=True)
class Running:
    """A supervisor at work: its process id (0 where it is not known yet), and where its Airflow answers."""

    pid: int
    address: str


def running(settings: Settings) -> Running | None:
    """Return the supervisor that runs for this home, or None."""
    if not (airflow_home(settings) / "up.lock").exists():
        return None
    with _lock(settings) as taken:
        if taken:
            return None
    written = _read_record(settings)
    return Running(written.get("pid", 0), written.get("address", _address(settings)))


def up(settings: Settings, say: Say = say_now, dags_folder: Path = PROJECT / "dags") -> None:
    """Start Airflow, wait until all of it is healthy, and watch it until Ctrl-C, SIGTERM or `down`.

    Where it already runs it says so and returns. Call it in the main thread: it handles signals.

    Args:
        settings: the home, the port and the database.
        say: called with every line for the user.
        dags_folder: where the DAG files lie.

    Raises:
        WrongUse: the port or the database of the settings cannot be used.
        GoodstandingError: a component cannot be kept running; the message ends with the end of its log.
    """
    airflow_home(settings).mkdir(parents=True, exist_ok=True)
    with _lock(settings, patience=0.5) as taken:
        if not taken:
            first = running(settings)
            where = f"at {first.address} (pid {first.pid})" if first else "but just ending"
            say(f"Airflow is already running {where}; Ctrl-C there or `make down` ends it.")
            return
        _end(_recorded_sessions(settings))
        _require_free(settings.port)
        _Stack(settings, say, dags_folder).run()


def environment_of_running(settings: Settings) -> dict[str, str]:
    """Return the environment in which Airflow's own command line reaches the running Airflow.

    Raises:
        WrongUse: nothing is running under this home.
    """
    if running(settings) is None:
        raise WrongUse(f"no Airflow is running under {settings.home}; start it with `make up`")
    if settings.airflow_database:
        url = external_url(settings.airflow_database.get_secret_value())
    else:
        home = airflow_home(settings)
        url = Postgres(home / "postgres", logs(settings) / "postgres.log").url
    return os.environ | airflow_environment(settings, url)


def down(settings: Settings, say: Say = say_now) -> bool:
    """End the Airflow of this home, and whatever a killed supervisor left of it.

    Returns:
        Whether there was anything to end.

    Raises:
        GoodstandingError: a process could not be ended; the message names it.
    """
    if supervisor := running(settings):
        say(f"ending Airflow (pid {supervisor.pid}) ...")
        if supervisor.pid:
            sessions.send(supervisor.pid, signal.SIGTERM)
        if not _wait_for_end(settings, GRACE_SECONDS + POSTGRES_SECONDS + 5):
            sessions.send(supervisor.pid, signal.SIGKILL)
            _wait_for_end(settings, 2)
    ended = _end(_recorded_sessions(settings)) or supervisor is not None
    if left := sessions.recorded(_recorded_sessions(settings)):
        raise GoodstandingError(f"these processes of Airflow could not be ended: {left}")
    say("Airflow has ended." if ended else "Airflow is not running.")
    return ended


class _StopRequested(Exception):
    """The supervisor has been asked to end, by a signal."""


class _Stack:
    """All processes of one `up`, from their start to their end."""

    def __init__(self, settings: Settings, say: Say, dags_folder: Path) -> None:
        self._settings, self._say, self._dags_folder = settings, say, dags_folder
        self._components: list[Component] = []
        self._postgres: Postgres | None = None
        self._sessions: sessions.SessionRecord | None = None
        self._asked_to_stop = False
        self._began = time.monotonic()

    def run(self) -> None:
        handled = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
            handled.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._on_signal) for number in handled}
        try:
            self._start()
            self._watch()
        except _StopRequested:
            pass
        finally:
            self._stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: object) -> None:
        self._asked_to_stop = True

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds)
        if self._asked_to_stop:
            raise _StopRequested

    def _start(self) -> None:
        self._record()
        self._say("starting Airflow ...")
        url = self._database()
        environment = {**os.environ, **airflow_environment(self._settings, url, self._dags_folder)}
        self._migrate(environment)
        started = moment()
        for name, arguments in COMPONENTS.items():
            self._add(name, ["-m", "airflow", *arguments], environment)
        self._wait_until_healthy(started)
        self._say(
            f"Airflow is ready: {_address(self._settings)}\n"
            f"  user      {ADMIN}\n"
            f"  password  {admin_password(self._settings)}\n"
            f"  logs      {logs(self._settings)}\n"
            "Ctrl-C stops it."
        )

    def _database(self) -> str:
        if self._settings.airflow_database:
            return external_url(self._settings.airflow_database.get_secret_value())
        log = fresh_log(logs(self._settings) / "postgres.log")
        self._postgres = Postgres(airflow_home(self._settings) / "postgres", log)
        self._postgres.initialise()
        self._components.append(self._postgres.component)
        self._launch(self._postgres.component)
        while not self._postgres.answers():
            self._wait_on(self._postgres.component)
        self._ready("PostgreSQL")
        return self._postgres.url

    def _migrate(self, environment: dict[str, str]) -> None:
        migration = self._add("migration", ["-m", "app.runtime.airflow_env"], environment)
        while not migration.has_ended:
            self._pause(0.05)
        if migration.process and migration.process.returncode:
            self._fail(migration, f"ended with {migration.ending}")
        self._components.remove(migration)
        self._ready("its schema")

    def _wait_until_healthy(self, started: datetime) -> None:
        """Wait for a heartbeat of each component after the start; an older one is of a former run."""
        api = AirflowApi(_address(self._settings), timeout=5)
        waiting = {
            component.name: component for component in self._components if component.name in COMPONENTS
        }
        while waiting:
            self._wait_on(*waiting.values())
            try:
                health = api.health()
            except (ConnectionError, ApiError):
                continue
            for name in list(waiting):
                if name == "api-server" or health[name.replace("-", "_")].has_beaten_since(started):
                    del waiting[name]
                    self._ready(name)

    def _wait_on(self, *waiting: Component) -> None:
        """Let some time pass during a start.

        Raises:
            GoodstandingError: a component has ended, or the start takes too long.
        """
        self._pause(0.1)
        for component in self._components:
            if component.has_ended:
                self._fail(component, f"ended with {component.ending} while starting")
        if time.monotonic() - self._began > START_SECONDS:
            self._fail(waiting[0], f"is not ready after {START_SECONDS} s")

    def _watch(self) -> None:
        while True:
            self._pause(0.5)
            for component in self._components:
                if component.has_ended:
                    self._restart(component)

    def _restart(self, component: Component) -> None:
        now = time.monotonic()
        component.deaths = [death for death in component.deaths if now - death < WINDOW_SECONDS] + [now]
        if len(component.deaths) > RESTARTS:
            self._fail(component, f"ended with {component.ending}, for the {len(component.deaths)}th time")
        count = f"{len(component.deaths)} of {RESTARTS}"
        self._say(f"{component.name} ended with {component.ending}; starting it again ({count})")
        # What it has forked and left behind would run on beside its successor.
        sessions.end([component.pid] if component.pid else [], 0)
        self._launch(component)

    def _add(self, name: str, arguments: list[str], environment: dict[str, str]) -> Component:
        log = fresh_log(logs(self._settings) / f"{name}.log")
        component = Component(name, [sys.executable, *arguments], environment, log)
        self._components.append(component)
        self._launch(component)
        return component

    def _launch(self, component: Component) -> None:
        component.start(self._record)

    def _record(self) -> None:
        leaders = {component.name: component.pid for component in self._components if component.pid}
        self._sessions = sessions.record(leaders)
        _write_record(
            self._settings,
            {"pid": os.getpid(), "address": _address(self._settings), "sessions": self._sessions},
        )

    def _ready(self, name: str) -> None:
        self._say(f"  {name:<14} ready after {time.monotonic() - self._began:4.1f} s")

    def _fail(self, component: Component, what: str) -> NoReturn:
        raise GoodstandingError(
            f"{component.name} {what}, so all of Airflow is taken down; {component.log} ends with\n"
            f"{component.tail()}"
        )

    def _stop(self) -> None:
        began = time.monotonic()
        try:
            self._say("ending Airflow ...")
        finally:
            # Printing fails on a terminal that has been closed; the processes must end all the same.
            _end(self._sessions)
        if self._postgres:
            self._postgres.forget_socket()
        self._say(f"Airflow has ended, after {time.monotonic() - began:.1f} s.")


def _address(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.port}"


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        # Connections of a former server that the kernel still remembers do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise WrongUse(
                f"port {port} of 127.0.0.1 cannot be used ({error.strerror}): set GOODSTANDING_PORT"
            ) from None


def _end(record: sessions.SessionRecord | None) -> bool:
    """End the sessions of a record, PostgreSQL after all that use it; return whether there were any."""
    left_over = sessions.recorded(record)
    postgres = [pid for name, pid in left_over.items() if name == "postgres"]
    sessions.end([pid for name, pid in left_over.items() if name != "postgres"], GRACE_SECONDS)
    # On SIGINT PostgreSQL disconnects its clients and closes its files in order.
    sessions.end(postgres, POSTGRES_SECONDS, signal.SIGINT)
    return bool(left_over)


@contextmanager
def _lock(settings: Settings, patience: float = 0) -> Iterator[bool]:
    """Try for `patience` seconds to take the lock of this home; yields whether that worked.

    `running` takes it for a moment too, so `up` tries for some time.
    """
    # A file system without locks is an error: a file as a mark would outlive a killed supervisor.
    lock = FileLock(airflow_home(settings) / "up.lock", fallback_to_soft=False)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _wait_for_end(settings: Settings, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while running(settings):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _read_record(settings: Settings) -> UpRecord:
    path = _record_file(settings)
    return cast(UpRecord, json.loads(path.read_text())) if path.exists() else {}


def _recorded_sessions(settings: Settings) -> sessions.SessionRecord | None:
    return _read_record(settings).get("sessions")


def _write_record(settings: Settings, record: UpRecord) -> None:
    write_in_place(_record_file(settings), json.dumps(record))


def _record_file(settings: Settings) -> Path:
    return airflow_home(settings) / "up.json"
