"""Measure the cost of many customers: load a year that has 20 or 200 times the customers of the real one.

    GOODSTANDING_LANDING=... python -m bench.scale --times 20
    GOODSTANDING_LANDING=... python -m bench.scale --times 200 --memory 6GB

Not part of `make bench`: it needs minutes, and 5 GB of disk for each 20 times. Before any ratio is computed,
the published numbers are compared with those of a plain script on the same landing, and these with `times`
those of the real year: the copies of the year do not affect each other. Snapshots are of month ends only.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from bench.cost import Cost, cost_of, run_days
from bench.grown import write_copies, write_parquet_mapping
from bench.readme import keep_apart
from bench.results import Numbers, ScaleFigures
from bench.run import machine, published_numbers, require_same
from bench.year import TO_CLASSES
from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem, GoodstandingError
from goodstanding.core.settings import Settings, settings
from goodstanding.ingest.landed import days_in_landing
from goodstanding.shops.mapping import load_shop

# they depend on quantiles, which may interpolate between other customers once there are more of them
NOT_TIMES = ("classes", "borders")
SAMPLE_SECONDS = 0.2
# nodes of dbt named one by one; the others took less than all of these
SLOWEST = 12


def measure_scale(landing: Path, folder: Path, times: int, memory: str) -> ScaleFigures:
    """Files to classes by the product and by the plain script: seconds, peak memory, most disk at a time.

    Args:
        landing: the real year's day files.
        folder: for a landing of `times` the lines and for a home.
        times: how many customers there are for each real one.
        memory: what DuckDB may use, in both; Python and what a result holds come on top.

    Raises:
        DataProblem: a run failed, or the numbers differ from the script's, or are not `times` the year's.
    """
    write_copies(landing, folder / "landing", times)
    spill = folder / "peer_spill"
    with most_disk(spill) as peer_disk:
        peer = plain_script(folder / "landing", memory, str(spill))
    numbers = json.loads(peer.output)
    require_times(json.loads(plain_script(landing).output), numbers, times)
    home = Settings(
        home=folder / "home",
        landing=folder / "landing",
        shop=str(write_parquet_mapping(folder)),
        as_of_days=1,
        memory_limit=memory,
    )
    days = days_in_landing(home, load_shop(home))
    if days is None:
        raise DataProblem(f"{landing} holds no day files in the public format")
    with most_disk(home.home) as disk, most_disk(home.warehouse / "spill") as spilled:
        run = run_days(home, Days(days.first, days.last))
    load = round(os.getloadavg()[2], 1)
    require_same(published_numbers(home), numbers, f"{times} times the year")
    steps, nodes = _steps_and_nodes(home)
    seconds = round(sum(steps[step] for step in TO_CLASSES), 1)
    return {
        "machine": machine(),
        "times": times,
        "lines": numbers["lines"],
        "memory_limit": memory,
        # the mean of the last quarter of an hour, for a run alone between 1 and 2
        "load": load,
        "seconds": seconds,
        "ratio_to_duckdb_peer": round(seconds / numbers["seconds"], 2),
        "run": {**run.figures(), "disk_mb": disk(), "spill_mb": spilled()},
        "duckdb_peer": {
            **peer.figures(),
            "seconds_without_imports": numbers["seconds"],
            "spill_mb": peer_disk(),
        },
        "steps": steps,
        "slowest_nodes": nodes,
    }


def plain_script(landing: Path, *limits: str) -> Cost:
    """Run the DuckDB peer on a landing; the limits are its memory and the folder for what exceeds it."""
    return cost_of([sys.executable, "-m", "bench.peer_duckdb", str(landing), *limits], dict(os.environ))


def require_times(year: Numbers, numbers: Numbers, times: int) -> None:
    """Check that every count and amount is `times` that of the year.

    Raises:
        DataProblem: names those that differ.
    """
    expected = {
        key: _times(year[key], times) for key in year if key not in (*NOT_TIMES, "seconds", "peak_mb")
    }
    require_same({key: numbers[key] for key in expected}, expected, f"a landing of {times} times the year")


def _times(number: Any, times: int) -> Any:
    if isinstance(number, dict):
        return {key: count * times for key, count in number.items()}
    # an amount is written as a decimal
    return str(Decimal(number) * times) if isinstance(number, str) else number * times


@contextmanager
def most_disk(folder: Path) -> Iterator[Callable[[], int]]:
    """Look at a folder again and again while the block runs; gives the most MB that it held at a time."""
    most = 0
    over = threading.Event()

    def look() -> None:
        nonlocal most
        while not over.wait(SAMPLE_SECONDS):
            most = max(most, _size(folder))

    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    try:
        yield lambda: round(most / 1e6)
    finally:
        over.set()
        watch.join()


def _size(folder: Path) -> int:
    """What the files of a folder take, also of one whose files come and go meanwhile."""
    size = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                # blocks, not length: a spilled file has holes
                size += os.lstat(os.path.join(path, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return size


def _steps_and_nodes(home: Settings) -> tuple[dict[str, Any], dict[str, float]]:
    with duckdb.connect(str(home.warehouse / "intake.duckdb"), read_only=True) as connection:
        steps = connection.execute(
            "select step, round(seconds, 2), round(peak_mb) from ops.steps order by started_at"
        ).fetchall()
        nodes = connection.execute(
            "select node, round(seconds, 2) from ops.dbt_results order by seconds desc, node limit ?",
            [SLOWEST],
        ).fetchall()
    return {step: seconds for step, seconds, _ in steps}, dict(nodes)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.scale")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--memory", default="2GB", help="for DuckDB")
    parser.add_argument("--folder", type=Path, help="kept; a temporary one unless said")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="goodstanding-scale-") as temporary:
        folder = options.folder or Path(temporary)
        try:
            result = measure_scale(settings().landing_folder, folder, options.times, options.memory)
        except GoodstandingError as error:
            sys.exit(f"bench: {error}")
    keep_apart(f"scale_{options.times}", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
