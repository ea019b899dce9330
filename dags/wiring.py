"""What the DAG files share: default arguments, what a retry can mend, and the chain of steps of a run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule, chain, get_current_context, task

from goodstanding.core.vocabulary import STEPS, WRITER_POOL

# Bad data and wrong settings stay so until a person mends them; a day that goes on or a file in use does not.
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=["goodstanding.core.errors.DataProblem", "goodstanding.core.errors.WrongUse"],
            action=RetryAction.FAIL,
            reason="the same input would fail again: see the message, mend, then clear this task",
        ),
        RetryRule(
            exception="goodstanding.core.errors.DayNotOver",
            action=RetryAction.RETRY,
            retry_delay=timedelta(hours=1),
            reason="the day still goes on in the shop's time zone",
        ),
        RetryRule(
            exception="goodstanding.core.errors.WarehouseBusy",
            action=RetryAction.RETRY,
            retry_delay=timedelta(seconds=30),
            reason="another process has the warehouse open",
        ),
    ]
)

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "goodstanding",
    # a day ends at most 12 hours after its UTC label's end, and is tried again every hour
    "retries": 14,
    "retry_delay": timedelta(minutes=1),
    "retry_policy": RETRY_POLICY,
    "pool": WRITER_POOL,
}


def run_step(name: str) -> dict[str, Any]:
    """Call one step of `pipeline.steps` for the days of the run that this task belongs to."""
    from goodstanding.core.days import days_of
    from pipeline import steps

    context = get_current_context()
    result: dict[str, Any] = getattr(steps, name)(days_of(context), context["run_id"])
    return result


def steps_of_a_run() -> None:
    """The chain from ingest to publish; each task calls the step of its own name."""
    chain(*(task(task_id=name)(run_step)(name) for name in STEPS))
