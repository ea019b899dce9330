"""Does what the commands `run` and `train` ask for: sends days through the DAGs in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TypedDict, TypeVar

from rich.progress import Progress

from app.cli.shown import say
from app.runtime.airflow_env import airflow_home
from app.runtime.local import LocalRuns
from goodstanding.core.days import Days, parse_day
from goodstanding.core.durable import copy_in_place
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.private import files_of_the_caller
from goodstanding.core.settings import Settings
from goodstanding.ingest.landed import days_in_landing
from goodstanding.ingest.reading import pending_change
from goodstanding.ingest.samples.download import NoNetwork, download_online_retail
from goodstanding.ingest.samples.simulate import simulate_shop
from goodstanding.shops.mapping import load_shop
from pipeline.report import LandingReport, ModelInUse, RunReport, read_models, read_refused, read_report

# Of the whole landing, so many last days go through one DAG run each, as they do every morning.
LAST_DAYS = 7

Item = TypeVar("Item")


class TrainingReport(TypedDict):
    """The models after a training."""

    models: list[ModelInUse]
    refused: dict[str, str]
    """{question: why nothing was fitted}."""


def run_days(current: Settings, days: Days, daily: bool, progress: Progress) -> RunReport:
    """Run a range as one `orders_history` run, or as one `orders_daily` run per day; returns the report.

    Raises:
        GoodstandingError: what the first failed step raised. Days before it stay done.
    """
    load_shop(current)
    change = pending_change(current)
    with _Steps(progress) as steps:
        if change and change.covered_by(days) and (len(days) == 1 or not daily):
            steps.say(change.told())
        runs = _runs(current, steps)
        if daily:
            run_ids = [runs.daily(day) for day in steps.counted(list(days))]
        else:
            run_ids = [runs.history(day) for day in steps.counted([days])]
    return read_report(current, run_ids)


def run_landing(current: Settings, progress: Progress) -> LandingReport:
    """Run the whole landing: all but its last seven days at once, those one by one, then a training.

    Where the mapping or the code that reads has changed, all days are read anew at once.

    Where no landing is set and `data/landing` is empty, the public data are downloaded first. Without a
    network a shop is simulated instead, and everything that comes of it is marked simulated.
    """
    _fill_landing(current, progress)
    shop = load_shop(current)
    days = days_in_landing(current, shop)
    if days is None:
        raise DataProblem(
            f"no file in {current.landing_folder} matches '{shop.sources[0].files.path}'; put the shop's "
            f"files there, or mend files.path in {shop.mapping_file}"
        )
    change = pending_change(current)
    if change:
        # one range over all of them is what reads them all anew
        days = Days(min(days.first, change.held.first), max(days.last, change.held.last))
    border = days.last - timedelta(days=0 if change else LAST_DAYS)
    run_ids, note = [], None
    with _Steps(progress) as steps:
        if change:
            steps.say(change.told())
        runs = _runs(current, steps)
        if border >= days.first:
            run_ids += [runs.history(past) for past in steps.counted([Days(days.first, border)])]
        last_days = [day for day in days if day > border]
        run_ids += [runs.daily(day) for day in steps.counted(last_days)]
        try:
            run_ids += [runs.train(day) for day in steps.counted([days.last])]
        except DataProblem as error:
            # a shop with too short a history has no model yet: its profiles say so
            note = str(error)
        steps.describe("dbt documentation")
        sites = build_sites(current)
    report = read_report(current, run_ids)
    return {**report, "model_note": note, "paths": report["paths"] | sites}


def run_training(current: Settings, day: str | None, progress: Progress) -> TrainingReport:
    """Train as of a day (default: the newest there is) through the DAG `train_models`."""
    as_of = parse_day(day) if day else parse_day("9999-12-30")
    with _Steps(progress) as steps:
        runs = _runs(current, steps)
        run_ids = [runs.train(wanted) for wanted in steps.counted([as_of])]
    return {"models": read_models(current, as_of), "refused": read_refused(current, run_ids)}


def build_sites(current: Settings) -> dict[str, str]:
    """Build the static sites about the data and the SQL; returns what each is and where."""
    from pipeline.pages.data_docs import build_docs
    from pipeline.transform import run_dbt

    checks = build_docs(current)
    run_dbt(current, ["docs", "generate", "--static", "--no-compile"])
    target = current.published / "dbt_docs" / "index.html"
    copy_in_place(current.home / "dbt" / "target" / "static_index.html", target)
    return {"data_docs": str(checks), "dbt_docs": str(target)}


def _runs(current: Settings, steps: _Steps) -> LocalRuns:
    steps.describe("setting up Airflow" + ("" if airflow_home(current).exists() else " (once)"))
    return LocalRuns(current, show_step=steps.step)


def _fill_landing(current: Settings, progress: Progress) -> None:
    """Fill an empty landing with the public data or, without a network, a simulated shop."""
    folder = current.landing_folder
    is_empty = not (folder.is_dir() and any(folder.iterdir()))
    if current.real_data_required and (is_empty or folder == current.simulated_landing):
        raise WrongUse(
            "setting GOODSTANDING_LANDING: the real data are required (GOODSTANDING_REAL_DATA_REQUIRED), "
            "and no landing is set"
        )
    if is_empty:
        try:
            with files_of_the_caller():
                download_online_retail(folder, progress.console)
        except NoNetwork as error:
            say(progress.console, f"{error}\nRunning on a simulated shop instead.")
            simulate_shop(current.simulated_landing)
    if current.landing_folder == current.simulated_landing:
        text = f"SIMULATED: the orders are made up ({current.simulated_landing})"
        say(progress.console, text)


class _Steps:
    """One line of progress: which run, and which step of it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=None)
        self._name = ""

    def __enter__(self) -> _Steps:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.update(self._task, visible=False)

    def describe(self, text: str) -> None:
        self._progress.update(self._task, description=text)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        say(self._progress.console, text, wraps=False)

    def step(self, name: str) -> None:
        self.describe(f"{self._name}: {name}")

    def counted(self, items: Sequence[Item]) -> Iterator[Item]:
        """Go through the items, counting them."""
        self._progress.update(self._task, total=len(items), completed=0)
        for item in items:
            self._name = str(item)
            self.describe(self._name)
            yield item
            self._progress.advance(self._task)
