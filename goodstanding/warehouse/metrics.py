"""Measures the steps of a run: seconds, memory, outcome and counts, kept in the table `ops.steps`."""

from __future__ import annotations

import json
import logging
import re
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from goodstanding.core.days import Days
from goodstanding.core.errors import GoodstandingError
from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import now_utc
from goodstanding.warehouse.files import machine_problem, open_intake
from goodstanding.warehouse.snapshot import keep_snapshot

log = logging.getLogger(__name__)


_PROCESS = Path("/proc/self")


def _forget_peak() -> None:
    """Reset Linux's peak of resident memory, so that each step has its own."""
    with suppress(OSError):
        (_PROCESS / "clear_refs").write_text("5")


def peak_memory_mb() -> float:
    """The highest resident memory of this process since the step began, in MB.

    Where the peak cannot be reset (not Linux, or not allowed), since the process began.
    """
    with suppress(OSError):
        peak = re.search(r"^VmHWM:\s*(\d+) kB", (_PROCESS / "status").read_text(), re.M)
        if peak:
            return int(peak[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def measured(settings: Settings, step: str, days: Days, run_id: str) -> Iterator[dict[str, object]]:
    """Time a step, and keep its seconds, peak memory, outcome and numbers as a row of `ops.steps`.

    Args:
        settings: of the home.
        step: its name, one of `goodstanding.core.vocabulary.STEPS`.
        days: the days that it is about.
        run_id: the run that it belongs to.

    Yields:
        An empty dict for what the step counts; it is kept as JSON.

    Raises:
        DiskProblem: instead of what Python or DuckDB raised when the disk could not be written.
        MemoryShort: instead of what DuckDB raised when its memory did not suffice.
    """
    started_at = now_utc()
    clock = time.perf_counter()
    _forget_peak()
    numbers: dict[str, object] = {}
    outcome = "done"
    try:
        yield numbers
    except BaseException as error:
        problem = None if isinstance(error, GoodstandingError) else machine_problem(error, settings)
        outcome = f"failed: {type(problem or error).__name__}"
        if problem:
            raise problem from None
        raise
    finally:
        seconds = time.perf_counter() - clock
        log.info("%s of %s: %s in %.2f s %s", step, days, outcome, seconds, json.dumps(numbers, default=str))
        try:
            with open_intake(settings) as connection:
                connection.execute(
                    "insert into ops.steps values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        run_id,
                        step,
                        days.first,
                        days.last,
                        started_at,
                        seconds,
                        peak_memory_mb(),
                        outcome,
                        json.dumps(numbers, default=str),
                    ],
                )
                keep_snapshot(settings, connection)
        except (GoodstandingError, duckdb.Error, OSError) as error:
            # the step's own outcome matters more than its record
            log.warning("the record of step %s could not be kept: %s", step, error)
