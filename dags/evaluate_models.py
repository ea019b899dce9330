"""Every month: compares all methods for each question, by how well they would have forecast the past.

**When**: after each month's last day; a manual run may name another day by the param `day`.
**In**: features, and targets whose windows are over by that day.
**Out**: a page beside the Data Docs, `published/evaluations/<as_of>.html` under the home (`index.html` there
lists them all); the returned value of the task (its XCom), as `goodstanding evaluate --json` prints it, with
the page's path as `page`; and a card of each question in `models/evaluations/`, which names its champion:
`train_models` fits that method from then on. `goodstanding rollback` goes back to the one before.
**On failure**: no other DAG waits for it. Mend what the failed task names and clear it. A history that is too
short for a question is no failure: the result says so.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, task
from wiring import DEFAULT_ARGS, run_step

with DAG(
    dag_id="evaluate_models",
    description="Compares all methods for each question; appoints champions.",
    schedule=CronDataIntervalTimetable("0 0 1 * *", timezone="UTC"),
    start_date=datetime(2010, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["models", "tier_3"],
    params={
        "day": Param(
            None, type=["null", "string"], format="date", description="Evaluate as of this event day."
        )
    },
    doc_md=__doc__,
):
    task(task_id="evaluate")(run_step)("evaluate")
