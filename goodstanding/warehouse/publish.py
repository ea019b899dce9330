"""Publishes: replaces the file that readers open by a copy of the audited marts, in one atomic step.

The working file is copied, what is not for readers is dropped from the copy, and the copy is renamed over the
last publication. A reader that has the old one open keeps it. Only audited days are shown: while any ingested
day has not passed its gates, nothing new is published.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TypedDict

import duckdb
import pandas as pd

from goodstanding.core.days import Days
from goodstanding.core.durable import put_in_place
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import Settings
from goodstanding.core.sql import literal
from goodstanding.core.vocabulary import PUBLICATION, now_utc
from goodstanding.warehouse.exposure import expose, settle
from goodstanding.warehouse.files import STANDING, open_warehouse
from goodstanding.warehouse.ledger import OpenDay, gate_notes, gate_results, newest_day, open_days
from goodstanding.warehouse.notices import OF_OTHER_DAYS
from goodstanding.warehouse.restatements import last_publication, restate

log = logging.getLogger(__name__)

KEPT_SCHEMAS = ("marts", "marts_versions", "features", "predictions")
# What a publication rests on. A day also has another version where its files were read by another mapping.
SOURCE_FILES = """
select files.event_day, files.file_name, files.file_hash, files.lines, days.version as day_version
from intake.raw.files as files join intake.raw.days as days using (source, event_day)
order by files.event_day, files.file_name
"""
NOTICES = f"""
select event_day, file_name, topic, lines, example, message from intake.raw.notices
where topic not in ({", ".join(map(literal, sorted(OF_OTHER_DAYS)))})
order by event_day, file_name, topic, message
"""
# the columns of what a publication gets from the intake file; a frame without rows has lost their types
FRAMES = {
    "source_files": """
    select
        cast(event_day as date) as event_day, cast(file_name as varchar) as file_name,
        cast(file_hash as varchar) as file_hash, cast(lines as bigint) as lines,
        cast(day_version as varchar) as day_version
    """,
    "notices": """
    select
        cast(event_day as date) as event_day, cast(file_name as varchar) as file_name,
        cast(topic as varchar) as topic, cast(lines as bigint) as lines,
        cast(example as varchar) as example, cast(message as varchar) as message
    """,
    "exposure": """
    select
        cast(receipt_id as varchar) as receipt_id, cast(method as varchar) as method,
        cast(customer_id as varchar) as customer_id, cast(order_id as varchar) as order_id,
        cast(committed_day as date) as committed_day, cast(granted as decimal(28, 2)) as granted,
        cast(open as decimal(28, 2)) as open, cast(until as date) as until
    """,
}
# A day that was ingested longer ago than this, and whose run has not ended, was given up: its run crashed or
# was stopped. So was one that was ingested so far in the future, by a clock that has been put back.
IN_FLIGHT = timedelta(hours=1)


class Publishing(TypedDict):
    """The result of a publish step.

    Attributes:
        published: whether readers see the marts as they are now. as_of: the newest day that they see (ISO);
            None where nothing was published. waiting_for: the days (ISO) of other runs that have yet to
            pass their gates; the last of these runs publishes. restated: customers whose class or score is
            another now for a day that readers had seen.
    """

    published: bool
    as_of: str | None
    waiting_for: list[str]
    restated: int


class _Publication(TypedDict):
    """The row of `marts.publication`: what a publication is, and what it rests on."""

    as_of: date
    published_at: datetime
    run_id: str
    gate_results: str
    gate_notes: str
    simulated: bool
    shop: str
    definition: str


def publish(settings: Settings, days: Days, run_id: str) -> Publishing:
    """Make the marts visible, or keep the last publication while another run has days in flight.

    Raises:
        DataProblem: a day failed a gate or was given up; the message names it and what to do.
    """
    with open_warehouse(settings) as connection:
        unfinished = open_days(connection)
        given_up = [day for day in unfinished if day.failed_gate or _is_given_up(day)]
        if given_up:
            raise DataProblem(_repair(given_up, days))
        as_of = newest_day(connection)
        if unfinished or as_of is None:
            waiting = [str(day.day) for day in unfinished]
            log.info("not published yet: the last of the runs of %s publishes", ", ".join(waiting))
            return {"published": False, "as_of": None, "waiting_for": waiting, "restated": 0}
        facts = _facts(connection)
        gates = gate_results(connection, as_of)
        # all rows are read: DuckDB refuses other work while a result is left unread
        ((simulated,),) = connection.execute("select bool_or(simulated) from intake.raw.days").fetchall()
        publication: _Publication = {
            "as_of": as_of,
            "published_at": now_utc(),
            "run_id": run_id,
            "gate_results": json.dumps(gates),
            "gate_notes": json.dumps(gate_notes(connection, as_of)),
            "simulated": bool(simulated),
            "shop": facts.get("shop", ""),
            "definition": _definition(connection),
        }
        exposure = expose(connection, settings.receipts, as_of)
        frames = {
            "exposure": exposure.rows,
            "source_files": connection.execute(SOURCE_FILES).df(),
            "notices": connection.execute(NOTICES).df(),
        }
        connection.execute("checkpoint standing")
        with _draft(settings) as draft:
            # Nobody can write while the connection is open, and it must end here: once the copy closes the
            # file, DuckDB's POSIX lock on it is gone.
            shutil.copyfile(settings.warehouse / STANDING, draft)
            connection.close()
            restated = _strip(draft, publication, frames, settings)
            put_in_place(draft, settings.publication)
    settle(settings.receipts, exposure, publication["published_at"])
    return {"published": True, "as_of": str(as_of), "waiting_for": [], "restated": restated}


def _is_given_up(day: OpenDay) -> bool:
    # a clock that has gone back since is no sign that the run goes on
    return not -IN_FLIGHT <= now_utc() - day.loaded_at <= IN_FLIGHT


def _repair(given_up: list[OpenDay], days: Days) -> str:
    first = given_up[0]
    what = (
        f"failed the gate of {first.failed_gate} ({first.message})"
        if first.failed_gate
        else f"was ingested at {first.loaded_at:%Y-%m-%d %H:%M} UTC by run {first.run_id}, which did not end"
    )
    others = f" and {len(given_up) - 1} more day(s)" if len(given_up) > 1 else ""
    return (
        f"{days} cannot be published: {first.day}{others} {what}. Readers keep the last good day. "
        f"Repair its file if need be and run {first.day} again (clear its run in the UI); "
        "then clear this publish task (with Past and Future, those of all runs that waited)"
    )


def _facts(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    return dict(connection.execute("select name, value from intake.ops.facts").fetchall())


def _definition(connection: duckdb.DuckDBPyConnection) -> str:
    """The SQL by which the marts were computed, as a hash."""
    rows = connection.execute("select fingerprint from state.built_by").fetchall()
    return str(rows[0][0]) if rows else ""


@contextmanager
def _draft(settings: Settings) -> Iterator[Path]:
    """A file name beside the publication. At the end the file is deleted, and so are those of killed runs."""
    settings.published.mkdir(parents=True, exist_ok=True)
    draft = settings.published / f".{PUBLICATION}.{os.getpid()}"
    try:
        yield draft
    finally:
        mine = (draft.name, f"{draft.name}.wal")
        for left in settings.published.glob(f".{PUBLICATION}.*"):
            with suppress(FileNotFoundError):  # another process has just put its own in place
                if left.name in mine or time.time() - left.stat().st_mtime > IN_FLIGHT.total_seconds():
                    if left.is_dir():  # where DuckDB spilled
                        shutil.rmtree(left)
                    else:
                        left.unlink()


def keep_for_readers(connection: duckdb.DuckDBPyConnection) -> None:
    """Turn views of the marts into tables, and drop all schemas that are not for readers.

    Views over `marts_versions` and those of the schema `features` stay views: they name only tables of kept
    schemas.
    """
    # views name their tables without the file's name, so they can be read under any
    views = connection.execute(
        """
        select schema_name, view_name from duckdb_views()
        where
            database_name = current_database() and schema_name = 'marts' and not internal
            and view_name not in (
                select table_name from duckdb_tables()
                where database_name = current_database() and schema_name = 'marts_versions'
            )
        """
    ).fetchall()
    for schema, view in views:
        connection.execute(f"create table {schema}.{view}_table as select * from {schema}.{view}")
        connection.execute(f"drop view {schema}.{view}")
        connection.execute(f"alter table {schema}.{view}_table rename to {view}")
    schemas = connection.execute(
        """
        select schema_name from duckdb_schemas()
        where database_name = current_database() and not internal
        """
    ).fetchall()
    for (schema,) in schemas:
        if schema not in (*KEPT_SCHEMAS, "main"):
            connection.execute(f"drop schema {schema} cascade")


def _strip(
    path: Path, publication: _Publication, frames: Mapping[str, pd.DataFrame], settings: Settings
) -> int:
    """Turn the copy into a publication: add the row about it, its restatements and `frames`; drop the rest.

    Returns:
        How many customers it restates.
    """
    limits = {"memory_limit": settings.memory_limit, "threads": settings.threads}
    with (
        duckdb.connect(str(path), config=limits) as connection,
        last_publication(connection, settings.publication) as is_comparable,
    ):
        connection.begin()  # each statement by itself would wait for the disk
        connection.execute(
            """
            create or replace table marts.publication (
                as_of date not null, published_at timestamp not null, run_id varchar not null,
                gate_results json not null, gate_notes json not null,
                simulated boolean not null, shop varchar not null,
                definition varchar not null
            )
            """
        )
        connection.execute(
            """
            insert into marts.publication
            values (
                $as_of, $published_at, $run_id, $gate_results, $gate_notes, $simulated, $shop, $definition
            )
            """,
            publication,
        )
        for name, frame in frames.items():
            connection.register("frame", frame)
            connection.execute(f"create table marts.{name} as {FRAMES[name]} from frame")
            connection.unregister("frame")
        restated = restate(connection, is_comparable)
        keep_for_readers(connection)
        connection.commit()
        connection.execute("checkpoint")
    return restated
