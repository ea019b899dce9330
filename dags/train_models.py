"""Every week: train on what was known by its end, measure against the baselines, keep what ships.

**When**: after each Sunday; a manual run may name another day by the param `day`.
**In**: features and labels whose windows are over by that day. **Out**: a model and its card under `models/`.
**On failure**: scoring goes on with the newest model; the failed task names the number that is missing.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, task
from wiring import DEFAULT_ARGS, run_step

with DAG(
    dag_id="train_models",
    description="Train, measure against the baselines, keep what ships.",
    schedule=CronDataIntervalTimetable("0 0 * * MON", timezone="UTC"),
    start_date=datetime(2010, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["models", "tier_2"],
    params={
        "day": Param(None, type=["null", "string"], format="date", description="Train as of this event day.")
    },
    doc_md=__doc__,
):
    task(task_id="train")(run_step)("train")
