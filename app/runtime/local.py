"""Runs the real DAGs in this process, without a scheduler: `make run` and the command line use it.

Airflow's own `dag.test()` creates the run, executes its tasks in order and keeps their states in a SQLite
database under the home. What Airflow, dbt and the tasks log goes to a file. A person waits for such a run, so
nothing is retried: the first error ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from app.runtime.airflow_env import airflow_environment, logs, prepare, sqlite_url
from goodstanding.core.days import Days
from goodstanding.core.errors import GoodstandingError, WrongUse
from goodstanding.core.settings import PROJECT, Settings
from goodstanding.core.vocabulary import moment

if TYPE_CHECKING:
    from airflow.sdk import Context

ShowStep = Callable[[str], None]


class LocalRuns:
    """Airflow in this process, for runs one after the other; a process can have one home only."""

    def __init__(self, settings: Settings, show_step: ShowStep = lambda step: None) -> None:
        """Set Airflow up and read the DAG files; about six seconds the first time, two later.

        Args:
            settings: passed on to the tasks through the environment.
            show_step: called with the name of each step before it starts.

        Raises:
            WrongUse: a DAG file cannot be loaded.
        """
        self._show_step = show_step
        self.log_file = logs(settings) / "local_runs.log"
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        # Never closed: Airflow's loggers keep the stream that they were given first.
        self._log = self.log_file.open("a", encoding="utf-8", buffering=1)
        with self._quiet():
            prepare(airflow_environment(settings, sqlite_url(settings)))
            from airflow.dag_processing.dagbag import BundleDagBag

            folder = PROJECT / "dags"
            bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder")
        for path, fault in bag.import_errors.items():
            raise WrongUse(f"{folder / path} cannot be loaded: {fault.strip().splitlines()[-1]}")
        self._dags = bag.dags
        self._error: BaseException | None = None
        for dag in self._dags.values():
            for task in dag.tasks:
                task.retries = 0
                task.on_execute_callback = [self._started]
                task.on_failure_callback = [self._failed]

    def history(self, days: Days) -> str:
        """Run `orders_history` over a range of days and return the run id."""
        return self._run("orders_history", moment(), {"from": str(days.first), "to": str(days.last)})

    def daily(self, day: date) -> str:
        """Run `orders_daily` for one day, given by the data interval alone, and return the run id."""
        # A manual run's interval is the last one that is over at its logical date: that of day D ends with D.
        return self._run("orders_daily", datetime.combine(day + timedelta(days=1), time.min, UTC), {})

    def train(self, day: date) -> str:
        """Run `train_models` as of a day and return the run id."""
        return self._run("train_models", moment(), {"day": str(day)})

    def _run(self, dag_id: str, logical_date: datetime, conf: dict[str, str]) -> str:
        """Execute one run and return its id.

        Raises:
            GoodstandingError: what its failed task raised.
        """
        self._error = None
        with self._quiet():
            run = self._dags[dag_id].test(logical_date=logical_date, run_conf=conf)
        if str(run.state) != "success":
            if isinstance(self._error, GoodstandingError):
                raise self._error
            raise GoodstandingError(
                f"{dag_id} failed unexpectedly ({type(self._error).__name__}); "
                f"the traceback is in {self.log_file}"
            )
        run_id: str = run.run_id
        return run_id

    def _started(self, context: Context) -> None:
        self._show_step(context["ti"].task_id)

    def _failed(self, context: Context) -> None:
        self._error = context.get("exception")

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Send what Airflow, dbt and the tasks print and log to the log file."""
        with redirect_stdout(self._log), redirect_stderr(self._log):
            yield
