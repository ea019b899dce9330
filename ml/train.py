"""Training: the champion of each question, fitted on the newest customers whose outcome is known.

Which method that is, evaluations say (`ml.champions`). Until all methods have been evaluated, each training
measures the short list on the rolling test cuts itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from goodstanding.core.errors import DataProblem
from ml import champions, drift, store
from ml.candidate import SEED, Candidate, probabilities
from ml.features import Snapshot, read_snapshot
from ml.methods import METHODS
from ml.scorecards.orders import Decision, learnt_decisions
from ml.scorecards.train import train_scorecard
from ml.short_list import SHORT_LIST
from ml.side_by_side import Question, answer, read_questions
from ml.tasks import SCORED, Task, known_to
from ml.worth import TARGET, train_worth

Tell = Callable[[str, int, int], None]


def train(
    connection: duckdb.DuckDBPyConnection,
    as_of: date,
    models: Path,
    tasks: Sequence[Task] = SCORED,
    tell: Tell = lambda what, done, total: None,
    processes: int = 1,
) -> dict[str, Any]:
    """Train as of a day, from what was known by then, and store a model with its card for each question.

    The champion is fitted on the newest test cut: the newest month end whose window is over. The measures
    belong to the method: fitted on each train cut, measured on the test cut after it.

    Args:
        connection: a warehouse with the marts; it may hold later days than `as_of`, which are not read.
        as_of: the data day of the models; they may score this day and later ones.
        models: the folder of the model store.
        tasks: the questions to train for.
        tell: called with what has been measured of the short list, and how much of how much is done.
        processes: how many measure at once; the result is the same for any number.

    Returns:
        {data_day, models: {question: card, and those of `ml.worth` and `ml.scorecards.train`}, evaluations:
        {question: the card that appointed the champion, see `ml.champions.appoint`}, refused: {question: what
        is missing}}. A card:

        - `model_id`, `target`, `data_day`, `recipe` (the method), `description`, `balance`, `evaluation` (the
          model_id of the card that appointed it), `classes`, `feature_names` (in the model's order);
        - `fitted_on`: {cut, label_until, customers, shares (of the classes)};
        - `references`: as `ml.drift.references`, of the customers fitted on;
        - `matured`: how the model that stood at the newest labelled cut did, {cut, model_id, customers,
          mean_probability, share (of the last class)}; None where no model stood then;
        - `seed`, `code_version`, `library_versions`.

    Raises:
        DataProblem: no question can be answered; it says what is missing to the first. No model is written.
    """
    # Threads of linear algebra wait for each other on busy cores: the bootstrap took 1.5 s with one, 1.5 to
    # 4.5 s with two. And with their number the last digits could change, and so the model_id.
    with threadpool_limits(limits=1):
        return _train(connection, as_of, models, tasks, tell, processes)


def _train(
    connection: duckdb.DuckDBPyConnection,
    as_of: date,
    models: Path,
    tasks: Sequence[Task],
    tell: Tell,
    processes: int,
) -> dict[str, Any]:
    questions = read_questions(connection, as_of, tasks)
    refused = {question.task.name: question.refused for question in questions if question.refused}
    answered = [question for question in questions if question.pairs]
    cards = {}
    decisions = learnt_decisions(connection, as_of)
    beside = {TARGET: train_worth} | {each.name: partial(_by_points, each) for each in decisions}
    for target, train_one in beside.items():
        try:
            cards[target] = train_one(connection, as_of, models)
        except DataProblem as error:
            refused[target] = str(error)
    if not answered and not cards:
        first, *others = refused.values()
        more = f"; {len(others)} further questions need more" if others else ""
        raise DataProblem(f"training as of {as_of}: {first}{more}")
    evaluations = {task.name: champions.champion(models, task.name, as_of) for task in tasks}
    measured = [question for question in answered if not _is_settled(evaluations[question.task.name])]
    if measured:
        found = answer(measured, tell, processes=processes, methods=SHORT_LIST)
        evaluations |= champions.appoint(found, as_of, models, by="train")
    for question in answered:
        evaluation = evaluations[question.task.name]
        assert evaluation is not None
        cards[question.task.name] = _fit(connection, question, evaluation, as_of, models)
    return {
        "data_day": str(as_of),
        "models": cards,
        "evaluations": {question.task.name: evaluations[question.task.name] for question in answered},
        "refused": refused,
    }


def _by_points(
    decision: Decision, connection: duckdb.DuckDBPyConnection, as_of: date, models: Path
) -> dict[str, Any]:
    champions.require_not_withdrawn(models, decision.name, as_of)
    return train_scorecard(connection, decision, as_of, models)


def _is_settled(evaluation: dict[str, Any] | None) -> bool:
    return evaluation is not None and evaluation["by"] == "evaluate"


def _fit(
    connection: duckdb.DuckDBPyConnection,
    question: Question,
    evaluation: dict[str, Any],
    as_of: date,
    models: Path,
) -> dict[str, Any]:
    task, tested_on = question.task, question.pairs[-1]
    newest = tested_on.test_on
    method = _appointed(evaluation)
    model = method.fit(newest)
    probability = probabilities(model, newest, method.columns)
    card: dict[str, Any] = {
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
        "references": drift.references(newest, method.columns, probability, (tested_on.fit_on, newest)),
        "matured": _matured(connection, task, newest, models),
        "seed": SEED,
        **store.made_by(),
    }
    card = {"model_id": store.model_id(card, probability.tobytes())} | card
    store.save(model, card, models)
    return card


def _appointed(evaluation: dict[str, Any]) -> Candidate:
    name = evaluation["recipe"]
    if name not in METHODS:
        raise DataProblem(
            f"{evaluation['model_id']} appoints {name}, which is no method here any more; evaluate again"
        )
    method, balance = METHODS[name], evaluation["methods"][name]["balance"]
    return method.balanced(balance) if balance else method


def _matured(
    connection: duckdb.DuckDBPyConnection, task: Task, newest: Snapshot, models: Path
) -> dict[str, Any] | None:
    card = store.newest_card(models, task.name, newest.as_of)
    if card is None:
        return None
    asked = known_to(connection, task, read_snapshot(connection, newest.as_of), card["feature_names"])
    said = probabilities(store.load(models, card["model_id"]), asked, tuple(card["feature_names"]))
    return {
        "cut": str(newest.as_of),
        "model_id": card["model_id"],
        "customers": len(newest.customers),
        "mean_probability": round(float(drift.score_of(said).mean()), 6),
        "share": round(float(np.mean(newest.labels == len(task.classes) - 1)), 6),
    }
