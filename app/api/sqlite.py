"""Opens the SQLite files under the home, to which threads of many processes write at once."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Literal

from filelock import FileLock

BUSY_SECONDS = 10


def open_sqlite(path: Path, schema: str, synchronous: Literal["normal", "off"]) -> sqlite3.Connection:
    """A connection in WAL mode, for one thread; each statement commits by itself unless `begin` was executed.

    One process at a time sets the file up: SQLite does not wait for others while it switches to WAL, so of
    eight processes that opened a new file at once one in fifty got the error that it is locked.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(path.with_suffix(".lock")):
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        connection.execute("pragma journal_mode = wal")
        connection.execute(f"pragma synchronous = {synchronous}")
        connection.executescript(schema)
    return connection
