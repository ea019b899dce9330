"""The law of replay, as a property: whatever happened, readers see what one clean build shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.laws.history import law_of_replay

# two halves, so that two processes share the work
HALVES = [pytest.param(n, marks=pytest.mark.xdist_group(f"histories {n}")) for n in (1, 2)]
HISTORIES = 60


@pytest.mark.timeout(1500)  # a failure is made short before it is shown
@pytest.mark.parametrize("half", HALVES)
def test_any_history_ends_as_one_clean_build_of_its_final_landing(half: int, tmp_path: Path) -> None:
    law_of_replay(half, HISTORIES // 2, tmp_path)
