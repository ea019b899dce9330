"""Opens the warehouse's DuckDB files: for a run that writes, and for readers of what is published.

There are two working files, so that publishing copies only what readers may see: `intake.duckdb` holds the
ingested lines (schema `raw`) and the records of runs (schema `ops`); `standing.duckdb` is what dbt and the
models write (schemas `staging`, `intermediate`, `marts`, `features`, `predictions`). One process writes at a
time, opens late and closes early; nobody but a run opens these files. Readers open the published copy.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import duckdb

from goodstanding.core.errors import DataProblem, DiskProblem, GoodstandingError, MemoryShort, WarehouseBusy
from goodstanding.core.settings import MEMORY, Settings
from goodstanding.core.sql import literal, rendered
from goodstanding.shops.kinds import KINDS, REJECTED, definition
from goodstanding.warehouse import metadata_blocks

INTAKE = "intake.duckdb"
STANDING = "standing.duckdb"
SPILL = "spill"
# how long a writer waits for another process to close a working file
WAIT_SECONDS = 10.0
PAUSE_SECONDS = 0.1
# how DuckDB's message about a block with a wrong checksum begins
DAMAGED = "Corrupt database file"
STANDING_SCHEMA = Path(__file__).with_name("standing.sql")


# how DuckDB's messages begin where its memory does not suffice, and how one names a spill folder that is full
OUT_OF_MEMORY, FULL_SPILL = "Out of Memory Error", "max_temp_directory_size"
# what the system says when a disk cannot be written, and what to do about it
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
    """The error as a `DiskProblem`, if it is about a disk that cannot be written; else None."""
    for text, remedy in DISK_FAULTS.items():
        if text in str(error):
            free = shutil.disk_usage(settings.home).free / 1e6
            return DiskProblem(
                f"{settings.home} cannot be written: {text} ({free:,.0f} MB are free); {remedy} "
                "and run the day again. Readers keep the last good day"
            )
    return None


def machine_problem(error: BaseException | str, settings: Settings) -> GoodstandingError | None:
    """The error as one of the disk or of the memory, if it is about one of these; else None.

    Args:
        error: what Python, DuckDB or dbt raised, or what they said.
        settings: of the process.
    """
    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException) or OUT_OF_MEMORY in text:
        if FULL_SPILL in text:
            return DiskProblem(
                f"{spill_folder(settings)} has no room for what does not fit into "
                f"GOODSTANDING_MEMORY_LIMIT={settings.memory_limit}; make room there or raise it, and "
                "run again. Readers keep the last good day"
            )
        amount, unit = re.fullmatch(MEMORY, settings.memory_limit).groups()  # type: ignore[union-attr]
        return MemoryShort(
            f"the work needs more memory than GOODSTANDING_MEMORY_LIMIT={settings.memory_limit}; set "
            f"GOODSTANDING_MEMORY_LIMIT={2 * float(amount):g}{unit} (or more) and run again. "
            "Readers keep the last good day"
        )
    return disk_problem(error, settings)


def spill_folder(settings: Settings) -> Path:
    """The folder for what does not fit in the memory of a writer; it is emptied before the next write."""
    return settings.warehouse / SPILL


@lru_cache(maxsize=1)
def _engine(memory_limit: str, threads: int, spill: str) -> duckdb.DuckDBPyConnection:
    """The DuckDB of this process that opens working files: starting one took 15 ms, opening a file 4."""
    return duckdb.connect(
        config={
            "memory_limit": memory_limit,
            "threads": threads,
            "temp_directory": spill,
            # none but the one that ends a session: the copies of `metadata_blocks` serve for one
            "wal_autocheckpoint": "1TB",
        }
    )


# a forked process would have the engine without its threads
os.register_at_fork(before=_engine.cache_clear)


@contextmanager
def _opened(settings: Settings, *names: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Working files attached to one connection, for writing; the first is the default. Its end unlocks
    them."""
    engine = _engine(settings.memory_limit, settings.threads, str(spill_folder(settings)))
    connection = engine.cursor()
    databases = [Path(name).stem for name in names]
    descriptors: list[int] = []
    try:
        for name, database in zip(names, databases, strict=True):
            path = settings.warehouse / name
            metadata_blocks.require_known_version(path)
            metadata_blocks.put_back(path)
            _attach(connection, path, database, settings)
            descriptors.append(os.open(path, os.O_RDONLY))
            metadata_blocks.keep(connection, database, path, descriptors[-1])
        connection.execute(f"use {databases[0]}")
        yield connection
        connection.close()  # rolls back what was not committed
        for database in databases:
            engine.execute(f"detach {database}")
    except BaseException as error:
        # a fault may have broken the engine; closing it lets its files go, whatever state they are in
        _engine.cache_clear()
        connection.close()
        engine.close()
        # a damaged block shows when it is read, which may be long after the file was opened
        if isinstance(error, duckdb.Error) and DAMAGED in str(error):
            raise _damaged(settings, names, error) from None
        raise
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _attach(connection: duckdb.DuckDBPyConnection, path: Path, database: str, settings: Settings) -> None:
    """Attach a working file; where a process has it open, after it has closed it, if that is soon."""
    give_up = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            connection.execute(f"attach {literal(path)} as {database}")
            return
        except duckdb.IOException as error:
            problem = _busy(path, error, settings)
            if not isinstance(problem, WarehouseBusy) or time.monotonic() > give_up:
                raise problem from None
        time.sleep(PAUSE_SECONDS)


