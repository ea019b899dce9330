"""Every step records its time, memory and numbers, whether it succeeded or failed."""

from __future__ import annotations

import json
import logging
from datetime import date
from pathlib import Path

import pytest

from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import Settings
from goodstanding.warehouse.files import INTAKE, open_intake
from goodstanding.warehouse.metrics import measured, peak_memory_mb

DAYS = Days(date(2011, 1, 4), date(2011, 1, 5))


def records(settings: Settings) -> list[tuple[object, ...]]:
    with open_intake(settings) as connection:
        return connection.execute(
            "select run_id, step, first_day, last_day, outcome, numbers, seconds, peak_mb from ops.steps"
        ).fetchall()


def test_a_step_leaves_its_seconds_memory_and_numbers(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, _env_file=None)
    with measured(settings, "ingest", DAYS, "a run") as numbers:
        numbers["lines"] = 7
    [(run_id, step, first, last, outcome, kept, seconds, peak)] = records(settings)
    assert (run_id, step, first, last, outcome) == ("a run", "ingest", DAYS.first, DAYS.last, "done")
    assert json.loads(str(kept)) == {"lines": 7}
    assert isinstance(seconds, float) and 0 <= seconds < 5
    # in MB: more than a bare interpreter, less than all the memory of a small machine
    assert isinstance(peak, float) and 10 < peak <= peak_memory_mb() < 8000


def test_a_failed_step_is_recorded_with_its_error_and_the_error_is_raised(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, _env_file=None)
    with pytest.raises(DataProblem), measured(settings, "transform", DAYS, "a run"):
        raise DataProblem("no good")
    assert [row[4] for row in records(settings)] == ["failed: DataProblem"]


def test_a_record_that_cannot_be_kept_does_not_hide_the_outcome(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(home=tmp_path, _env_file=None)
    settings.warehouse.mkdir()
    (settings.warehouse / INTAKE).write_bytes(b"no database" * 1000)
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(ZeroDivisionError),
        measured(settings, "score", DAYS, "a run"),
    ):
        raise ZeroDivisionError
    assert f"the record of step score could not be kept: {settings.warehouse / INTAKE}" in caplog.text


def test_each_step_has_a_peak_of_its_own(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, _env_file=None)
    with measured(settings, "large", DAYS, "a run"):
        large = bytearray(400_000_000)
        assert large[::4096].count(0) > 0  # every page is touched
        del large
    with measured(settings, "small", DAYS, "a run"):
        pass
    peaks = {row[1]: row[7] for row in records(settings)}
    assert peaks["large"] > peaks["small"] + 300
