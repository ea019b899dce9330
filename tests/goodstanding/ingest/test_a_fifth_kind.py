"""A new kind of source needs one entry in `goodstanding.shops.kinds.KINDS`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from goodstanding.core.settings import PROJECT
from goodstanding.shops.kinds import KINDS
from goodstanding.warehouse.dbt_sources import SOURCES, sources_of

STORY = Path(__file__).with_name("a_fifth_kind.py")


def test_a_kind_that_is_added_to_the_list_is_mapped_taken_in_kept_and_judged(tmp_path: Path) -> None:
    """In its own process, where the list has the kind before any other module is imported."""
    done = subprocess.run(
        [sys.executable, str(STORY), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_dbt_has_a_source_for_every_kind() -> None:
    assert SOURCES.read_text() == sources_of(KINDS), "run python -m goodstanding.warehouse.dbt_sources"
