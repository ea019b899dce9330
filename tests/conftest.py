"""Fixtures that every room's tests share: settings of a home of its own, and where the real data lie."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from goodstanding.core.settings import Settings, settings
from goodstanding.ingest.load import SIMULATED_MARKER
from goodstanding.ingest.samples.simulate import simulate_shop
from pipeline import transform

# fixtures that tests of several rooms share
pytest_plugins = ["tests.ran"]

DATA = Path(__file__).parent.parent / "data"
REAL_LANDING = os.environ.get("GOODSTANDING_LANDING")
CREDIT_DEFAULT = os.environ.get("GOODSTANDING_CREDIT_DEFAULT")
# enough for every gate and for a hundred customers in the first days
MADE_UP_CUSTOMERS = 1500
REAL_REQUIRED = os.environ.get("GOODSTANDING_REAL_DATA_REQUIRED", "").lower() in ("1", "true")


@pytest.fixture(scope="session", autouse=True)
def no_settings_of_this_machine() -> Iterator[None]:
    """Each test sets what it needs: neither the caller's environment nor a .env file reaches it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("GOODSTANDING_"):
                patch.delenv(name)
        patch.setitem(Settings.model_config, "env_file", None)
        yield


@pytest.fixture(autouse=True)
def no_settings_of_another_test() -> Iterator[None]:
    """Whatever a test puts into the environment ends with it, also for the next file's own fixtures."""
    before = dict(os.environ)
    settings.cache_clear()
    yield
    os.environ.clear()
    os.environ.update(before)
    settings.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def one_parse_of_the_dbt_project() -> Iterator[None]:
    """dbt parses the project once in a test process, and each home gets a copy of its own.

    A parse takes 1.4 s of processor time, a copy 0.05 s, and most tests of a run make a home. What a build
    changes in its copy reaches no other home; a project that a test has edited is parsed, by its other stamp.
    """
    parse = transform._manifest.__wrapped__
    parsed: dict[Hashable, tuple[Any, dict[str, bytes]]] = {}

    @lru_cache(maxsize=4)
    def copy(stamp: Hashable, home: Path) -> Any:
        target = home / "dbt" / "target"
        if stamp not in parsed:
            manifest = parse(stamp, home)
            parsed[stamp] = manifest, {path.name: path.read_bytes() for path in target.glob("*.*")}
        manifest, files = parsed[stamp]
        # `dbt docs` reads the manifest that a parse leaves in the home
        target.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (target / name).write_bytes(content)
        return manifest and manifest.deepcopy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transform, "_manifest", copy)
        yield


