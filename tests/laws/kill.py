"""Killing a run: a child process works on a home and is ended by SIGKILL at a chosen write.

The parent forks after all imports, so a case costs about what the killed part of the run costs. A write is a
call that may change a file: a statement to DuckDB other than a query (`detach` writes the checkpoint of a
file), the close of a connection, or one of `SYSTEM_CALLS`. The product does not know of this.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

MOMENTS = ("before", "inside", "after")
DUCKDB_CALLS = ("execute", "executemany", "close", "__exit__")
SYSTEM_CALLS = (
    (shutil, "copyfile"),
    (shutil, "rmtree"),
    (os, "replace"),
    (os, "fsync"),
    (os, "pwrite"),
    (os, "unlink"),
    (os, "link"),
)
# statements that change no file: a kill there equals one at the write before or after
READS = ("", "select", "with", "from", "pragma", "set", "describe", "show", "attach", "begin")
SAME_KIND = {"alter": "create", "drop": "create", "update": "insert", "delete": "insert"}
# the layout of DuckDB's files: three headers, then blocks
HEADERS_BYTES, BLOCK_BYTES = 3 * 4096, 256 * 1024
# long enough for any case on a busy machine: a child that takes longer hangs, which is a failure
PATIENCE_SECONDS = 120


@dataclass
class Writes:
    """Counts the writes of this process, and ends it at one of them."""

    at: int | None = None
    moment: str = "before"
    delay: float = 0.0
    made: list[tuple[str, float]] = field(default_factory=list)
    """Name (of a statement, its verb) and seconds of every write so far."""

    def wrap(self, owner: Any, name: str) -> None:
        """Count every call of `owner.name` as a write."""
        call = getattr(owner, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            verb = _verb(arguments[1]) if name.startswith("execute") and len(arguments) > 1 else name
            if verb in READS:
                return call(*arguments, **named)
            is_chosen = len(self.made) == self.at
            self.made.append((verb, 0.0))
            place, started = len(self.made) - 1, time.perf_counter()
            if is_chosen and self.moment == "before":
                kill_this_process()
            if is_chosen and self.moment == "inside":
                signal.setitimer(signal.ITIMER_REAL, max(self.delay, 1e-6))
            result = call(*arguments, **named)
            if is_chosen:
                kill_this_process()
            if place < len(self.made):  # not if `forget` was called meanwhile
                self.made[place] = (verb, time.perf_counter() - started)
            return result

        setattr(owner, name, counted)

    def forget(self) -> None:
        """Count from 0 again."""
        self.made.clear()

    def wrap_all(self) -> None:
        """Count every write from here on."""
        connect, execute = duckdb.connect, duckdb.DuckDBPyConnection.execute

        def connected(*arguments: Any, **named: Any) -> Any:
            # DuckDB looks for a pandas frame among its caller's variables, and the caller is `counted` now
            connection = connect(*arguments, **named)
            execute(connection, "set global python_scan_all_frames = true")
            return connection

        duckdb.connect = connected
        for name in DUCKDB_CALLS:
            self.wrap(duckdb.DuckDBPyConnection, name)
        for owner, name in SYSTEM_CALLS:
            self.wrap(owner, name)


def _verb(sql: Any) -> str:
    """The first word of a statement after comments; all changes of the catalog or of rows share one word."""
    words = re.sub(r"/\*(.|\n)*?\*/|--.*", " ", str(sql)).split()
    verb = words[0].lower() if words else ""
    return SAME_KIND.get(verb, verb)


def kill_this_process() -> None:
    """End this process at once, without any clean-up."""
    os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: Callable[[], None]) -> bool:
    """Run `work` in a forked child; returns whether it was killed.

    Raises:
        AssertionError: the work raised, or did not end.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 1
        # the default action of the alarm ends a process as SIGKILL does: none of its code runs
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    until = time.monotonic() + PATIENCE_SECONDS
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise AssertionError(f"the child did not end within {PATIENCE_SECONDS} s")
        time.sleep(0.005)
    if os.WIFSIGNALED(ended[1]):
        assert os.WTERMSIG(ended[1]) in (signal.SIGKILL, signal.SIGALRM), ended
        return True
    assert os.WEXITSTATUS(ended[1]) == 0, "the child failed; its traceback is in the captured output"
    return False


def tear(folder: Path) -> int:
    """Damage the working files in a folder as badly as a kill inside the write of a block may.

    The killed process may have been writing any block of metadata, unless its checkpoint had ended or had not
    been prepared: then the file's header differs from that of the copies.

    Returns:
        How many blocks were torn.
    """
    torn = 0
    for path in sorted(folder.glob("*.duckdb")):
        copies, log = path.with_name(f"{path.name}.metadata"), path.with_name(f"{path.name}.wal")
        if not (copies.exists() and log.exists()):
            continue
        kept = copies.read_bytes()
        with path.open("r+b") as file:
            if file.read(HEADERS_BYTES) != kept[:HEADERS_BYTES]:
                continue
            for at in range(HEADERS_BYTES, len(kept), 8 + BLOCK_BYTES):
                (number,) = struct.unpack_from("<Q", kept, at)
                file.seek(HEADERS_BYTES + number * BLOCK_BYTES)
                file.write(b"torn" * 1024)
                torn += 1
    return torn
