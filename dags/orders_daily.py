"""Every morning: reads yesterday's orders and publishes every customer's standing.

**When**: the run of day D starts when D is over in UTC, and waits until it is over at the shop.
**Days**: the data interval names the day; a manual run may name another by the param `day`.
**In**: the day's files in the landing.
**Out**: `published/current.duckdb` under the home, and beside it the site with the checks (Data Docs).
**After the end of a log** (`archive: true` in the mapping) the schedule's runs are skipped with a word.
**On failure**: the failed task's log says what is wrong, where, and what to do. Readers keep the last good
day. Mend it, then clear the task; the tasks before it are not run again.
**Backfill**: any range in any order, also while other runs are active; later days are brought up to date too.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable, Param
from wiring import DEFAULT_ARGS, steps_of_a_run

with DAG(
    dag_id="orders_daily",
    description="Reads yesterday's orders and publishes every customer's standing.",
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
