"""Every morning: yesterday's orders in, every customer's standing out.

**When**: the run of day D starts when D is over; each backfilled day is a run like any other.
**In**: the day's files in the landing. **Out**: `published/current.duckdb` and the site with the checks.
**Days**: the data interval names the day; a manual run may name another by the param `day`.
**On failure**: the failed task says what is wrong, where, and what to do. Readers keep the last good day.
Mend it, then clear the task: what is done already is not done twice.
**Backfill**: any range, any order, also while other runs are active; later days are brought up to date too.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable, Param
from wiring import DEFAULT_ARGS, steps_of_a_run

with DAG(
    dag_id="orders_daily",
    description="Yesterday's orders in, every customer's standing out.",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2010, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["orders", "tier_1"],
    params={
        "day": Param(
            None,
            type=["null", "string"],
            format="date",
            description="An event day; else the interval's.",
        )
    },
    doc_md=__doc__,
):
    steps_of_a_run()
