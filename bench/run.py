"""The benchmark: measure the cost of the real year and of one more day, and of two plain scripts (peers).

    make bench        or: GOODSTANDING_LANDING=... python -m bench.run

Each figure is the wall time and the peak resident memory of a child process, start-up and imports included,
in a home that is thrown away. One more day is measured as what each further day adds to a process that runs
several, Airflow's share included, and as how long a run of a backfill takes under the scheduler. Before any
ratio is computed, the numbers that the product published are compared with the peers': ratios of different
work would mean nothing.

It prints a table and writes `bench/results.json`, which the docs quote. Nothing else should run on the
machine meanwhile.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from app.runtime.airflow_api import AirflowApi, ApiError, DagRun, TaskInstance
from app.runtime.airflow_env import admin_password
from bench.cost import GOODSTANDING, Figures, cost_of, environment_of, run_cost, run_days
from bench.growth import measure_growth
from bench.readme import RESULTS, write_results
from bench.results import DayCosts, Machine, Numbers, PeerFigures, ProductFigures, Results, UnderScheduler
from bench.year import measure_range
from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem, GoodstandingError
from goodstanding.core.settings import PROJECT, Settings, settings
from goodstanding.core.vocabulary import moment
from goodstanding.ingest.landed import days_in_landing
from goodstanding.shops.mapping import load_shop
from goodstanding.warehouse.files import open_published

PEERS = ("duckdb", "pandas")
PEER_RUNS = 3
# The last trading days of the landing: so many by the scheduler, one by a process, so many by another.
SCHEDULED, TOGETHER = 5, 4
SCHEDULER_SECONDS = 300
BUSY = 0.3
"""Load average above which other work disturbs the figures."""


def measure_peers(landing: Path, runs: int = PEER_RUNS) -> dict[str, PeerFigures]:
    """Measure each peer's median seconds and highest peak over some runs; with its numbers.

    Raises:
        DataProblem: they disagree.
    """
    measured: dict[str, PeerFigures] = {}
    for peer in PEERS:
        command = [sys.executable, "-m", f"bench.peer_{peer}", str(landing)]
        costs = [cost_of(command, dict(os.environ)) for _ in range(runs)]
        numbers = json.loads(costs[0].output)
        own = median(json.loads(cost.output)["seconds"] for cost in costs)
        measured[peer] = {
            "seconds": round(median(cost.seconds for cost in costs), 2),
            "seconds_without_imports": round(own, 2),
            "cpu_seconds": round(median(cost.cpu_seconds for cost in costs), 2),
            "peak_mb": max(cost.peak_mb for cost in costs),
            "numbers": {key: value for key, value in numbers.items() if key not in ("seconds", "peak_mb")},
        }
        del measured[peer]["numbers"]["borders"]  # equal but for the last bit; the classes tell
    require_same(measured["pandas"]["numbers"], measured["duckdb"]["numbers"], "the pandas peer")
    return measured


def published_numbers(home: Settings) -> Numbers:
    """What the product published, counted as in the peers' JSON line."""
    with open_published(home) as connection:

        def one(sql: str) -> Any:
            return connection.execute(sql).fetchall()[0][0]

        def counts(sql: str) -> dict[str, int]:
            return dict(connection.execute(sql).fetchall())

        newest = "as_of = (select max(as_of) from marts.customer_classes)"
        return {
            "lines": one("select count(*) from marts.order_lines"),
            "customers": one("select count(distinct customer_id) from marts.order_lines"),
            "invoices": one("select count(*) from marts.invoices"),
            "kept": one("select count(*) from marts.invoices where is_kept"),
            "classes": counts(
                f"select class, count(*) from marts.customer_classes where {newest} group by all order by all"
            ),
            "outcomes": counts("select outcome, count(*) from marts.order_lines group by all order by all"),
            "mirrors": one(
                "select count(*) from marts.order_lines "
                "where outcome = 'cancellation' and cancellation_rule = 'mirror'"
            ),
            "amount": str(one("select sum(amount) from marts.order_lines")),
            "monetary": str(one(f"select sum(monetary) from marts.customer_classes where {newest}")),
        }


