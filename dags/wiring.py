"""What the DAG files share: default arguments, the rules for retrying a task, and the steps of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule, chain, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from goodstanding.core.vocabulary import STEPS, WRITER_POOL

if TYPE_CHECKING:
    from airflow.sdk import Context

    from goodstanding.core.days import Days

# A retry meets the same bad data or wrong settings until a person mends them. A day that is not over yet, or
# a warehouse that another process has open, needs nothing but time.
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=["goodstanding.core.errors.DataProblem", "goodstanding.core.errors.WrongUse"],
            action=RetryAction.FAIL,
            reason="the same input would fail again: mend what the message names, then clear this task",
        ),
        RetryRule(
            exception="goodstanding.core.errors.DayNotOver",
            action=RetryAction.RETRY,
            retry_delay=timedelta(hours=1),
            reason="the day is not over yet in the shop's time zone",
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
    # A day ends at most 12 hours after the day of the same date ends in UTC; DayNotOver is tried every hour.
    "retries": 14,
    "retry_delay": timedelta(minutes=1),
    "retry_policy": RETRY_POLICY,
    "pool": WRITER_POOL,
}


def run_step(name: str) -> Mapping[str, object]:
    """Call one step of `pipeline.steps` for the days of the run to which this task belongs.

    Returns:
        What the step reports, as JSON; Airflow keeps it as the task's XCom.

    Raises:
        AirflowSkipException: the schedule asks for a day after the end of a log that has ended; the rest of
            the run is skipped too. A person who asks for such a day is refused.
    """
    # Imported in the task: at the top it would cost every parse of the DAG files seconds.
    from goodstanding.core.days import days_of
    from pipeline import steps

    context = get_current_context()
    days = days_of(context)
    if name == STEPS[0] and is_scheduled(context) and (ended := steps.log_ended_before(days)):
        raise AirflowSkipException(ended)
    step: Callable[[Days, str], Mapping[str, object]] = getattr(steps, name)
    return step(days, context["run_id"])


def is_scheduled(context: Context) -> bool:
    """Whether a run was made by the schedule and by nobody's wish, as when a DAG is unpaused."""
    return bool(context["dag_run"].run_type == "scheduled")


def steps_of_a_run() -> None:
    """Add the chain of tasks from ingest to publish."""
    steps_in_order(*STEPS)


def steps_in_order(*names: str) -> None:
    """Add a chain of tasks, each of which calls the step of its own name."""
    chain(*(task(task_id=name)(run_step)(name) for name in names))
