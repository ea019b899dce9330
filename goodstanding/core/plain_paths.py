"""Gives any folder a path that no library takes for syntax.

dbt takes # in a path for the end of a URL, Airflow and SQLAlchemy take % for a placeholder. A folder with
such a sign in its path, or with a very long one, is reached by a symbolic link with a plain name instead,
which lies in the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SYNTAX = re.compile(r"[#%;&{}$*!|<>`\x00-\x1f\ud800-\udfff]")
# PostgreSQL, SQLite and the log files of Airflow add up to some 200 characters to the path of a home
LONGEST = 255


def plain(folder: Path) -> Path:
    """A path to the same folder that has no sign of any syntax; the path itself where it has none.

    Args:
        folder: absolute. It is made where a link needs it to be there.

    Raises:
        OSError: there is no place for the link, or the folder cannot be made.
    """
    if not SYNTAX.search(str(folder)) and len(str(folder)) <= LONGEST:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    fault: OSError = FileNotFoundError(2, "no folder for a link to it", str(folder))
    for place in _places():
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            if place.stat().st_uid != os.getuid():
                raise PermissionError(13, "another user's folder", str(place))
            link = place / name
            with suppress(FileExistsError):
                link.symlink_to(folder)
            if link.readlink() == folder:
                return link
        except OSError as error:
            fault = error
    raise fault


def _places() -> Iterator[Path]:
    """Where links may lie: the user's cache, or where that cannot be written, among temporary files."""
    with suppress(RuntimeError):  # nobody knows the user's home
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        yield from _plain_ones(cache / "goodstanding" / "homes")
    yield from _plain_ones(Path(tempfile.gettempdir()) / f"goodstanding-{os.getuid()}" / "homes")


def _plain_ones(path: Path) -> Iterator[Path]:
    if path.is_absolute() and not SYNTAX.search(str(path)):
        yield path