def require_same(numbers: Numbers, expected: Numbers, whose: str) -> None:
    """Check that numbers equal those of the DuckDB peer.

    Raises:
        DataProblem: names those that differ.
    """
    wrong = [
        f"{key} {value}, not {expected[key]}" for key, value in numbers.items() if value != expected[key]
    ]
    if wrong:
        raise DataProblem(
            f"{whose} and the DuckDB peer count the same landing differently: {'; '.join(wrong)}"
        )


def step_seconds(home: Settings, since: date) -> dict[str, float]:
    """{step: median seconds} over the daily runs since a day, as the product itself recorded them."""
    with duckdb.connect(str(home.warehouse / "intake.duckdb"), read_only=True) as connection:
        return dict(
            connection.execute(
                "select step, round(median(seconds), 3) from ops.steps where first_day >= ? "
                "and first_day = last_day group by step order by min(started_at)",
                [since],
            ).fetchall()
        )


@contextmanager
def local_airflow(home: Settings) -> Iterator[AirflowApi]:
    """Airflow as `make up` starts it: yielded once it is healthy, ended at the end of the block."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [GOODSTANDING, "up"],
            cwd=PROJECT,
            env=environment_of(home),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            for line in process.stdout or ():
                if line.startswith("Airflow is ready"):
                    break
            else:
                errors.seek(0)
                raise DataProblem(f"Airflow did not start: {errors.read()[-2000:]}")
            yield AirflowApi(f"http://127.0.0.1:{home.port}", password=admin_password(home))
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()


def measure_scheduler(home: Settings, days: list[date]) -> UnderScheduler:
    """Measure the seconds from start to end of a run under the scheduler, one run at a time, by their parts.

    The first of the days only warms the scheduler up. Its run takes the place of the one that the scheduler
    would make for yesterday as soon as the DAG is unpaused.
    """
    dag = "orders_daily"
    with local_airflow(home) as api:
        yesterday = moment().date() - timedelta(days=1)
        _wait_until_known(api, dag)
        warm = api.trigger(dag, {"day": str(days[0])}, f"{yesterday}T00:00:00Z")
        api.wait_for_dag(dag)
        api.wait_for_run(dag, warm, SCHEDULER_SECONDS)
        first, last = (f"{day}T00:00:00Z" for day in (days[1], days[-1]))
        api.post("/backfills", {"dag_id": dag, "from_date": first, "to_date": last, "max_active_runs": 1})
        runs = api.backfilled(dag)
        ended = [api.wait_for_run(dag, run["dag_run_id"], SCHEDULER_SECONDS) for run in runs]
        tasks = {run["dag_run_id"]: api.tasks(dag, run["dag_run_id"]) for run in ended}
    failed = [run["dag_run_id"] for run in ended if run["state"] != "success"]
    if failed:
        raise DataProblem(f"under the scheduler these runs failed: {', '.join(failed)}")
    # the logical date of a day's run is the start of that day
    trading = [run for run in ended if date.fromisoformat((run["logical_date"] or "")[:10]) in days]
    seconds = [_moment(run["end_date"]) - _moment(run["start_date"]) for run in trading]
    shares = [_shares(home, run, tasks[run["dag_run_id"]]) for run in trading]
    return {
        "seconds": round(median(seconds), 2),
        "longest": round(max(seconds), 2),
        "days": len(seconds),
        "shares": {name: round(median(share[name] for share in shares), 2) for name in shares[0]},
    }


def _shares(home: Settings, run: DagRun, tasks: list[TaskInstance]) -> dict[str, float]:
    """Where the seconds of one run under the scheduler went; they add up to the whole.

    `scheduler` is the time in which no task ran, `start` that from the start of a task to that of its step
    (a process, the DAG file, imports), `end` that after the step; of `transform`, `sql` is what dbt's nodes
    took and `dbt` the rest.
    """
    with duckdb.connect(str(home.warehouse / "intake.duckdb"), read_only=True) as connection:
        steps = connection.execute(
            "select step, epoch(started_at), seconds from ops.steps where run_id = ?", [run["dag_run_id"]]
        ).fetchall()
        (sql,) = connection.execute(
            "select sum(seconds) from ops.dbt_results where run_id = ?", [run["dag_run_id"]]
        ).fetchall()[0]
    took = {step: seconds for step, _, seconds in steps}
    started = {step: moment for step, moment, _ in steps}
    spans = {task["task_id"]: (_moment(task["start_date"]), _moment(task["end_date"])) for task in tasks}
    in_tasks = sum(end - start for start, end in spans.values())
    return {
        "scheduler": _moment(run["end_date"]) - _moment(run["start_date"]) - in_tasks,
        "start": sum(started[step] - spans[step][0] for step in spans),
        "ingest": took["ingest"],
        "dbt": took["transform"] - sql,
        "sql": sql,
        "checks": sum(seconds for step, seconds in took.items() if step.startswith("check_")),
        "model": took["score"],
        "publish": took["publish"],
        "end": sum(spans[step][1] - started[step] - took[step] for step in spans),
    }


def _moment(text: str | None) -> float:
    assert text, "what has ended has a start and an end"
    return datetime.fromisoformat(text).timestamp()


def _wait_until_known(api: AirflowApi, dag: str) -> None:
    """Wait until the DAG has been read, and leave it paused."""
    for _ in range(SCHEDULER_SECONDS):
        try:
            api.get(f"/dags/{dag}")
            return
        except ApiError as error:
            if error.status != 404:
                raise
        time.sleep(1)
    raise DataProblem(f"the DAG {dag} is not known after {SCHEDULER_SECONDS} s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure_whole(landing: Path, home: Path, expected: Numbers) -> Figures:
    """Measure the whole landing as `make run` loads it, set-up of Airflow's metadata included."""
    current = Settings(home=home, landing=landing)
    cost = run_cost(current)
    require_same(published_numbers(current), expected, "`goodstanding run`")
    return cost.figures()


