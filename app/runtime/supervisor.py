"""The local Airflow: `up` starts its processes and watches them, `down` ends them.

PostgreSQL, the API server, the scheduler, the DAG processor and the triggerer each lead a session of their
own, in which everything that they fork stays: so ending one ends its task processes too, and what a killed
supervisor left behind is found again by the sessions that it wrote down. Whether a supervisor runs is told
by a file lock that it holds, which no crash can leave behind.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NoReturn

from app.runtime import sessions
from app.runtime.airflow_api import AirflowApi, ApiError
from app.runtime.airflow_env import ADMIN, admin_password, airflow_environment, airflow_home, logs
from app.runtime.component import Component, fresh_log
from app.runtime.postgres import Postgres, external_url
from goodstanding.core.durable import write_in_place
from goodstanding.core.errors import GoodstandingError, WrongUse
from goodstanding.core.settings import PROJECT, Settings

# All share the folder of logs, so none has to serve its own: those servers listen on every address.
COMPONENTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
START_SECONDS = 180
# At a stop, how long tasks and then PostgreSQL may take to end by themselves before they are killed.
GRACE_SECONDS = 12
POSTGRES_SECONDS = 4
# A component that dies more often than this in the window has a fault that no restart mends.
RESTARTS = 3
WINDOW_SECONDS = 600

Say = Callable[[str], None]


def say_now(line: str) -> None:
    """Print a line at once, into a pipe too."""
    print(line, flush=True)


@dataclass(frozen=True)
class Running:
    """A supervisor at work: its process id, and where its Airflow answers."""

    pid: int
    address: str


def running(settings: Settings) -> Running | None:
    """The supervisor of this home, or None."""
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
    """The environment in which Airflow's own command line meets the running Airflow.

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
    """End the Airflow of this home, and whatever a killed supervisor left of it; False where there was none.

    Raises:
        GoodstandingError: it could not be ended.
    """
    if found := running(settings):
        say(f"ending Airflow (pid {found.pid}) ...")
        if found.pid:
            sessions.send(found.pid, signal.SIGTERM)
        if not _wait_for_end(settings, GRACE_SECONDS + POSTGRES_SECONDS + 5):
            sessions.send(found.pid, signal.SIGKILL)
            _wait_for_end(settings, 2)
    ended = _end(_recorded_sessions(settings)) or found is not None
    if left := sessions.recorded(_recorded_sessions(settings)):
        raise GoodstandingError(f"these processes of Airflow could not be ended: {left}")
    say("Airflow has ended." if ended else "Airflow is not running.")
    return ended


class _StopRequested(Exception):
    """Somebody asked for the end."""


class _Stack:
    """All processes of one `up`, from their start to their end."""

    def __init__(self, settings: Settings, say: Say, dags_folder: Path) -> None:
        self._settings, self._say, self._dags_folder = settings, say, dags_folder
        self._components: list[Component] = []
        self._postgres: Postgres | None = None
        self._sessions: dict[str, Any] = {}
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
        started = datetime.now(UTC)
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
        waiting = {each.name: each for each in self._components if each.name in COMPONENTS}
        while waiting:
            self._wait_on(*waiting.values())
            try:
                health = api.health()
            except (OSError, ApiError):
                continue
            for name in list(waiting):
                if name == "api-server" or _beats(health, name.replace("-", "_"), started):
                    del waiting[name]
                    self._ready(name)

    def _wait_on(self, *waiting: Component) -> None:
        """Let some time pass in a start; nothing may end meanwhile, and it may not take for ever."""
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
        # What it forked and left behind would go on beside its successor.
        sessions.end([component.pid] if component.pid else [], 0)
        self._launch(component)

    def _add(self, name: str, arguments: list[str], environment: dict[str, str]) -> Component:
        log = fresh_log(logs(self._settings) / f"{name}.log")
        component = Component(name, [sys.executable, *arguments], environment, log)
        self._components.append(component)
        self._launch(component)
        return component

    def _launch(self, component: Component) -> None:
        component.start()
        self._record()

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
            # A terminal that has been closed takes no words; the end must come all the same.
            _end(self._sessions)
        if self._postgres:
            self._postgres.forget_socket()
        self._say(f"Airflow has ended, after {time.monotonic() - began:.1f} s.")


def _address(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.port}"


def _beats(health: dict[str, Any], name: str, since: datetime) -> bool:
    """Whether a component is healthy by a heartbeat of its own time."""
    state = health[name]
    beat = state.get(f"latest_{name}_heartbeat")
    return state["status"] == "healthy" and beat is not None and datetime.fromisoformat(beat) > since


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


def _end(record: dict[str, Any]) -> bool:
    """End the sessions of a record, PostgreSQL after all that use it; whether there were any."""
    found = sessions.recorded(record)
    postgres = [pid for name, pid in found.items() if name == "postgres"]
    sessions.end([pid for name, pid in found.items() if name != "postgres"], GRACE_SECONDS)
    # To PostgreSQL an interrupt means: send the clients away and close the files in order.
    sessions.end(postgres, POSTGRES_SECONDS, signal.SIGINT)
    return bool(found)


@contextmanager
def _lock(settings: Settings, patience: float = 0) -> Iterator[bool]:
    """Try to take the lock of this home; it says whether that worked.

    A look by `running` holds it for a moment too, hence the patience of an `up`.
    """
    deadline = time.monotonic() + patience
    with (airflow_home(settings) / "up.lock").open("a") as file:
        while not (taken := _flock(file)) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield taken


def _flock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_for_end(settings: Settings, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while running(settings):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _read_record(settings: Settings) -> dict[str, Any]:
    path = _record_file(settings)
    record: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return record


def _recorded_sessions(settings: Settings) -> dict[str, Any]:
    written: dict[str, Any] = _read_record(settings).get("sessions", {})
    return written


def _write_record(settings: Settings, record: dict[str, Any]) -> None:
    write_in_place(_record_file(settings), json.dumps(record))


def _record_file(settings: Settings) -> Path:
    return airflow_home(settings) / "up.json"
