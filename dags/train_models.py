"""Every week: fit each question's champion on what was known by the week's end.

**When**: after each Sunday; a manual run may name another day by the param `day`.
**In**: features and labels whose windows are over by that day, and the champions that `evaluate_models` has
appointed; where it has not yet, a short list is measured first. **Out**: models and their cards in `models/`.
**On failure**: scoring goes on with the newest models; the failed task names the number that is missing.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, task
from wiring import DEFAULT_ARGS, run_step

with DAG(
    dag_id="train_models",
    description="Fit each question's champion on what was known by the week's end.",
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
