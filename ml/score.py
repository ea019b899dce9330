"""Scoring a day: what every customer will do, by models that knew no later day and customers like today's.

Segments need no model: they are those of the day itself.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from goodstanding.core.errors import DataProblem
from ml import drift, store, worth
from ml.candidate import probabilities
from ml.features import Snapshot, read_snapshot
from ml.scorecards import orders
from ml.segments.assign import segment_of_each
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

WORTH = (
    *("expected_orders_90d", "expected_spend_90d"),
    *("next_order_day", "next_order_from", "next_order_until"),
)

TABLES = {
    "customers": (
        *("customer_id", "as_of", *COLUMNS.values(), CLASS, f"{CLASS}_probability"),
        *(*WORTH, "segment", "model_id", "note"),
    ),
    "models": ("as_of", "question", "model_id", "data_day", "recipe", "note"),
    "drift": ("as_of", "question", "kind", "name", "value", "allowed", "is_within"),
    "scorecards": ("as_of", "decision", "model_id", "data_day", "card", "note"),
}


@dataclass
class _Said:
    """What was said on one question, or the note why nothing was; a remark goes with what was said."""

    question: str
    card: dict[str, Any] | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    drifts: list[drift.Drift] = field(default_factory=list)
    note: str | None = None
    remark: str | None = None


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
    said = [_ask_task(connection, task, snapshot, models) for task in SCORED]
    said.append(_ask_worth(connection, snapshot, models))
    by_points = [_ask_decision(connection, method, snapshot, models) for method in orders.METHODS]
    said += by_points
    rows = {
        "customers": _customers(snapshot, said),
        "models": [_model(each, as_of) for each in said],
        "drift": [
            (as_of, each.question, found.kind, found.name, found.value, found.allowed, found.is_within)
            for each in said
            for found in each.drifts
        ],
        "scorecards": [_scorecard(each, as_of) for each in by_points],
    }
    _replace(connection, {name: pd.DataFrame(rows[name], columns=TABLES[name]) for name in TABLES})
    return {
        "as_of": str(as_of),
        "customers": len(snapshot.customers),
        "models": {each.question: each.card["model_id"] for each in said if each.card and not each.note},
        "notes": {each.question: each.note for each in said if each.note},
    }


def _ask_task(connection: duckdb.DuckDBPyConnection, task: Task, snapshot: Snapshot, models: Path) -> _Said:
    said = _found(task.name, snapshot, models)
    if said.note or not said.card:
        return said
    names = tuple(said.card["feature_names"])
    asked = known_to(connection, task, snapshot, names)
    unknown = sorted(set(names) - set(asked.features.columns))
    if unknown:
        raise DataProblem(
            f"model {said.card['model_id']} in {models} reads features that are no longer computed: "
            f"{', '.join(unknown)}; train again"
        )
    probability = probabilities(store.load(models, said.card["model_id"]), asked, names)
    if task.name in COLUMNS:
        columns = {COLUMNS[task.name]: probability}
    else:
        classes = np.array(task.classes, dtype=object)
        columns = {
            CLASS: classes[probability.argmax(axis=1)],
            f"{CLASS}_probability": probability.max(axis=1),
        }
    return _judged(said, columns, drift.measure(said.card, asked, probability))


def _ask_worth(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, models: Path) -> _Said:
    said = _found(worth.TARGET, snapshot, models)
    if said.note or not said.card:
        return said
    columns, probability = worth.ask_worth(connection, store.load(models, said.card["model_id"]), snapshot)
    return _judged(said, columns, drift.measure(said.card, snapshot, probability))


def _ask_decision(
    connection: duckdb.DuckDBPyConnection, method: str, snapshot: Snapshot, models: Path
) -> _Said:
    """Whether the scorecard may be used; its points are added up with a basket, where a decision is asked."""
    decision, card = orders.newest_card(models, method, snapshot.as_of)
    said = replace(_said(method, card, snapshot), remark=decision.note)
    if said.note or not card:
        return said
    drifts = orders.drift_of_orders(connection, decision, card, snapshot.as_of, models)
    if not drifts:
        return replace(said, note=f"no order of the last {orders.ASKED_DAYS} days to judge it by")
    return _judged(said, {}, drifts)


def _found(question: str, snapshot: Snapshot, models: Path) -> _Said:
    return _said(question, store.newest_card(models, question, snapshot.as_of), snapshot)


def _said(question: str, card: dict[str, Any] | None, snapshot: Snapshot) -> _Said:
    if card is None:
        return _Said(question, note=f"no {question} model was trained on data up to {snapshot.as_of}")
    if not len(snapshot.customers):
        note = f"features.customer_features has no customer as of {snapshot.as_of}"
        return _Said(question, card, note=note)
    return _Said(question, card)


def _judged(said: _Said, columns: dict[str, Any], drifts: list[drift.Drift]) -> _Said:
    beyond = [found for found in drifts if not found.is_within]
    if beyond and said.card:
        worst = max(beyond, key=lambda found: found.value / found.allowed)
        return replace(said, drifts=drifts, note=_refusal(said.card, worst))
    return replace(said, drifts=drifts, columns=columns)


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
    columns: dict[str, Any] = dict.fromkeys(TABLES["customers"])
    for each in said:
        columns |= each.columns
    nothing = np.full(len(snapshot.customers), np.nan)
    buying = [nothing if columns[COLUMNS[name]] is None else columns[COLUMNS[name]] for name in BUYING]
    # fmax passes over a question of which nothing is said
    raised = np.where(np.isnan(buying), np.nan, np.fmax.accumulate(buying))
    columns |= {COLUMNS[name]: row for name, row in zip(BUYING, raised, strict=True)}
    last = next(each for each in said if each.question == BUYING[-1])
    return columns | {
        "customer_id": snapshot.customers,
        "as_of": snapshot.as_of,
        "segment": _segments(snapshot),
        "model_id": last.card["model_id"] if last.columns and last.card else None,
        "note": last.note,
    }


def _segments(snapshot: Snapshot) -> Any:
    try:
        return segment_of_each(snapshot)[1]
    except DataProblem:
        # a shop of too few customers has none; the description of the column says how many it takes
        return None


def _model(each: _Said, as_of: date) -> tuple[Any, ...]:
    card = each.card or {}
    used = None if each.note else card.get("model_id")
    return as_of, each.question, used, card.get("data_day"), card.get("recipe"), each.note


def _scorecard(each: _Said, as_of: date) -> tuple[Any, ...]:
    _, question, model_id, data_day, _, note = _model(each, as_of)
    card = json.dumps(each.card["scorecard"]) if each.card and not note else None
    return as_of, question, model_id, data_day, card, note or each.remark


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
