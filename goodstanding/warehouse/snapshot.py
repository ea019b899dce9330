"""A small copy of the ledger for readers, so that nobody but a run opens the working files.

Each step of a run puts it in place at its end, whole or not at all. Who reads it neither waits for a run nor
is waited for.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb

from goodstanding.core.durable import write_in_place
from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import now_utc
from goodstanding.warehouse.ledger import OpenDay, open_days

# Linux's struct flock: type, from where, start, length, process
_FLOCK = struct.Struct("hhqqi4x")


@dataclass(frozen=True)
class Snapshot:
    """The ledger as it was at the end of a step.

    Attributes:
        taken_at: UTC.
        waiting: the days, oldest first, whose content has not passed every gate.
    """

    taken_at: datetime
    waiting: list[OpenDay]


def keep_snapshot(settings: Settings, connection: duckdb.DuckDBPyConnection) -> None:
    """Put the present state of the ledger in place.

    Args:
        settings: of the home.
        connection: to the intake file.
    """
    waiting = [asdict(day) for day in open_days(connection)]
    content = {"taken_at": now_utc(), "waiting": waiting}
    write_in_place(_file(settings), json.dumps(content, default=lambda value: value.isoformat(), indent=1))


def read_snapshot(settings: Settings) -> Snapshot | None:
    """The newest snapshot of a home; None where no step has kept one, or what lies there is none."""
    try:
        content = json.loads(_file(settings).read_bytes())
        waiting = [
            OpenDay(
                **{
                    **day,
                    "day": date.fromisoformat(day["day"]),
                    "loaded_at": datetime.fromisoformat(day["loaded_at"]),
                }
            )
            for day in content["waiting"]
        ]
        return Snapshot(datetime.fromisoformat(content["taken_at"]), waiting)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def holder(path: Path) -> int | None:
    """The process that has a DuckDB file open for writing (0 for one of another container); None where nobody
    has, or it cannot be told.

    It asks the system who holds the lock and takes none. It is not for the process that has the file open:
    its own locks would end as this closes the file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        # who would stand in the way of a reader: a writer
        asked = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, process = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
        return None if kind == fcntl.F_UNLCK else process
    except (OSError, struct.error):
        return None
    finally:
        os.close(descriptor)


def _file(settings: Settings) -> Path:
    return settings.warehouse / "ledger.json"
