"""Every method of the field side by side, and what customers will be worth: `goodstanding evaluate`.

The DAG `evaluate_models` does the same. The working warehouse is open while the snapshots are read, some
seconds; nothing in it is changed. What is kept are the cards in the model store, by which trainings know the
champions, and a page that shows it all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from goodstanding.core.settings import Settings
from goodstanding.warehouse.files import open_warehouse
from goodstanding.warehouse.ledger import required_newest_day
from ml.candidate import Balance
from ml.champions import appoint
from ml.scorecards.train import answer_decisions, read_decisions
from ml.segments.study import read_history, study
from ml.side_by_side import Tell, answer, read_questions
from ml.tasks import tasks_named
from ml.value import measure_value, read_value
from pipeline.pages.evaluation import publish_evaluation


def run_evaluation(
    settings: Settings,
    until: date = date.max,
    tasks: Sequence[str] = (),
    balance: Balance | None = None,
    tell: Tell = lambda what, done, total: None,
) -> dict[str, Any]:
    """Measure all methods as of a day (the newest there is, if that is earlier), on all tasks unless named.

    The champions found stand from that day on, for trainings (`ml.champions.appoint`).

    Returns:
        {as_of, first_day (of the orders), shop, simulated, asked (the tasks, where only some were named)},
        what `ml.side_by_side.answer` found; `decisions`: the same of the scorecards and their rivals;
        `segments`: what `ml.segments.study.describe_segments` found, and `value`: what
        `ml.value.measure_value` found, all three None where tasks were named; and `page`: where the page
        that shows all of it lies.

    Raises:
        WrongUse: there is no such task.
        DataProblem: the marts hold no day yet. (A task whose history is too short is no error: it says so.)
    """
    asked = tasks_named(tasks)
    with open_warehouse(settings) as connection:
        as_of = min(until, required_newest_day(connection))
        questions = read_questions(connection, as_of, asked)
        history = None if tasks else read_history(connection, as_of)
        value = None if tasks else read_value(connection, as_of)
        decisions = None if tasks else read_decisions(connection, as_of)
        shop, first_day, simulated = connection.execute(
            """
            select any_value(source), min(event_day), bool_or(simulated) from intake.raw.days
            where admitted
            """
        ).fetchall()[0]
    answered = answer(questions, tell, balance, processes=settings.threads)
    appoint(answered, as_of, settings.models, by="evaluate")
    risks = decisions and answer_decisions(decisions, tell, settings.threads)
    if risks:
        appoint(risks, as_of, settings.models, by="evaluate")
    found = {
        "as_of": str(as_of),
        "first_day": str(first_day),
        "shop": shop,
        "simulated": simulated,
        "asked": list(tasks),
        **answered,
        "decisions": risks,
        "segments": history and study(history, settings.threads),
        "value": value and measure_value(value, tell, processes=settings.threads),
    }
    return found | {"page": str(publish_evaluation(settings, found))}
