"""Files that appear whole or not at all, whatever ends the process or the power."""

from __future__ import annotations

import os
from pathlib import Path


def put_in_place(draft: Path, path: Path) -> None:
    """Show a finished file under its name, in one step, once the disk holds it."""
    _sync(draft)
    os.replace(draft, path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Have the disk hold it before it is shown: a power cut must not leave half a file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
