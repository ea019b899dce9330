"""The law of replay as a property: after any history, readers see the result of one clean build."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.laws.history import History, Interleave, RunRange, Shop, check, law_of_replay

# two halves, so that two processes share the work
HALVES = (1, 2)
HISTORIES = 60


@pytest.mark.timeout(1500)  # a failing history is shortened before it is shown
@pytest.mark.parametrize("half", HALVES)
def test_any_history_ends_as_one_clean_build_of_its_final_landing(half: int, tmp_path: Path) -> None:
    law_of_replay(half, HISTORIES // 2, tmp_path)


def test_the_law_finds_a_planted_fault_and_its_script_repeats_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("delete from raw.changes; update raw.days set transformed_version = version")

    # the fault: a transform also drops changes that wait for their gate, here day 0 in the run of day 1
    monkeypatch.setattr("pipeline.transform.settle_changes", forget)
    history = History(Shop(seed=1), (Interleave(((0, 0), (1, 1)), (0, 1, 1, 1, 0)), RunRange(2, 4)))
    with pytest.raises(AssertionError) as raised:
        check(history, tmp_path)
    message = str(raised.value)
    script = message[message.index("# repeats it") :]
    repeated: list[History] = []
    monkeypatch.setattr("tests.laws.history.repeat", repeated.append)
    exec(script, {})
    assert repeated == [history]
