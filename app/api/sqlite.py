"""Opens the SQLite files under the home, to which threads of many processes write at once.

A file that is moved, deleted or replaced while a process has it open is noticed: SQLite itself would go on
writing into what no path leads to any longer.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock

from goodstanding.core.errors import DataProblem

BUSY_SECONDS = 10
Synchronous = Literal["normal", "off"]
# What was committed last is in the second; both are there for as long as one connection is open.
PARTS = ("", "-wal")


class SqliteFile:
    """A SQLite file with one connection per thread, opened when a thread first asks for it."""

    def __init__(self, path: Path, schema: str, synchronous: Synchronous) -> None:
        self.path, self._schema, self._synchronous = path, schema, synchronous
        self._of_thread = threading.local()
        self._opening, self._writing = threading.Lock(), threading.Lock()
        # what tells the file from another with its name
        self.identity: str | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection of this thread; see `open_sqlite`.

        Raises:
            DataProblem: `require_in_place`.
        """
        self.require_in_place()
        if not hasattr(self._of_thread, "connection"):
            with self._opening:
                self._of_thread.connection = open_sqlite(self.path, self._schema, self._synchronous)
                # all threads write to the file that the first one opened
                self.identity = self.identity or self._identity()
            self.require_in_place()
        connection: sqlite3.Connection = self._of_thread.connection
        return connection

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let one thread of this process write at a time: SQLite lets others try again only after a pause.

        Raises:
            sqlite3.OperationalError: the file stays locked.
        """
        if not self._writing.acquire(timeout=BUSY_SECONDS):
            raise sqlite3.OperationalError("database is locked")
        try:
            yield
        finally:
            self._writing.release()

    def require_in_place(self) -> None:
        """Refuse to go on where the path leads to another file than the first that was opened.

        Raises:
            DataProblem: it was moved, deleted or replaced.
        """
        if self.identity is not None and self._identity() != self.identity:
            raise DataProblem(
                f"{self.path.name} was moved, deleted or replaced while it was in use: nothing is written; "
                "put the file back, or start again with the one that is there"
            )

    def _identity(self) -> str:
        return " ".join(_inode(f"{self.path}{part}") for part in PARTS)


def _inode(path: str) -> str:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    return f"{status.st_dev}:{status.st_ino}"


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