def measure_days(landing: Path, home: Path, expected: Numbers) -> DayCosts:
    """Measure a history, then its last days: under the scheduler, in a process each, and in one process.

    Raises:
        DataProblem: the landing is too short, a run failed, or the numbers differ from those of one load.
    """
    current = Settings(home=home, landing=landing, port=free_port())
    scheduled, alone, together = last_days(current)
    gap = timedelta(days=1)
    first_day = min(days_in_landing(current, load_shop(current)) or together)
    past = Days(first_day, scheduled[0] - gap)
    history = run_days(current, past)
    under_scheduler = measure_scheduler(current, scheduled)
    if scheduled[-1] + gap < alone:
        run_days(current, Days(scheduled[-1] + gap, alone - gap), "--daily")
    one = run_days(current, Days(alone, alone), "--daily")
    several = run_days(current, together, "--daily")
    require_same(published_numbers(current), expected, "a history and then single days")
    # both processes include a start and a first day
    further = {
        "seconds": round((several.seconds - one.seconds) / (len(together) - 1), 2),
        "cpu_seconds": round((several.cpu_seconds - one.cpu_seconds) / (len(together) - 1), 2),
        "peak_mb": several.peak_mb,
    }
    return {
        "history": {**history.figures(), "days": len(past)},
        "day_under_scheduler": under_scheduler,
        "day_in_new_process": one.figures(),
        "further_day_in_process": further,
        "steps_of_a_day": step_seconds(current, together.first),
    }


def last_days(current: Settings) -> tuple[list[date], date, Days]:
    """The trading days for the scheduler, the one for a process of its own, and the range for another.

    The range holds one day more for each day without a file that lies in it.
    """
    shop = load_shop(current)
    landing = current.landing_folder
    days = days_in_landing(current, shop) or ()
    trading = [day for day in days if any(source.files_of(landing, day) for source in shop.sources)]
    if len(trading) <= SCHEDULED + 1 + TOGETHER:
        raise DataProblem(f"{landing} holds {len(trading)} days with a file: too few for the benchmark")
    *_, alone, first = trading[: -TOGETHER + 1]
    return trading[-TOGETHER - 1 - SCHEDULED : -TOGETHER - 1], alone, Days(first, trading[-1])


