"""Every week: fits each question's champion on what was known at the week's end.

**When**: after each Sunday; a manual run may name another day by the param `day`.
**In**: features, targets whose windows are over by that day, and the champions that `evaluate_models` has
appointed; a question that has none yet is given the best of a short list, which is compared first.
**Out**: models and their cards in `models/` under the home. The newest day is scored and published with them
at once, and `orders_daily` scores with the newest that there are.
**On failure**: scoring goes on with the newest models that there are. The failed task says which number is
missing or too small, or which day keeps the scores from being published.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable, Param
from wiring import DEFAULT_ARGS, steps_in_order

from goodstanding.core.vocabulary import STEPS

with DAG(
    dag_id="train_models",
    description="Fits each question's champion on what was known at the week's end.",
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
    steps_in_order("train", *STEPS[STEPS.index("score") :])
