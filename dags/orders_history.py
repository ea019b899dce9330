"""By hand: reads a range of days in one run, for the first load of a shop or a large repair.

**When**: triggered by hand, with the params `from` and `to`.
**In**: the files of those days in the landing.
**Out**: as `orders_daily`; a range gives the same tables as its single days.
**On failure**: nothing of the range is published, and readers keep the last good day. Mend what the failed
task names and clear it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, Param
from wiring import DEFAULT_ARGS, steps_of_a_run

with DAG(
    dag_id="orders_history",
    description="Reads a range of days in one run.",
    schedule=None,
    start_date=datetime(2010, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["orders", "tier_1"],
    params={
        "from": Param(type="string", format="date", description="First event day."),
        "to": Param(type="string", format="date", description="Last event day."),
    },
    doc_md=__doc__,
):
    steps_of_a_run()
