"""Measuring a process counts the time and memory of that process only."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from bench.cost import Cost, cost_of, run_cost
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import Settings


def test_a_process_is_measured_by_its_wall_time_and_its_own_peak_memory() -> None:
    idle = cost_of([sys.executable, "-c", "print('done')"], dict(os.environ))
    code = "import time; block = bytearray(200 << 20); time.sleep(0.3)"
    busy = cost_of([sys.executable, "-c", code], dict(os.environ))
    assert idle.output == "done\n"
    assert idle.seconds < busy.seconds
    assert busy.seconds > 0.3
    assert 200 <= busy.peak_mb < 300
    assert 0 < busy.cpu_seconds < busy.seconds


def test_the_memory_of_the_measuring_process_is_not_counted() -> None:
    block = bytearray(400 << 20)
    idle = cost_of([sys.executable, "-c", "pass"], dict(os.environ))
    assert idle.peak_mb < len(block) >> 20


def test_a_process_that_fails_gives_no_figure() -> None:
    with pytest.raises(DataProblem, match="ended with 3: half a result\nno such landing"):
        code = "import sys; print('half a result'); print('no such landing', file=sys.stderr); sys.exit(3)"
        cost_of([sys.executable, "-c", code], dict(os.environ))


def test_a_missing_program_gives_no_figure() -> None:
    with pytest.raises(DataProblem, match="/no/such/program could not be started"):
        cost_of(["/no/such/program"], dict(os.environ))


def test_the_peak_memory_of_a_run_is_the_highest_of_its_steps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    report = {"steps": [{"peak_mb": 700.0}, {"peak_mb": 2741.4}, {"peak_mb": 913.0}]}
    ended = Cost(seconds=1, cpu_seconds=1, peak_mb=1000, output=json.dumps(report))
    monkeypatch.setattr("bench.cost.cost_of", lambda command, environment: ended)
    assert run_cost(Settings(home=tmp_path, _env_file=None)).peak_mb == 2741
