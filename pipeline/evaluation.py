"""Measures every method on what customers did next: `goodstanding evaluate` and the DAG `evaluate_models`.

The working warehouse is open for some seconds while the snapshots are read; nothing in it is changed. Two
things are kept: cards in the model store, which name the champions for trainings, and a page about it all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import Settings
from goodstanding.warehouse.files import open_warehouse
from goodstanding.warehouse.ledger import required_newest_day
from ml.candidate import Balance
from ml.champions import appoint
from ml.scorecards.orders import DECISIONS
from ml.scorecards.train import answer_decisions, read_decisions
from ml.segments.study import read_history, study
from ml.side_by_side import Progress, answer, read_questions
from ml.tasks import TASKS, tasks_named
from ml.value import measure_value, read_value
from pipeline.pages.evaluation import publish_evaluation
from pipeline.pages.evaluation.report import EvaluationReport, PublishedEvaluation


def run_evaluation(
    settings: Settings,
    until: date = date.max,
    tasks: Sequence[str] = (),
    balance: Balance | None = None,
    progress: Progress = lambda what, done, total: None,
) -> PublishedEvaluation:
    """Measure all methods as of a day (the newest there is, if that is earlier), on all tasks unless named.

    The champions are appointed from that day on, for trainings (`ml.champions.appoint`).

    Args:
        settings: of the process.
        until: the day.
        tasks: names of `ml.tasks` and of decisions on orders (`ml.scorecards.orders`); where some are given,
            the others, segments and value are not measured.
        balance: how challengers balance the classes as they are fitted; default: not at all.
        progress: called after each step, to show progress.

    Raises:
        WrongUse: there is no such task.
        DataProblem: the marts hold no day yet. (A task whose history is too short is no error: its result
            says what is missing.)
    """
    of_orders = {decision.name for decision in DECISIONS}
    unknown = sorted({*tasks} - {*TASKS, *of_orders})
    if unknown:
        raise WrongUse(
            f"there is no task {', '.join(unknown)}; there are "
            f"{', '.join([*TASKS, *(decision.name for decision in DECISIONS)])}"
        )
    of_customers = [name for name in tasks if name not in of_orders]
    asked = tasks_named(of_customers) if of_customers or not tasks else []
    with open_warehouse(settings) as connection:
        as_of = min(until, required_newest_day(connection))
        questions = read_questions(connection, as_of, asked)
        history = None if tasks else read_history(connection, as_of)
        value = None if tasks else read_value(connection, as_of)
        decisions = []
        if not tasks or of_orders & set(tasks):
            decisions = read_decisions(connection, as_of, sorted(of_orders & set(tasks)))
        shop, first_day, simulated = connection.execute(
            """
            select any_value(source), min(event_day), bool_or(simulated) from intake.raw.days
            where admitted
            """
        ).fetchall()[0]
    answered = answer(questions, progress, balance, processes=settings.threads)
    appoint(answered, as_of, settings.models, by="evaluate")
    risks = answer_decisions(decisions, progress, settings.threads) if decisions else None
    if risks:
        appoint(risks, as_of, settings.models, by="evaluate")
    report: EvaluationReport = {
        "as_of": str(as_of),
        "first_day": str(first_day),
        "shop": shop,
        "simulated": simulated,
        "asked": list(tasks),
        **answered,
        "decisions": risks,
        "segments": study(history, settings.threads) if history else None,
        "value": measure_value(value, progress, processes=settings.threads) if value else None,
    }
    return {**report, "page": str(publish_evaluation(settings, report))}