@pytest.fixture
def use_settings(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Make these the settings of the process, as a user would by the environment."""

    def use(**values: object) -> Settings:
        for name, value in values.items():
            monkeypatch.setenv(f"GOODSTANDING_{name.upper()}", str(value))
        settings.cache_clear()
        return settings()

    return use


def _real_landing() -> Path | None:
    path = Path(REAL_LANDING) if REAL_LANDING else DATA / "landing"
    return path if len(list(path.glob("????-??-??.csv"))) == 305 else None


def _credit_default() -> Path:
    return Path(CREDIT_DEFAULT) if CREDIT_DEFAULT else DATA / "credit_default" / "uci_credit_card.parquet"


@contextmanager
def _shared(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A folder of the session that its test processes share, one at a time."""
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@pytest.fixture(scope="session")
def real_landing() -> Path:
    """The folder of the real year's 305 day files; where it must be there and is not, tests fail."""
    path = _real_landing()
    if path:
        return path
    message = "the real year's 305 files are not there; set GOODSTANDING_LANDING to their folder"
    if REAL_REQUIRED:
        pytest.fail(message)
    pytest.skip(message)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Say first which orders the tests of a whole shop use; a header of pytest is not shown with -q."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or "PYTEST_XDIST_WORKER" in os.environ:
        return
    path = _real_landing()
    if path:
        orders = f"the real year, in {path}"
    else:
        orders = f"a made-up shop of {MADE_UP_CUSTOMERS} customers; tests of real figures are skipped"
    clients = "given" if _credit_default().is_file() else "not there: their tests are skipped"
    reporter.write_line(f"orders: {orders}")
    reporter.write_line(f"credit card clients: {clients}")


@pytest.fixture(scope="session")
def any_landing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of day files in the public format: the real ones or, where these are not there, made-up ones.

    For what holds on any shop. The made-up shop has a customer 17850, who buys in its first days as in the
    real year, and has no file that marks it as simulated.
    """
    if _real_landing() or REAL_REQUIRED:
        return Path(request.getfixturevalue("real_landing"))
    with _shared(tmp_path_factory, "made_up") as folder:
        landing = folder / "landing"
        if not landing.exists():
            draft = folder / "draft"
            simulate_shop(draft, customers=MADE_UP_CUSTOMERS, seed=352)
            (draft / SIMULATED_MARKER).unlink()
            _give_a_regular_the_number_17850(draft)
            draft.rename(landing)
    return landing


def _give_a_regular_the_number_17850(landing: Path) -> None:
    first_days = [landing / f"2010-12-0{day}.csv" for day in (2, 3, 5)]
    bought = Counter(
        row["CustomerID"] for path in first_days for row in csv.DictReader(path.open(encoding="utf-8"))
    )
    del bought[""]
    (regular, _), *_ = bought.most_common(1)
    for path in landing.glob("*.csv"):
        text = path.read_text(encoding="utf-8")
        text = text.replace(",17850.0,", ",99999.0,").replace(f",{regular},", ",17850.0,")
        path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def credit_default() -> Path:
    """The table of 30,000 credit card clients as Parquet; where it must be there and is not, tests fail."""
    path = _credit_default()
    if path.is_file():
        return path
    message = f"the data on default of credit card clients are not in {path}; set GOODSTANDING_CREDIT_DEFAULT"
    if REAL_REQUIRED:
        pytest.fail(message)
    pytest.skip(message)


@dataclass(frozen=True)
class Year:
    """A year, run once for the session as a user runs it: `goodstanding run --json` in a new home."""

    home: Path
    landing: Path
    report: dict[str, Any]
    output: str

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Read the publication."""
        with duckdb.connect(str(self.home / "published" / "current.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Call the command line on this home."""
        return call_goodstanding(self.home, self.landing, *arguments)


def call_goodstanding(
    home: Path, landing: Path | None, *arguments: str, umask: int = 0, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Call the installed command as a user does, with nothing of this process's settings.

    By default its files are open to all, unless it sees to that itself.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GOODSTANDING_")}
    environment |= {"GOODSTANDING_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "", **settings}
    if landing:
        environment["GOODSTANDING_LANDING"] = str(landing)
    command = [str(Path(sys.executable).with_name("goodstanding")), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, umask=umask)


@pytest.fixture(scope="session")
def any_year(any_landing: Path, tmp_path_factory: pytest.TempPathFactory) -> Year:
    """The real year or, where it is not there, a made-up one; run by the first process that needs it."""
    with _shared(tmp_path_factory, "year") as folder:
        kept = folder / "done.json"
        if not kept.exists():
            done = call_goodstanding(folder / "home", any_landing, "run", "--json")
            assert done.returncode == 0, done.stderr[-3000:]
            kept.write_text(json.dumps([done.stdout, done.stderr]))
        output, errors = json.loads(kept.read_text())
    return Year(folder / "home", any_landing, json.loads(output), output + errors)


@pytest.fixture(scope="session")
def real_year(real_landing: Path, request: pytest.FixtureRequest) -> Year:
    """The real year, published, for tests of its figures."""
    year: Year = request.getfixturevalue("any_year")
    return year


# the tests of these start an Airflow of their own, with a scheduler: one at a time is enough for two cores
STACKS = ("test_supervisor.py", "test_scheduler.py", "test_postgres.py")
# long tests that share nothing: each may go where there is room
SPREAD = ("test_histories.py", "test_crashes.py", "test_prefix.py")
# Minutes each, or few tests that are long, and xdist leaves files of few tests to the end: begun late, one of
# them would keep one process busy and leave the other without work. The prefixes come before other files of
# the real year: their process runs it while the other has histories, else one might wait for the other.
FIRST = (
    *("stacks", "test_histories", "test_prefix", "test_contention", "test_crashes", "test_runs", "test_cli"),
    "tests/laws/",
)


class ByFile(LoadScopeScheduling):
    """Keep the tests of a file in one process, where they share fixtures, and begin with the longest.

    Marks of groups would do the first as well, but xdist 3.8 does not see them under pytest 9.2, and says
    nothing: the fixture with the scheduler was made twice.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        name = file.rpartition("/")[2]
        if name in STACKS:
            return "stacks"
        return nodeid if name in SPREAD else file

    def _assign_work_unit(self, node: WorkerController) -> None:
        def place(scope: str) -> int:
            return next((n for n, name in enumerate(FIRST) if name in scope), len(FIRST))

        self.workqueue.move_to_end(min(self.workqueue, key=place), last=False)
        super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """How xdist divides the tests among its processes."""
    return ByFile(config, log)