def _damaged(settings: Settings, names: tuple[str, ...], error: duckdb.Error) -> DataProblem:
    folder, said = settings.warehouse, str(error).splitlines()[0]
    return DataProblem(
        f"{' or '.join(names)} in {folder} is damaged ({said}), and not by a kill, which would have been "
        f"undone; the disk may be failing. Readers keep the last good day. Move {folder} aside and run all "
        "days again from the landing"
    )


def _busy(path: Path | str, error: duckdb.IOException, settings: Settings) -> Exception:
    holder = re.search(r"\(PID (\d+)\)", str(error))
    if holder:
        return WarehouseBusy(
            f"{path} is open in process {holder[1]}{_name_of(holder[1])}: a run is writing, or a duckdb "
            "shell was left open; wait for it or close it, and read the published copy instead"
        )
    return machine_problem(error, settings) or DataProblem(
        f"{path} cannot be opened: {str(error).splitlines()[0]}"
    )


def _name_of(process: str) -> str:
    with suppress(OSError):
        return f" ({Path('/proc', process, 'comm').read_text().strip()})"
    return ""


@contextmanager
def open_intake(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The intake file, for writing, with its schema in place."""
    settings.warehouse.mkdir(parents=True, exist_ok=True)
    with _opened(settings, INTAKE) as connection:
        # what a killed run left there holds lines as the shop wrote them; nobody else is writing now
        shutil.rmtree(spill_folder(settings), ignore_errors=True)
        spill_folder(settings).mkdir(exist_ok=True)
        _make_tables(connection)
        yield connection


def intake_schema() -> str:
    """The statements that make the tables of the intake file, where they are missing."""
    return rendered(
        Path(__file__).with_name("intake.sql"), kinds=KINDS, rejected_definition=definition(REJECTED)
    )


def _make_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Run the intake's schema, unless the file's own mark says that this very text has been run."""
    schema = intake_schema()
    mark = hashlib.sha256(schema.encode()).hexdigest()
    stored_mark = connection.execute(
        "select comment from duckdb_tables() where database_name = current_database()"
        " and schema_name = 'ops' and table_name = 'facts'"
    ).fetchone()
    if stored_mark != (mark,):
        connection.execute(schema)
        connection.execute(f"comment on table ops.facts is '{mark}'")


@contextmanager
def open_warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Both working files in one connection, for writing: `standing` is the default, `intake` is attached."""
    if not (settings.warehouse / INTAKE).exists():
        with open_intake(settings):
            pass  # makes its tables
    with _opened(settings, STANDING, INTAKE) as connection:
        connection.execute(STANDING_SCHEMA.read_text())
        yield connection


@contextmanager
def open_published(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the publication, read-only. A publish during the read does not disturb it.

    Raises:
        DataProblem: nothing has been published under this home yet.
    """
    path = settings.publication
    if not path.exists():
        raise DataProblem(f"nothing is published under {settings.home} yet; run `goodstanding run` first")
    try:
        # a reader does not spill: the writer sweeps that folder
        connection = duckdb.connect(
            path,
            read_only=True,
            config={
                "memory_limit": settings.memory_limit,
                "threads": settings.threads,
                "temp_directory": "",
            },
        )
    except duckdb.IOException as error:
        raise _busy(path, error, settings) from None
    with connection:
        yield connection
