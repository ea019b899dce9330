"""Champions: which method answers each question, as the newest evaluation decided, and how to go back.

An evaluation leaves a card in `models/evaluations/` for each question that it could answer, with every method
that was measured. Its champion is the appointed method from the evaluation's data day on: training fits that
method and no other. A decision on orders has one method that may ship, the scorecard, so there a roll-back
goes from one scorecard to the one before it.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal, TypedDict, cast

from goodstanding.core.errors import DataProblem, WrongUse
from ml import store
from ml.cards import MadeBy, StoredCard
from ml.scorecards.orders import DECISIONS
from ml.side_by_side import Evaluation, MethodFacts, TaskResult
from ml.tasks import TASKS

EVALUATIONS = "evaluations"
WITHDRAWN = "withdrawn"

By = Literal["evaluate", "train"]


class EvaluationCard(StoredCard, TaskResult, MadeBy):
    """What an evaluation measured on one question; `recipe` is the champion that it appoints."""

    by: By
    """What measured: all methods (`evaluate`), or the short list at a training (`train`)."""
    methods: dict[str, MethodFacts]
    balance: str | None
    """How the challengers balanced the classes when they were fitted, or None."""
    bootstrap_folds: int
    confidence: float
    """The level of the intervals, like 0.95."""
    seed: int


class Rollback(TypedDict):
    """The result of going back to an earlier champion."""

    target: str
    champion: str
    """The method that is appointed again; of a decision, the model_id of the scorecard that is used again."""
    instead_of: str
    """The method or scorecard that was withdrawn."""
    since: str
    """ISO date: the data day of the champion's evaluation, or of the scorecard."""
    model_id: str | None
    """The model that scores from now on; None until the next training."""
    withdrawn: list[str]
    """The model_ids of the cards that were put away, newest first."""


def appoint(evaluation: Evaluation, as_of: date, models: Path, by: By) -> dict[str, EvaluationCard]:
    """Store a card of each question that was answered; its champion is appointed from `as_of` on.

    Args:
        evaluation: as `ml.side_by_side.answer` gives it.
        as_of: the data day of the evaluation.
        models: the folder of the model store.
        by: what measured.

    Returns:
        The cards by question.
    """
    cards: dict[str, EvaluationCard] = {}
    shared = {name: value for name, value in evaluation.items() if name != "tasks"}
    for target, task in evaluation["tasks"].items():
        if not task["refused"]:
            facts = {"target": target, "data_day": str(as_of), "recipe": task["champion"], "by": by}
            content = facts | dict(task) | shared | dict(store.made_by())
            card = cast(EvaluationCard, {"model_id": store.model_id(content, b"")} | content)
            store.save_card(card, models / EVALUATIONS)
            cards[target] = card
    return cards


def champion(models: Path, target: str, as_of: date) -> EvaluationCard | None:
    """The card of the newest evaluation of a question not after `as_of`; None where there is none.

    Raises:
        DataProblem: that card cannot be read.
    """
    return cast(EvaluationCard | None, store.newest_card(models / EVALUATIONS, target, as_of))


def roll_back(models: Path, target: str) -> Rollback:
    """Appoint the champion before the present one again; of a decision, use the scorecard before it again.

    The evaluations since the present one was appointed, and the models trained since, move to folders named
    `withdrawn`, from which they can be moved back. The earlier one stays in use until an evaluation appoints
    a champion.

    Raises:
        WrongUse: there is no such question, or it has had one champion only.
    """
    by_points = [decision.name for decision in DECISIONS]
    if target not in [*TASKS, *by_points]:
        raise WrongUse(f"there is no task {target}; there are {', '.join([*TASKS, *by_points])}")
    name: Literal["model_id", "recipe"]
    if target in by_points:
        history, name, kind = store.cards(models, target), "model_id", "scorecard"
    else:
        history, name, kind = store.cards(models / EVALUATIONS, target), "recipe", "champion"
    present = history[0][name] if history else None
    earlier = next((card for card in history if card[name] != present), None)
    if present is None:
        raise WrongUse(f"{target} has no {kind} yet; train or evaluate first")
    if earlier is None:
        raise WrongUse(f"{target} has had no {kind} but {present}: there is none to go back to")
    first = history[history.index(earlier) - 1]["data_day"]
    withdrawn = []
    for folder in (models, models / EVALUATIONS):
        for card in store.cards(folder, target):
            if card["data_day"] >= first:
                store.put_away(folder, card["model_id"], WITHDRAWN)
                withdrawn.append(card["model_id"])
    in_use = store.newest_card(models, target, date.max)
    return {
        "target": target,
        "champion": earlier[name],
        "instead_of": present,
        "since": earlier["data_day"],
        "model_id": in_use["model_id"] if in_use else None,
        "withdrawn": withdrawn,
    }


def require_not_withdrawn(models: Path, target: str, as_of: date) -> None:
    """Refuse to train a scorecard again that was withdrawn, until an evaluation has looked at the question.

    Raises:
        DataProblem: a scorecard was withdrawn, and there is no evaluation of its day or a later one; one that
            was made before it was withdrawn has been withdrawn with it.
    """
    withdrawn = store.newest_card(models / WITHDRAWN, target, as_of)
    evaluation = champion(models, target, as_of)
    if withdrawn and not (evaluation and evaluation["data_day"] >= withdrawn["data_day"]):
        raise DataProblem(
            f"{target}: {withdrawn['model_id']} was withdrawn, and the scorecard before it is used until the "
            "next evaluation (`goodstanding evaluate`)"
        )
