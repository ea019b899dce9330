"""Measure what a long history costs: one more day after one year of a shop, and after ten years of it.

    GOODSTANDING_LANDING=... python -m bench.growth

Part of `make bench`. The longer history has ten times the days and, for each customer, ten times the orders;
the number of customers is the same. The cost of a day should depend on the day and its customers alone.
"""

from __future__ import annotations

import json
import tempfile
from datetime import timedelta
from pathlib import Path

import duckdb

from bench.cost import run_days
from bench.grown import write_mapping, write_years
from bench.results import AfterYears, Growth
from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import Settings, settings
from goodstanding.ingest.landed import days_in_landing
from goodstanding.shops.mapping import load_shop

SHORT, LONG = 1, 10
# the first of the days includes imports and what a process does once
MEASURED_DAYS = 7


def measure_growth(landing: Path, folder: Path) -> Growth:
    """Seconds of a day and peak memory after a short and after a long history, and their ratios.

    Args:
        landing: the real year's day files.
        folder: for landings and homes; about 2 GB.
    """
    short, long = (_after(landing, folder / f"{years}", years) for years in (SHORT, LONG))
    return {
        "after_1_year": short,
        "after_10_years": long,
        "ratios": {
            "seconds": round(long["seconds"] / short["seconds"], 2),
            "peak_mb": round(long["peak_mb"] / short["peak_mb"], 2),
        },
    }


def _after(landing: Path, folder: Path, years: int) -> AfterYears:
    write_years(landing, folder / "landing", years)
    home = Settings(home=folder / "home", landing=folder / "landing", shop=str(write_mapping(folder)))
    span = days_in_landing(home, load_shop(home))
    if span is None:
        raise DataProblem(f"{landing} holds no day files in the public format")
    border = span.last - timedelta(days=MEASURED_DAYS)
    run_days(home, Days(span.first, border))
    cost = run_days(home, Days(border + timedelta(days=1), span.last), "--daily")
    with duckdb.connect(str(home.warehouse / "intake.duckdb"), read_only=True) as connection:
        steps = dict(
            connection.execute(
                """
                select step, round(median(seconds), 3) from ops.steps
                where first_day > ? + 1 and first_day in (select event_day from raw.files)
                group by step order by min(started_at)
                """,
                [border],
            ).fetchall()
        )
        row = connection.execute("select sum(lines) from raw.files").fetchone()
    return {
        "lines": int(row[0]) if row else 0,
        "seconds": round(sum(steps.values()), 2),
        "peak_mb": cost.peak_mb,
        "steps": steps,
    }


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="goodstanding-growth-") as folder:
        print(json.dumps(measure_growth(settings().landing_folder, Path(folder)), indent=2))


if __name__ == "__main__":
    main()
