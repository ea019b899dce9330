"""Opening the warehouse.

Two working files, so that publishing copies only what readers may see: `intake.duckdb` holds what came
in (schema `raw`) and what was done about it (schema `ops`); `standing.duckdb` is what dbt and the models
write (schemas `staging`, `intermediate`, `marts`, `predictions`). One process writes at a time, opens late
and closes early; nobody but a run opens these files. Readers open the published copy.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from goodstanding.errors import DataProblem, DiskProblem, WarehouseBusy
from goodstanding.settings import Settings

INTAKE = "intake.duckdb"
STANDING = "standing.duckdb"
SPILL = "spill"
INTAKE_SCHEMA = Path(__file__).with_name("intake.sql")
STANDING_SCHEMA = Path(__file__).with_name("standing.sql")


# what a system says of a disk that cannot be written, and what to do about it
DISK_FAULTS = {
    os.strerror(errno.ENOSPC): "make room there",
    os.strerror(errno.EDQUOT): "make room there",
    os.strerror(errno.EFBIG): "raise the limit",
    os.strerror(errno.EROFS): "make it writable",
    os.strerror(errno.EACCES): "make it writable",
    # SQLite, where Airflow keeps the states of runs on the command line
    "database or disk is full": "make room there",
    "attempt to write a readonly database": "make it writable",
}


def disk_problem(error: BaseException | str, settings: Settings) -> DiskProblem | None:
    """What any error says of the disk under the home; None where it says nothing of it."""
    for text, remedy in DISK_FAULTS.items():
        if text in str(error):
            free = shutil.disk_usage(settings.home).free / 1e6
            return DiskProblem(
                f"{settings.home} cannot be written: {text} ({free:,.0f} MB are free); {remedy} "
                "and run the day again. Readers keep the last good day"
            )
    return None


def spill_folder(settings: Settings) -> Path:
    """Where a writer puts what memory does not hold, and nothing that outlives it."""
    return settings.warehouse / SPILL


def _connect(path: Path | str, settings: Settings, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    # a reader does not spill: the writer sweeps that folder
    spill = "" if read_only else str(spill_folder(settings))
    config = {
        "memory_limit": settings.memory_limit,
        "threads": settings.threads,
        "temp_directory": spill,
    }
    try:
        return duckdb.connect(str(path), read_only=read_only, config=config)
    except duckdb.IOException as error:
        raise _busy(path, error, settings) from None


def _busy(path: Path | str, error: duckdb.IOException, settings: Settings) -> Exception:
    holder = re.search(r"\(PID (\d+)\)", str(error))
    if holder:
        return WarehouseBusy(
            f"{path} is open in process {holder[1]}: a run is writing, or a duckdb shell was left open; "
            "wait for it or close it, and read the published copy instead"
        )
    return disk_problem(error, settings) or DataProblem(
        f"{path} cannot be opened: {str(error).splitlines()[0]}"
    )


@contextmanager
def open_intake(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The intake file, for writing, with its schema in place."""
    settings.warehouse.mkdir(parents=True, exist_ok=True)
    connection = _connect(settings.warehouse / INTAKE, settings)
    try:
        # what a killed run had spilled holds lines as the shop wrote them; nobody else writes now
        shutil.rmtree(spill_folder(settings), ignore_errors=True)
        spill_folder(settings).mkdir(exist_ok=True)
        connection.execute(INTAKE_SCHEMA.read_text())
        yield connection
    finally:
        connection.close()


@contextmanager
def open_warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Both working files in one connection, for writing: `standing` is the default, `intake` is attached."""
    intake = settings.warehouse / INTAKE
    if not intake.exists():
        with open_intake(settings):
            pass  # makes its tables
    connection = _connect(settings.warehouse / STANDING, settings)
    try:
        try:
            connection.execute(f"attach '{intake}' as intake")
        except duckdb.IOException as error:
            raise _busy(intake, error, settings) from None
        connection.execute(STANDING_SCHEMA.read_text())
        yield connection
    finally:
        connection.close()


@contextmanager
def open_published(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """What readers may see, read-only. A publish during the read does not disturb it.

    Raises:
        DataProblem: nothing has been published under this home yet.
    """
    path = settings.published / "current.duckdb"
    if not path.exists():
        raise DataProblem(f"nothing is published under {settings.home} yet; run `goodstanding run` first")
    connection = _connect(path, settings, read_only=True)
    try:
        yield connection
    finally:
        connection.close()
