"""The version of the code. Models, receipts and publications record it, to say which code made them."""

from __future__ import annotations

import hashlib
import subprocess
from functools import lru_cache
from importlib.metadata import version

from goodstanding.core.settings import PROJECT


@lru_cache(maxsize=1)
def code_version() -> str:
    """The git commit of this project (with -dirty when files differ from it), else the project's version."""
    if (PROJECT / ".git").exists():
        try:
            return subprocess.run(
                ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
                capture_output=True,
                text=True,
                check=True,
                timeout=10,
            ).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            # no git here, or a checkout that belongs to somebody else: the version still says which code
            pass
    return version("goodstanding")


@lru_cache(maxsize=16)
def folder_version(folder: str) -> str:
    """A hash of the Python and SQL files of one folder of the project, like `goodstanding/decisions`."""
    digest = hashlib.sha256()
    for path in sorted([*(PROJECT / folder).glob("*.py"), *(PROJECT / folder).glob("*.sql")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
