"""Champions: which method answers a question, by the newest evaluation, and how to go back to the one before.

An evaluation leaves a card for each question that it could answer, in `models/evaluations/`, with every
method that was measured. Its champion stands from its data day on: training fits that method, and no other.
Decisions have one method that may ship, the scorecard, so there it is the cards that stand, each by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

from goodstanding.core.errors import DataProblem, WrongUse
from ml import store
from ml.scorecards.orders import DECISIONS
from ml.tasks import TASKS

EVALUATIONS = "evaluations"
WITHDRAWN = "withdrawn"

By = Literal["evaluate", "train"]


def appoint(found: Mapping[str, Any], as_of: date, models: Path, by: By) -> dict[str, dict[str, Any]]:
    """Keep a card of each question that was answered; its champion stands from `as_of` on.

    Args:
        found: as `ml.side_by_side.answer` gives it.
        by: what measured: all methods (`evaluate`), or the short list at a training (`train`).

    Returns:
        The cards by question: {model_id, target, data_day, recipe (the champion), by}, what was found of the
        question, and {methods, bootstrap_folds, confidence, seed, code_version, library_versions}.
    """
    cards = {}
    shared = {name: value for name, value in found.items() if name != "tasks"}
    for target, task in found["tasks"].items():
        if not task["refused"]:
            facts = {"target": target, "data_day": str(as_of), "recipe": task["champion"], "by": by}
            card = facts | dict(task) | shared | store.made_by()
            cards[target] = {"model_id": store.model_id(card, b"")} | card
            store.save_card(cards[target], models / EVALUATIONS)
    return cards


def champion(models: Path, target: str, as_of: date) -> dict[str, Any] | None:
    """The card of the newest evaluation of a question not after `as_of`; None where there is none.

    Raises:
        DataProblem: that card cannot be read.
    """
    return store.newest_card(models / EVALUATIONS, target, as_of)


def roll_back(models: Path, target: str) -> dict[str, Any]:
    """Make the champion before the present one stand again; of a decision, the scorecard before.

    The evaluations since the present one came, and the models trained since, move to folders named
    `withdrawn`, from which they can be moved back. Either stands until an evaluation appoints anew.

    Returns:
        {target, champion (who stands again), instead_of, since (the data day of its evaluation, or of the
        scorecard), model_id (the model that scores from now on; None until the next training), withdrawn
        (names, newest first)}.

    Raises:
        WrongUse: there is no such question, or it has had one champion only.
    """
    by_points = [decision.name for decision in DECISIONS]
    if target not in [*TASKS, *by_points]:
        raise WrongUse(f"there is no task {target}; there are {', '.join([*TASKS, *by_points])}")
    if target in by_points:
        stood, name, kind = store.cards(models, target), "model_id", "scorecard"
    else:
        stood, name, kind = store.cards(models / EVALUATIONS, target), "recipe", "champion"
    present = stood[0][name] if stood else None
    earlier = next((card for card in stood if card[name] != present), None)
    if earlier is None:
        raise WrongUse(
            f"{target} has no {kind} yet; train or evaluate first"
            if present is None
            else f"{target} has had no {kind} but {present}: there is none to go back to"
        )
    first = stood[stood.index(earlier) - 1]["data_day"]
    withdrawn = []
    for folder in (models, models / EVALUATIONS):
        for card in store.cards(folder, target):
            if card["data_day"] >= first:
                store.put_away(folder, card["model_id"], WITHDRAWN)
                withdrawn.append(card["model_id"])
    left = store.newest_card(models, target, date.max)
    return {
        "target": target,
        "champion": earlier[name],
        "instead_of": present,
        "since": earlier["data_day"],
        "model_id": left and left["model_id"],
        "withdrawn": withdrawn,
    }


def require_not_withdrawn(models: Path, target: str, as_of: date) -> None:
    """Let no training bring back what was gone back from, before an evaluation has looked at the question.

    Raises:
        DataProblem: a scorecard was withdrawn, and there is no evaluation of its day or a later one; one that
            was made before it was withdrawn has been withdrawn with it.
    """
    withdrawn = store.newest_card(models / WITHDRAWN, target, as_of)
    evaluation = champion(models, target, as_of)
    if withdrawn and not (evaluation and evaluation["data_day"] >= withdrawn["data_day"]):
        raise DataProblem(
            f"{target}: {withdrawn['model_id']} was withdrawn, and the scorecard before it stands until the "
            "next evaluation (`goodstanding evaluate`)"
        )
