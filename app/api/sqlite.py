"""One way to open the SQLite files under the home, which threads of many processes write at once."""

from __future__ import annotations

import fcntl
import sqlite3
from pathlib import Path
from typing import Literal

BUSY_SECONDS = 10


def open_sqlite(path: Path, schema: str, synchronous: Literal["normal", "off"]) -> sqlite3.Connection:
    """A connection in WAL mode for one thread; what it writes commits by itself unless it says begin.

    The set-up is done by one process at a time: SQLite does not wait for others while it turns to WAL, so of
    eight processes that met at a new file one in fifty was told that it is locked.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        connection.execute("pragma journal_mode = wal")
        connection.execute(f"pragma synchronous = {synchronous}")
        connection.executescript(schema)
    return connection
