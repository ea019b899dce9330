"""Keeps the files of a home to their owner: 0600, folders 0700, whatever the umask of who starts a program.

A program calls `own_files` as its first step, so all that it and its libraries write is closed to others.
What an earlier version left open is closed by `close_home`. Only the way to PostgreSQL's data stays passable
under root, where PostgreSQL has to run as another user.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIVATE = 0o077
# What a home has at its top. A folder of the user's that serves as a home may hold more, which is left alone.
PARTS = (
    *("airflow", "api", "as_known", "checks", "dbt", "logs", "models", "models.key"),
    *("policy", "pseudonym.key", "published", "receipts", "simulated_landing", "warehouse", "workbench"),
)
_callers_umask: int | None = None


def own_files() -> None:
    """From now on, what this process and those that it starts write is for its owner alone."""
    global _callers_umask
    before = os.umask(PRIVATE)
    if _callers_umask is None:
        _callers_umask = before


@contextmanager
def files_of_the_caller() -> Iterator[None]:
    """Write as the caller's own umask says: for files outside the home, like a landing that others read."""
    if _callers_umask is None:
        yield
        return
    before = os.umask(_callers_umask)
    try:
        yield
    finally:
        os.umask(before)


def close_home(home: Path) -> int:
    """Close what others could read or write in a home, which is there; return how many files were open.

    A part whose top is closed is not looked through: it is closed last, when all in it is, and while it is
    closed nobody else gets to what lies in it. So this costs a look at a dozen entries.
    """
    parts = [path for path in (home / name for name in PARTS) if os.path.lexists(path)]
    closed = sum(_close_part(path, home) for path in parts if _is_open(path, home))
    if not {path.name for path in home.iterdir()} - set(PARTS):
        _close(home, home)
    return closed


def _close_part(part: Path, home: Path) -> int:
    closed = 0
    for folder, folders, files in os.walk(part, topdown=False):
        closed += sum(_close(Path(folder, name), home) for name in files)
        for name in folders:
            _close(Path(folder, name), home)
    is_file = part.is_file()
    return closed + int(_close(part, home) and is_file)


def _close(path: Path, home: Path) -> bool:
    """Take from others what they may do with a file or folder of this user's; whether there was anything."""
    # it is gone meanwhile, or lies on a disk that can only be read: others are not let in by this process
    with suppress(OSError):
        if _is_open(path, home):
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_barred(path, home))
            return True
    return False


def _is_open(path: Path, home: Path) -> bool:
    status = path.lstat()
    is_ours = status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode)
    return is_ours and bool(status.st_mode & _barred(path, home))


def _barred(path: Path, home: Path) -> int:
    """What others may not do; see `app.runtime.postgres` for whom the way to its data is open."""
    is_on_the_way = os.geteuid() == 0 and path in (home, home / "airflow")
    return PRIVATE & ~stat.S_IXOTH if is_on_the_way else PRIVATE
