"""Opens the SQLite files under the home, to which threads of many processes write at once."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Literal

from filelock import FileLock

BUSY_SECONDS = 10
Synchronous = Literal["normal", "off"]


class SqliteFile:
    """A SQLite file with one connection per thread, opened when a thread first asks for it."""

    def __init__(self, path: Path, schema: str, synchronous: Synchronous) -> None:
        self.path, self._schema, self._synchronous = path, schema, synchronous
        self._of_thread = threading.local()

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection of this thread; see `open_sqlite`."""
        if not hasattr(self._of_thread, "connection"):
            self._of_thread.connection = open_sqlite(self.path, self._schema, self._synchronous)
        connection: sqlite3.Connection = self._of_thread.connection
        return connection


def open_sqlite(path: Path, schema: str, synchronous: Synchronous) -> sqlite3.Connection:
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
