"""Train the models of the daily run: for each question its champion, fitted on the newest known outcomes.

Evaluations decide which method is the champion (`ml.champions`). Until all methods have been evaluated once,
each training measures the short list on the rolling test cuts itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import TypedDict

import duckdb
import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from goodstanding.core.errors import DataProblem
from goodstanding.core.version import code_version
from goodstanding.warehouse.figures import figures
from ml import champions, drift, store
from ml.candidate import SEED, Candidate, probabilities
from ml.cards import Matured, ModelCard
from ml.champions import EvaluationCard
from ml.features import Snapshot, read_snapshot
from ml.methods import METHODS
from ml.scorecards.orders import Decision, decisions_to_train
from ml.scorecards.train import train_scorecard
from ml.short_list import SHORT_LIST
from ml.side_by_side import Progress, Question, answer, read_questions
from ml.tasks import SCORED, Task, known_to
from ml.worth import TARGET, train_worth


class Training(TypedDict):
    """The result of a training: models stored, and questions without one."""

    data_day: str
    """ISO date."""
    models: dict[str, ModelCard]
    """By question, with worth (`ml.worth`) and the scorecards (`ml.scorecards.train`)."""
    evaluations: dict[str, EvaluationCard]
    """By question of `ml.tasks`: the card that appointed its champion."""
    refused: dict[str, str]
    """{question: what is missing to train it}."""


def train(
    connection: duckdb.DuckDBPyConnection,
    as_of: date,
    models: Path,
    tasks: Sequence[Task] = SCORED,
    progress: Progress = lambda what, done, total: None,
    processes: int = 1,
) -> Training:
    """Train as of a day, from what was known by then, and store a model with its card for each question.

    The champion is fitted on the newest test cut: the newest month end whose window is over. Its measures
    are the method's: it was fitted on each train cut and measured on the test cut after it.

    Args:
        connection: a warehouse with the marts; it may hold later days than `as_of`, which are not read.
        as_of: the data day of the models; they may score this day and later ones.
        models: the folder of the model store.
        tasks: the questions to train for.
        progress: called after each step of measuring the short list.
        processes: how many measure at once; the result is the same for any number.

    Raises:
        DataProblem: no question can be answered; it says what is missing to the first. No model is written.
    """
    # Threads of linear algebra wait for each other on busy cores: the bootstrap took 1.5 s with one, 1.5 to
    # 4.5 s with two. The number of threads could also change the last digits, and so the model_id.
    with threadpool_limits(limits=1):
        return _train(connection, as_of, models, tasks, progress, processes)


def _train(
    connection: duckdb.DuckDBPyConnection,
    as_of: date,
    models: Path,
    tasks: Sequence[Task],
    progress: Progress,
    processes: int,
) -> Training:
    questions = read_questions(connection, as_of, tasks)
    refused = {question.task.name: question.refused for question in questions if question.refused}
    answered = [question for question in questions if question.pairs]
    cards: dict[str, ModelCard] = {}
    trainings: dict[str, Callable[[duckdb.DuckDBPyConnection, date, Path], ModelCard]] = {
        TARGET: train_worth,
    }
    for decision in decisions_to_train(connection, as_of):
        trainings[decision.name] = partial(_by_points, decision)
    for target, train_one in trainings.items():
        try:
            cards[target] = train_one(connection, as_of, models)
        except DataProblem as error:
            refused[target] = str(error)
    if not answered and not cards:
        first, *others = refused.values()
        more = f"; {len(others)} further questions need more" if others else ""
        raise DataProblem(f"training as of {as_of}: {first}{more}")
    evaluations = _evaluations(answered, as_of, models, progress, processes)
    for question in answered:
        name = question.task.name
        cards[name] = _fit(connection, question, evaluations[name], as_of, models)
    return {"data_day": str(as_of), "models": cards, "evaluations": evaluations, "refused": refused}


def _evaluations(
    questions: Sequence[Question], as_of: date, models: Path, progress: Progress, processes: int
) -> dict[str, EvaluationCard]:
    """The card that appoints the champion of each question, in their order.

    Where all methods have not been evaluated yet, the short list is measured again.
    """
    newest = {
        question.task.name: champions.champion(models, question.task.name, as_of) for question in questions
    }
    settled = {name: card for name, card in newest.items() if card and card["by"] == "evaluate"}
    open_questions = [question for question in questions if question.task.name not in settled]
    if open_questions:
        evaluation = answer(open_questions, progress, processes=processes, methods=SHORT_LIST)
        settled |= champions.appoint(evaluation, as_of, models, by="train")
    return {question.task.name: settled[question.task.name] for question in questions}


def _by_points(
    decision: Decision, connection: duckdb.DuckDBPyConnection, as_of: date, models: Path
) -> ModelCard:
    champions.require_not_withdrawn(models, decision.name, as_of)
    return train_scorecard(connection, decision, as_of, models)


def _fit(
    connection: duckdb.DuckDBPyConnection,
    question: Question,
    evaluation: EvaluationCard,
    as_of: date,
    models: Path,
) -> ModelCard:
    task, tested_on = question.task, question.pairs[-1]
    newest = tested_on.test_on
    method = _appointed(evaluation)
    model = method.fit(newest)
    probability = probabilities(model, newest, method.columns)
    card: ModelCard = {
        "model_id": "",
        "target": task.name,
        "data_day": str(as_of),
        "recipe": method.name,
        "description": method.description,
        "balance": method.balance,
        "evaluation": evaluation["model_id"],
        "classes": list(task.classes),
        "feature_names": list(method.columns),
        "fitted_on": {
            "cut": str(newest.as_of),
            "label_until": str(task.moved(newest.as_of, 1)),
            "customers": len(newest.customers),
            "shares": [round(float(np.mean(newest.labels == n)), 6) for n in range(len(task.classes))],
        },
        "figures": figures(connection),
        "references": drift.references(newest, method.columns, probability, (tested_on.fit_on, newest)),
        "matured": _matured(connection, task, newest, models),
        "seed": SEED,
        "code_version": code_version(),
        "library_versions": store.library_versions(),
    }
    card["model_id"] = store.model_id(card, probability.tobytes())
    store.save(model, card, models)
    return card


def _appointed(evaluation: EvaluationCard) -> Candidate:
    name = evaluation["recipe"]
    if name not in METHODS:
        raise DataProblem(
            f"{evaluation['model_id']} appoints {name}, which is no method here any more; evaluate again"
        )
    method, balance = METHODS[name], evaluation["methods"][name]["balance"]
    return method.balanced(balance) if balance else method


def _matured(
    connection: duckdb.DuckDBPyConnection, task: Task, newest: Snapshot, models: Path
) -> Matured | None:
    """How well the model in use at the newest labelled cut predicted it; None where none was in use."""
    card = store.newest_card(models, task.name, newest.as_of)
    if card is None:
        return None
    customers = known_to(connection, task, read_snapshot(connection, newest.as_of), card["feature_names"])
    predicted = probabilities(store.load(models, card["model_id"]), customers, tuple(card["feature_names"]))
    return {
        "cut": str(newest.as_of),
        "model_id": card["model_id"],
        "customers": len(newest.customers),
        "mean_probability": round(float(drift.score_of(predicted).mean()), 6),
        "share": round(float(np.mean(newest.labels == len(task.classes) - 1)), 6),
    }
