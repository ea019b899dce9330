"""Builds the marts as of a past day from the files that were known at the end of another day.

Raw keeps every version of a file with the time during which it was the known one (`raw.file_versions`), and
staging can show raw as it was then (dbt_project/macros/known_then.sql). The rest is one ordinary build, in a
home of its own that is deleted after it: no working file is opened, and no run waits.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime
from pathlib import Path
from typing import TypedDict

import duckdb

from goodstanding.core.days import end_of
from goodstanding.core.durable import put_in_place
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import CLASSES, moment, now_utc
from goodstanding.core.zones import zone
from goodstanding.shops.mapping import load_shop
from goodstanding.warehouse.figures import note_figures
from goodstanding.warehouse.files import INTAKE, STANDING, open_intake, open_warehouse
from goodstanding.warehouse.ledger import days_known
from goodstanding.warehouse.publish import keep_for_readers
from ml.score import score
from pipeline.transform import require_success, run_dbt, sql_of_figures
from pipeline.workbench.copies import copy_as_closed

# The folder of a build that was killed is deleted by a later build once it is as old as this.
GIVEN_UP_SECONDS = 6 * 3600


class _Then(TypedDict):
    """Which past the marts show."""

    as_of: date
    known_on: date
    known_before: datetime
    """UTC: the end of `known_on` in the shop's time zone."""
    left_out: list[date]
    """Days known then whose content has not passed the gate of raw orders."""
    simulated: bool


class AsKnown(_Then):
    """The marts that were built, and the file that holds them."""

    path: str
    customers: int
    classes: dict[str, int]
    """Customers by class, Best first."""
    models: dict[str, str]
    """{question: the model_id that scored}."""


def build_as_known(settings: Settings, day: date, known_on: date) -> AsKnown:
    """Build the marts as of `day` from what was known at the end of `known_on` in the shop's time zone.

    Predictions are those of the newest model trained on data up to `day`, whenever that was; where there is
    none the profiles say so.

    Raises:
        WrongUse: `known_on` is in the future.
        DataProblem: nothing was known by then, or not that day.
    """
    timezone = load_shop(settings).timezone
    if known_on > moment().astimezone(zone(timezone)).date():
        raise WrongUse(f"{known_on} is in the future: nothing is known of it yet")
    known_before = end_of(known_on, timezone).replace(tzinfo=None)
    path = settings.home / "as_known" / f"{day}_on_{known_on}.duckdb"
    with _draft(path) as draft:
        then = settings.model_copy(update={"home": draft})
        _copy_intake(settings, then)
        with open_intake(then) as connection:
            left_out = _require_known(days_known(connection, known_before), day, known_on)
            facts = dict(connection.execute("select name, value from ops.facts").fetchall())
            simulated = connection.execute("select bool_or(simulated) from raw.days").fetchone()
        with open_warehouse(then):
            pass  # makes the table of predictions that a view names
        variables = {"known_before": str(known_before), "last_day": str(day)}
        require_success(
            run_dbt(settings, ["build", "--exclude-resource-type", "unit_test"], variables, home=draft), then
        )
        with open_intake(then) as connection:
            note_figures(connection, "sql", sql_of_figures())
        with open_warehouse(then) as connection:
            scored = score(connection, day, settings.models)
        shown: _Then = {
            "as_of": day,
            "known_on": known_on,
            "known_before": known_before,
            "left_out": left_out,
            "simulated": bool(simulated and simulated[0]),
        }
        classes = _finish(then.warehouse / STANDING, shown, shop=facts.get("shop", ""))
        put_in_place(then.warehouse / STANDING, path)
    return {
        **shown,
        "path": str(path),
        "customers": sum(classes.values()),
        "classes": {name: classes.get(name, 0) for name in reversed(CLASSES)},
        "models": scored["models"],
    }


def _require_known(known: dict[date, bool], day: date, known_on: date) -> list[date]:
    """The days before `day` whose content has not passed the gate of raw orders.

    Raises:
        DataProblem: nothing was known, or `day` was not, or has not passed that gate.
    """
    if not known:
        raise DataProblem(
            f"nothing was known at the end of {known_on}: no file had been ingested (raw.file_versions)"
        )
    if day not in known:
        raise DataProblem(
            f"{day} was not known at the end of {known_on}: the days known then lie between {min(known)} and "
            f"{max(known)}"
        )
    if not known[day]:
        raise DataProblem(
            f"what was known of {day} at the end of {known_on} has not passed the gate of raw orders"
        )
    return [other for other, passed in known.items() if other < day and not passed]


def _copy_intake(settings: Settings, then: Settings) -> None:
    then.warehouse.mkdir(parents=True)
    if (settings.warehouse / INTAKE).exists():
        copy_as_closed(settings.warehouse / INTAKE, then.warehouse / INTAKE)


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """A folder beside the file to be built, deleted at the end with those that killed processes left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.parent / f".{path.stem}.{os.getpid()}"
    try:
        yield draft
    finally:
        for folder in path.parent.glob(".*"):
            with suppress(FileNotFoundError):  # another process has just deleted its own
                if folder == draft or time.time() - folder.stat().st_mtime > GIVEN_UP_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)


def _finish(path: Path, shown: _Then, shop: str) -> dict[str, int]:
    """Keep what readers may see, and add one row that says which past this is; returns customers by class."""
    with duckdb.connect(str(path)) as connection:
        keep_for_readers(connection)
        connection.execute(
            """
            create table marts.as_known (
                as_of date not null, known_on date not null, known_before timestamp not null,
                built_at timestamp not null, left_out date[] not null, simulated boolean not null,
                shop varchar not null
            )
            """
        )
        connection.execute(
            """
            insert into marts.as_known
            values ($as_of, $known_on, $known_before, $built_at, $left_out, $simulated, $shop)
            """,
            {**shown, "built_at": now_utc(), "shop": shop},
        )
        classes = connection.execute(
            "select class, count(*) from marts.customer_profiles group by class"
        ).fetchall()
        connection.execute("checkpoint")
    return dict(classes)
