"""Writes a file so that it appears complete or not at all, even if the process or the power ends."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp


def put_in_place(draft: Path, path: Path) -> None:
    """Rename a finished file to its final name in one step, after the disk holds it."""
    _sync(draft)
    os.replace(draft, path)
    _sync(path.parent)


def write_in_place(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Write a file beside its place and put it there; its folder is made where it is missing.

    Args:
        mode: the permissions of the file, before its first byte is written; by default for its owner alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = mkstemp(prefix=f".{path.name}.", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content.encode() if isinstance(content, str) else content)
        put_in_place(draft, path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def copy_in_place(source: Path, path: Path) -> None:
    """Copy a file beside its new place and put it there; the folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        shutil.copyfile(source, draft)
        put_in_place(draft, path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def _sync(path: Path) -> None:
    """Wait until the disk holds it: renamed before that, the file could be cut short after a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