def machine() -> Machine:
    """What figures are measured on: the day, the cores, the load before, and versions."""
    return {
        "measured_on": str(moment().date()),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "duckdb": version("duckdb"),
        "pandas": version("pandas"),
        "dbt-core": version("dbt-core"),
        "apache-airflow": version("apache-airflow"),
    }


def print_table(results: Results, console: Console) -> None:
    """The measured figures beside their goals, and the ratios to the peers."""
    product, peers = results["goodstanding"], results["peers"]
    lines = results["lines"]
    table = Table(title=f"{lines:,} order lines, {results['machine']['cores']} cores")
    for column in ("what", "seconds", "goal", "cpu s", "peak MB", "goal "):
        table.add_column(column, justify="left" if column == "what" else "right")
    rows: list[tuple[str, Mapping[str, Any], str]] = [
        ("make run: the whole landing, audited, scored, published", product["make_run"], "90"),
        ("a history in one run", product["history"], ""),
        ("one day in a new process", product["day_in_new_process"], ""),
        ("each further day in that process", product["further_day_in_process"], "3"),
        ("one day under the scheduler", product["day_under_scheduler"], "8"),
        *((f"files to classes by plain {peer}", peers[peer], "") for peer in PEERS),
    ]
    year, growth = product["year"], product["growth"]
    rows += [
        ("files to classes, the year in one range", year["one_range"], "30"),
        ("files to classes, one as_of day", year["one_range_one_as_of"], ""),
        ("a day after one year", growth["after_1_year"], ""),
        ("the same after ten years", growth["after_10_years"], ""),
    ]
    for what, figures, goal in rows:
        cpu, memory = (str(figures.get(name, "")) for name in ("cpu_seconds", "peak_mb"))
        table.add_row(what, f"{figures['seconds']:.2f}", goal, cpu, memory, "1536" if memory and goal else "")
    console.print(table)
    for name, ratio in results["ratios"].items():
        console.print(f"{name.replace('_', ' ')}: {ratio}", highlight=False)


def main() -> None:
    console = Console()
    try:
        landing = settings().landing_folder
        on = machine()
        if on["load_before"] > BUSY:
            console.print(f"the machine is busy (load {on['load_before']}): the seconds will be too high")
        peers = measure_peers(landing)
        expected, plain = peers["duckdb"]["numbers"], peers["duckdb"]["seconds_without_imports"]
        with tempfile.TemporaryDirectory(prefix="goodstanding-bench-") as folder:
            product: ProductFigures = {
                "make_run": measure_whole(landing, Path(folder, "whole"), expected),
                **measure_days(landing, Path(folder, "days"), expected),
                "year": measure_range(landing, Path(folder, "year"), plain),
                "growth": measure_growth(landing, Path(folder, "growth")),
            }
    except GoodstandingError as error:
        sys.exit(f"bench: {error}")
    seconds = product["make_run"]["seconds"]
    ratios = (
        {f"make_run_to_{peer}_peer": round(seconds / peers[peer]["seconds"], 1) for peer in PEERS}
        | {
            f"further_day_to_{peer}_peer_on_all_days": round(
                product["further_day_in_process"]["seconds"] / peers[peer]["seconds"], 2
            )
            for peer in PEERS
        }
        | {
            "one_range_to_duckdb_peer_files_to_classes": product["year"]["ratio_to_duckdb_peer"],
            "day_after_ten_years_to_after_one": product["growth"]["ratios"]["seconds"],
            "peak_memory_after_ten_years_to_after_one": product["growth"]["ratios"]["peak_mb"],
        }
    )
    for peer in PEERS:
        del peers[peer]["numbers"]
    results: Results = {
        "machine": on,
        "lines": int(str(expected["lines"])),
        "peers": peers,
        "same_numbers": expected,
        "goodstanding": product,
        "ratios": ratios,
        # what other benchmarks measured stays until they run again
        "apart": json.loads(RESULTS.read_text(encoding="utf-8")).get("apart", {}),
    }
    print_table(results, console)
    write_results(results)
    console.print(f"written to {RESULTS} and quoted in the docs", highlight=False)


if __name__ == "__main__":
    main()
