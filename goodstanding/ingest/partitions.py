"""Replaces the rows of some days in `raw` by what the files of these days hold now.

All of it happens inside the transaction that `goodstanding.ingest.load` opens. The lines are staged before,
one name for each kind (`goodstanding.ingest.stage`). In order:

1. `partitions_staged.sql` counts what the files and days of the part will hold;
2. `partitions_changes.sql` compares that with the partitions as they are and notes in `raw.changes` what the
   transform has to recompute;
3. `partitions_versions.sql` ends the versions of days and files that are no longer true, and keeps the
   lines of the ended files in `raw.superseded_<table>`;
4. `partitions_swap.sql` replaces the partitions.

The notices of the part's files replace those of its days (`goodstanding.warehouse.notices`).

At the end it checks that no line of any file is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb
import pandas as pd

from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem
from goodstanding.core.sql import literal, rendered
from goodstanding.ingest.read import File
from goodstanding.shops.kinds import REJECTED, Kind
from goodstanding.warehouse.notices import notice, replace_notices

STAGED, CHANGES, VERSIONS, SWAP = (
    Path(__file__).with_name(f"partitions_{name}.sql") for name in ("staged", "changes", "versions", "swap")
)


@dataclass(frozen=True)
class Part:
    """A range of days whose partitions are replaced together.

    Attributes:
        source: the shop's name, as every row carries it.
        days: the range; a day without a file gets an empty partition.
        files: every file of these days, in the order of days; those with a `note` are listed and not read.
        kinds: the kinds of lines that the shop maps or has mapped before.
        simulated: whether the landing is a made-up shop's.
        loaded_at: what the clock showed at the ingest (UTC).
        known_at: from when on this content is known (UTC): `loaded_at`, or later if the clock has gone back.
        run_id: the run that takes it in.
        beside: files of the days before and after, which hold lines of the range.
    """

    source: str
    days: Days
    files: Sequence[File]
    kinds: Sequence[Kind]
    simulated: bool
    loaded_at: datetime
    known_at: datetime
    run_id: str
    beside: Sequence[File] = ()


def replace_partitions(connection: duckdb.DuckDBPyConnection, part: Part) -> None:
    """Replace the partitions of a part by its staged lines, and note what changed.

    Raises:
        DataProblem: the lines of a file do not add up (see `_check_nothing_lost`).
    """
    _run(connection, part, STAGED, CHANGES, VERSIONS, SWAP)
    notice(connection, (one for file in part.files for one in file.notices))
    replace_notices(connection, part.source, part.days)
    _check_nothing_lost(connection, part)


def differing_days(connection: duckdb.DuckDBPyConnection, part: Part) -> list[date]:
    """The days of a part whose staged lines say another thing than those held; nothing is replaced."""
    _run(connection, part, STAGED)
    rows = connection.execute(
        """
        select event_day from staged_days inner join raw.days using (source, event_day)
        where staged_days.version <> days.version order by event_day
        """
    ).fetchall()
    return [day for (day,) in rows]


def _run(connection: duckdb.DuckDBPyConnection, part: Part, *templates: Path) -> None:
    connection.register("found_files", _found_files((*part.files, *part.beside)))
    for template in templates:
        script = rendered(
            template,
            kinds=part.kinds,
            rejected=", ".join(REJECTED),
            source=literal(part.source),
            first=literal(part.days.first),
            last=literal(part.days.last),
            simulated=literal(part.simulated),
            now=literal(part.loaded_at),
            known_at=literal(part.known_at),
            run_id=literal(part.run_id),
        )
        # one by one, so that the law of crashes can kill a run between any two of them
        for statement in connection.extract_statements(script):
            connection.execute(statement.query)
    connection.unregister("found_files")


def _found_files(files: Sequence[File]) -> pd.DataFrame:
    """One row per file: event_day (ISO), file_name, file_hash, bytes, lines, note."""
    files_found = pd.DataFrame(
        [
            (file.day, file.name, file.hash, file.bytes, file.records if file.note is None else 0, file.note)
            for file in files
        ],
        columns=["event_day", "file_name", "file_hash", "bytes", "lines", "note"],
        dtype=object,
    )
    files_found["event_day"] = files_found["event_day"].astype(str)
    return files_found


def _check_nothing_lost(connection: duckdb.DuckDBPyConnection, part: Part) -> None:
    """Check file by file: lines counted in the file = rows accepted + rows set aside.

    Raises:
        DataProblem: a file does not add up. This is a fault of goodstanding, not of the file.
    """
    odd = connection.execute(
        """
        select file_name, lines, accepted, rejected from raw.files
        where source = ? and event_day between ? and ? and lines <> accepted + rejected
        order by event_day, file_name limit 1
        """,
        [part.source, part.days.first, part.days.last],
    ).fetchone()
    if odd:
        raise DataProblem(
            f"{odd[0]} has {odd[1]} lines, but {odd[2]} were accepted and {odd[3]} set aside; nothing was "
            "changed. Please report this file's shape as a fault of goodstanding"
        )
