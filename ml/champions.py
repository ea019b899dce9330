"""Champions: which method answers a question, by the newest evaluation, and how to go back to the one before.

An evaluation leaves a card for each question that it could answer, in `models/evaluations/`, with every
method that was measured. Its champion stands from its data day on: training fits that method, and no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

from goodstanding.errors import WrongUse
from ml import store
from ml.tasks import tasks_named

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
    """Make the champion before the present one stand again.

    The evaluations since the present champion came, and the models trained since, move to folders named
    `withdrawn`, from which they can be moved back.

    Returns:
        {target, champion (who stands again), instead_of, since (the data day of its evaluation), model_id
        (the model that scores from now on; None until the next training), withdrawn (names, newest first)}.

    Raises:
        WrongUse: there is no such question, or it has had one champion only.
    """
    tasks_named([target])
    evaluations = store.cards(models / EVALUATIONS, target)
    present = evaluations[0]["recipe"] if evaluations else None
    earlier = next((card for card in evaluations if card["recipe"] != present), None)
    if earlier is None:
        raise WrongUse(
            f"{target} has no champion yet; train or evaluate first"
            if present is None
            else f"{target} has had no champion but {present}: there is none to go back to"
        )
    first = evaluations[evaluations.index(earlier) - 1]["data_day"]
    withdrawn = []
    for folder in (models, models / EVALUATIONS):
        for card in store.cards(folder, target):
            if card["data_day"] >= first:
                store.put_away(folder, card["model_id"], WITHDRAWN)
                withdrawn.append(card["model_id"])
    left = store.newest_card(models, target, date.max)
    return {
        "target": target,
        "champion": earlier["recipe"],
        "instead_of": present,
        "since": earlier["data_day"],
        "model_id": left and left["model_id"],
        "withdrawn": withdrawn,
    }
