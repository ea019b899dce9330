"""Fills a landing so that it appears complete or not at all, for downloads and simulated shops."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from goodstanding.core.errors import DataProblem


@contextmanager
def new_landing(landing: Path) -> Iterator[tuple[Path, Path]]:
    """Two folders to work in: one that becomes `landing` when the block ends well, and one for scratch.

    Both lie beside the landing, so that the last step is one rename. Both are deleted if the block fails.

    Raises:
        DataProblem: the landing already holds something; it is left as it is.
    """
    landing = landing.resolve()  # where it is a link, its target is what gets replaced
    if landing.exists() and any(landing.iterdir()):
        raise DataProblem(f"{landing} already holds files; empty it first, or use it as it is")
    landing.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{landing.name}-", dir=landing.parent) as beside:
        filling, scratch = Path(beside, "filling"), Path(beside, "scratch")
        filling.mkdir()
        scratch.mkdir()
        yield filling, scratch
        filling.rename(landing)  # over an empty folder too
