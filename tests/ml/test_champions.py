"""Champions: evaluations appoint them, a day uses the newest one before it, and one call rolls back."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sklearn.dummy import DummyClassifier

from goodstanding.core.errors import WrongUse
from ml import champions, store

NEWEST = date(2011, 12, 31)


def found(champion: str, **refused: str) -> dict[str, Any]:
    """The result of an evaluation of two questions, as far as these tests need it."""
    tasks: dict[str, Any] = {
        name: {"refused": refused.get(name), "champion": None if name in refused else champion}
        for name in ("buys_30d", "buys_90d")
    }
    return {"tasks": tasks, "methods": {champion: {"balance": None}}, "seed": 1}


def fill(models: Path, *entries: tuple[str, int, str]) -> None:
    """Store evaluations and models, each given as kind, month of 2011 and method."""
    for kind, month, method in entries:
        day = date(2011, month, 1)
        if kind == "evaluation":
            champions.appoint(found(method), day, models, by="evaluate")
        else:
            name = f"buys_90d-{day}-{method}-0"
            card = {"model_id": name, "target": "buys_90d", "data_day": str(day), "recipe": method}
            store.save(DummyClassifier(), card, models)


def champion_on(models: Path, day: date = NEWEST) -> Any:
    card = champions.champion(models, "buys_90d", day)
    return card and card["recipe"]


def test_every_answered_question_gets_a_card_with_the_whole_result(tmp_path: Path) -> None:
    cards = champions.appoint(found("lda", buys_30d="too short"), date(2011, 5, 31), tmp_path, by="evaluate")

    assert list(cards) == ["buys_90d"]
    card = cards["buys_90d"]
    assert champions.champion(tmp_path, "buys_90d", NEWEST) == card
    assert champions.champion(tmp_path, "buys_30d", NEWEST) is None
    assert (card["data_day"], card["by"], card["champion"], card["seed"]) == (
        "2011-05-31",
        "evaluate",
        "lda",
        1,
    )
    assert card["methods"] == {"lda": {"balance": None}} and card["library_versions"]["scikit-learn"]


def test_a_champion_is_used_from_the_day_of_its_data_on(tmp_path: Path) -> None:
    fill(tmp_path, ("evaluation", 3, "lda"), ("evaluation", 5, "mlp"))

    assert champion_on(tmp_path, date(2011, 2, 28)) is None
    assert champion_on(tmp_path, date(2011, 4, 30)) == "lda"
    assert champion_on(tmp_path, date(2011, 5, 1)) == "mlp"


def test_rolling_back_restores_the_previous_champion_and_its_last_model(tmp_path: Path) -> None:
    fill(
        tmp_path,
        *(("evaluation", 3, "lda"), ("model", 3, "lda"), ("model", 4, "lda")),
        *(("evaluation", 5, "mlp"), ("model", 5, "mlp"), ("evaluation", 6, "mlp"), ("model", 6, "mlp")),
    )
    rollback = champions.roll_back(tmp_path, "buys_90d")

    assert (rollback["champion"], rollback["instead_of"], rollback["since"]) == ("lda", "mlp", "2011-03-01")
    assert rollback["model_id"] == "buys_90d-2011-04-01-lda-0" and len(rollback["withdrawn"]) == 4
    assert champion_on(tmp_path) == "lda"
    card = store.newest_card(tmp_path, "buys_90d", NEWEST)
    assert card and store.load(tmp_path, card["model_id"])
    # nothing is deleted: everything withdrawn is put aside
    away = {path.name for path in tmp_path.glob(f"**/{champions.WITHDRAWN}/*")}
    assert away >= {f"{name}.json" for name in rollback["withdrawn"]} and len(away) == 8
    # the other question is unchanged
    assert len(store.cards(tmp_path / champions.EVALUATIONS, "buys_30d")) == 3


def test_a_champion_appointed_several_times_needs_one_rollback_for_each_time(tmp_path: Path) -> None:
    fill(tmp_path, ("evaluation", 3, "lda"), ("evaluation", 4, "mlp"), ("evaluation", 5, "lda"))

    assert champions.roll_back(tmp_path, "buys_90d")["champion"] == "mlp"
    again = champions.roll_back(tmp_path, "buys_90d")
    assert (again["champion"], again["model_id"]) == ("lda", None)
    assert champion_on(tmp_path) == "lda"


@pytest.mark.parametrize(
    ("stood", "question", "message"),
    [
        ([], "buys_90d", "buys_90d has no champion yet; train or evaluate first"),
        (
            [("evaluation", 3, "lda"), ("evaluation", 4, "lda")],
            "buys_90d",
            "no champion but lda: there is none",
        ),
        (
            [("evaluation", 3, "lda")],
            "buys_9d",
            "there is no task buys_9d; there are present_class, buys_30d",
        ),
    ],
)
def test_with_nothing_to_roll_back_to_the_error_says_so_and_nothing_moves(
    tmp_path: Path, stood: list[Any], question: str, message: str
) -> None:
    fill(tmp_path, *stood)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(WrongUse, match=message):
        champions.roll_back(tmp_path, question)
    assert sorted(tmp_path.rglob("*")) == before
