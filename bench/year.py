"""Measure the real year as one run and as a run per day, and check that both publish the same rows.

    GOODSTANDING_LANDING=... python -m bench.year

`make bench` measures the year at once; the single days take a quarter of an hour, so they are measured only
here, and kept in `bench/results.json` beside its figures.
"""

from __future__ import annotations

import json
import secrets
import sys
import tempfile
from pathlib import Path

import duckdb
from pydantic import SecretStr

from bench.cost import run_days
from bench.readme import keep_apart
from bench.results import RangeCost, SingleDays, Year
from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem, GoodstandingError
from goodstanding.core.settings import Settings, settings
from goodstanding.ingest.landed import days_in_landing
from goodstanding.shops.mapping import load_shop

TO_CLASSES = ("ingest", "check_raw", "transform")
# tables about the runs, not about the shop
OF_THE_RUNS = ("publication", "restatements")


def measure_range(landing: Path, folder: Path, peer_seconds: float) -> Year:
    """Run the landing as one range, with a snapshot of every day and, as the peers do it, with one.

    Args:
        landing: the real year's day files.
        folder: for two homes.
        peer_seconds: what the plain DuckDB script takes from files to classes, as of one day.
    """
    every_day = Settings(home=folder / "range", landing=landing)
    one_as_of = Settings(home=folder / "one_as_of", landing=landing, as_of_days=1)
    days = _days(every_day)
    one_range = _range_cost(every_day, days)
    one_range_one_as_of = _range_cost(one_as_of, days)
    return {
        "one_range": one_range,
        "one_range_one_as_of": one_range_one_as_of,
        "days": len(days),
        "ratio_to_duckdb_peer": round(one_range_one_as_of["seconds"] / peer_seconds, 1),
    }


def measure_single_days(landing: Path, folder: Path) -> SingleDays:
    """Run the landing as one run a day in one process.

    Raises:
        DataProblem: a run failed, or the single days publish other rows than one range.
    """
    # one key, so that the same customers have the same pseudonyms in both homes
    key = SecretStr(secrets.token_hex(32))
    whole = Settings(home=folder / "range", landing=landing, pseudonym_key=key)
    single = Settings(home=folder / "single", landing=landing, pseudonym_key=key)
    days = _days(whole)
    run_days(whole, days)
    figures = run_days(single, days, "--daily").figures()
    require_equal(whole, single)
    return {
        "seconds": figures["seconds"],
        "cpu_seconds": figures["cpu_seconds"],
        "peak_mb": figures["peak_mb"],
        "days": len(days),
        "seconds_per_day": round(figures["seconds"] / len(days), 2),
    }


def _days(home: Settings) -> Days:
    days = days_in_landing(home, load_shop(home))
    if days is None:
        raise DataProblem(f"{home.landing_folder} holds no day files")
    return days


def _range_cost(home: Settings, days: Days) -> RangeCost:
    """Seconds from files to classes and of each step, and the peak of memory, of one run over a range."""
    cost = run_days(home, days)
    with duckdb.connect(str(home.warehouse / "intake.duckdb"), read_only=True) as connection:
        steps = dict(
            connection.execute("select step, round(seconds, 2) from ops.steps order by started_at").fetchall()
        )
    to_classes = round(sum(steps[step] for step in TO_CLASSES), 2)
    return {"seconds": to_classes, "peak_mb": cost.peak_mb, "steps": steps}


def require_equal(one: Settings, other: Settings) -> None:
    """Compare the published tables of two homes under one key, row for row.

    Raises:
        DataProblem: names the tables that differ.
    """
    with duckdb.connect() as connection:
        for name, home in (("one", one), ("other", other)):
            connection.execute(f"attach '{home.published / 'current.duckdb'}' as {name} (read_only)")
        tables = connection.execute(
            "select table_name from information_schema.tables "
            "where table_catalog = 'one' and table_schema = 'marts'"
        ).fetchall()
        differing = [
            table for (table,) in tables if table not in OF_THE_RUNS and _differ(connection, f"marts.{table}")
        ]
    if differing or not tables:
        raise DataProblem(f"{one.home} and {other.home} publish other rows: {', '.join(differing)}")


def _differ(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    row = connection.execute(
        f"""
        select count(*) from (
            (from one.{table} except all from other.{table})
            union all
            (from other.{table} except all from one.{table})
        )
        """
    ).fetchone()
    return bool(row != (0,))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="goodstanding-year-") as folder:
        try:
            result = measure_single_days(settings().landing_folder, Path(folder))
        except GoodstandingError as error:
            sys.exit(f"bench: {error}")
    keep_apart("single_days", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
