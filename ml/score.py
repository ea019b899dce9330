"""Scoring a day: what every customer will do, by models that knew no later day and customers like today's."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from goodstanding.errors import DataProblem
from ml import drift, store
from ml.candidate import probabilities
from ml.features import Snapshot, read_snapshot
from ml.measures import Floats
from ml.tasks import SCORED, Task, known_to

# The column of each yes-or-no question; the question about classes has two.
COLUMNS = {
    "buys_30d": "buy_30d_probability",
    "buys_60d": "buy_60d_probability",
    "buys_90d": "buy_90d_probability",
    "returns_60d": "return_60d_probability",
}
BUYING = ("buys_30d", "buys_60d", "buys_90d")
CLASS = "class_next_quarter"

TABLES = {
    "customers": ("customer_id", "as_of", *COLUMNS.values(), CLASS, f"{CLASS}_probability"),
    "models": ("as_of", "question", "model_id", "data_day", "recipe", "note"),
    "drift": ("as_of", "question", "kind", "name", "value", "allowed", "is_within"),
}


@dataclass
class _Said:
    """What was said on one question, or the note why nothing was."""

    task: Task
    card: dict[str, Any] | None = None
    probability: Floats | None = None
    drifts: list[drift.Drift] = field(default_factory=list)
    note: str | None = None


def score(connection: duckdb.DuckDBPyConnection, as_of: date, models: Path) -> dict[str, Any]:
    """Replace the tables of `predictions` with what is said of `as_of`, in one transaction of its own.

    Of each question the model is the newest whose data day is not after `as_of`. It is refused where today's
    customers are unlike those it learnt from (`ml.drift`). A purchase within 60 days is at least as likely as
    one within 30, which models of their own need not see, so the lower is raised.

    Returns:
        {as_of, customers (rows written), models: {question: the model_id that scored}, notes: {question: why
        there is nothing}}.

    Raises:
        DataProblem: a model's files cannot be used, or a feature is missing; the tables stay as they were.
    """
    snapshot = read_snapshot(connection, as_of)
    said = [_ask(connection, task, snapshot, models) for task in SCORED]
    rows = {
        "customers": _customers(snapshot, said),
        "models": [_model(each, as_of) for each in said],
        "drift": [
            (as_of, each.task.name, found.kind, found.name, found.value, found.allowed, found.is_within)
            for each in said
            for found in each.drifts
        ],
    }
    _replace(connection, {name: pd.DataFrame(rows[name], columns=TABLES[name]) for name in TABLES})
    return {
        "as_of": str(as_of),
        "customers": len(snapshot.customers),
        "models": {each.task.name: each.card["model_id"] for each in said if each.card and not each.note},
        "notes": {each.task.name: each.note for each in said if each.note},
    }


def _ask(connection: duckdb.DuckDBPyConnection, task: Task, snapshot: Snapshot, models: Path) -> _Said:
    card = store.newest_card(models, task.name, snapshot.as_of)
    if card is None:
        return _Said(task, note=f"no {task.name} model was trained on data up to {snapshot.as_of}")
    if not len(snapshot.customers):
        return _Said(task, card, note=f"marts.customer_features has no customer as of {snapshot.as_of}")
    columns = tuple(card["feature_names"])
    asked = known_to(connection, task, snapshot, columns)
    unknown = sorted(set(columns) - set(asked.features.columns))
    if unknown:
        raise DataProblem(
            f"model {card['model_id']} in {models} reads features that are no longer computed: "
            f"{', '.join(unknown)}; train again"
        )
    probability = probabilities(store.load(models, card["model_id"]), asked, columns)
    drifts = drift.measure(card, asked, probability)
    beyond = [found for found in drifts if not found.is_within]
    note = _refusal(card, max(beyond, key=lambda found: found.value / found.allowed)) if beyond else None
    return _Said(task, card, probability, drifts, note)


def _refusal(card: dict[str, Any], worst: drift.Drift) -> str:
    learnt = card["fitted_on"]["cut"]
    if worst.kind == "calibration":
        return (
            f"refused: its probabilities as of {worst.name} were {worst.value:.3f} off what came, at most "
            f"{worst.allowed} is let pass; train again"
        )
    return (
        f"refused: the stability index of {worst.name} since {learnt} is {worst.value:.3f}, at most "
        f"{worst.allowed} is let pass; train again"
    )


def _customers(snapshot: Snapshot, said: list[_Said]) -> dict[str, Any]:
    nothing = np.full(len(snapshot.customers), np.nan)
    told = {
        each.task.name: each.probability
        for each in said
        if each.probability is not None and each.note is None
    }
    columns: dict[str, Any] = {"customer_id": snapshot.customers, "as_of": snapshot.as_of}
    columns |= {column: told.get(name, nothing) for name, column in COLUMNS.items()}
    by_window = np.vstack([columns[COLUMNS[name]] for name in BUYING])
    # fmax passes over a question of which nothing is said
    raised = np.where(np.isnan(by_window), np.nan, np.fmax.accumulate(by_window))
    columns |= {COLUMNS[name]: row for name, row in zip(BUYING, raised, strict=True)}
    by_class = told.get(CLASS)
    if by_class is None:
        return columns | {CLASS: None, f"{CLASS}_probability": nothing}
    classes = next(np.array(each.task.classes, dtype=object) for each in said if each.task.name == CLASS)
    return columns | {
        CLASS: classes[by_class.argmax(axis=1)],
        f"{CLASS}_probability": by_class.max(axis=1),
    }


def _model(each: _Said, as_of: date) -> tuple[Any, ...]:
    card = each.card or {}
    used = None if each.note else card.get("model_id")
    return as_of, each.task.name, used, card.get("data_day"), card.get("recipe"), each.note


def _replace(connection: duckdb.DuckDBPyConnection, tables: dict[str, pd.DataFrame]) -> None:
    connection.execute("begin transaction")
    try:
        for name, rows in tables.items():
            connection.execute(f"delete from predictions.{name}")
            if len(rows):
                connection.execute(f"insert into predictions.{name} by name select * from rows")
        connection.execute("commit")
    except BaseException:
        with suppress(duckdb.TransactionException):  # a commit that failed has ended it already
            connection.execute("rollback")
        raise
