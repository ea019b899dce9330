"""Score a day: write to the schema `predictions` what each customer is expected to do, by the stored models.

A model may only score days on or after its data day, and customers like those that it was fitted on; else it
is refused and its columns stay null. Segments need no model: they are computed from the day itself.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, TypedDict

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goodstanding.core.errors import DataProblem
from goodstanding.warehouse.figures import figures, otherwise
from ml import drift, store, worth
from ml.candidate import probabilities
from ml.cards import ModelCard
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


class Scoring(TypedDict):
    """The result of scoring a day."""

    as_of: str
    """ISO date."""
    customers: int
    """Rows written."""
    models: dict[str, str]
    """{question: the model_id that scored}."""
    notes: dict[str, str]
    """{question: why no model scored}."""
    remarks: dict[str, str]
    """{question: why the model that scored should be trained again}."""


@dataclass
class _Answer:
    """The predictions of a model for one question, or the reason why there are none.

    Attributes:
        question: a task, worth, or a method of `ml.scorecards.orders`.
        card: of the newest model, also where it is refused.
        columns: of `predictions.customers`, (customers,) each; empty where it is refused.
        drifts: what the model was judged by.
        note: why it predicts nothing, or None.
        learnt_otherwise: what to say of a model that is used and has learnt from figures that were computed
            otherwise than today's, or None.
        remark: what goes with a scorecard that is used.
    """

    question: str
    card: ModelCard | None = None
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)
    drifts: list[drift.Drift] = field(default_factory=list)
    note: str | None = None
    learnt_otherwise: str | None = None
    remark: str | None = None

    @property
    def said(self) -> str | None:
        """What readers are told: why it predicts nothing, or why its model should be trained again."""
        return self.note or self.learnt_otherwise


def score(connection: duckdb.DuckDBPyConnection, as_of: date, models: Path) -> Scoring:
    """Replace the tables of `predictions` with the predictions as of `as_of`, in one transaction of its own.

    Each question is answered by its newest model whose data day is not after `as_of`. The model is refused
    where today's customers are unlike those it was fitted on (`ml.drift`). A purchase within 60 days is at
    least as likely as one within 30; separate models need not agree with that, so the lower is raised.
    A model that has learnt from figures of another reading or other SQL is used, but never without a word:
    where customers come out unlike those that it learnt from, drift refuses it.

    Raises:
        DataProblem: a model's files cannot be used, or a feature is missing; the tables stay as they were.
    """
    snapshot = read_snapshot(connection, as_of)
    answers = [_ask_task(connection, task, snapshot, models) for task in SCORED]
    answers.append(_ask_worth(connection, snapshot, models))
    decisions = [_ask_decision(connection, method, snapshot, models) for method in orders.METHODS]
    answers += decisions
    now = figures(connection)
    for answer in answers:
        answer.learnt_otherwise = _learnt_otherwise(answer, now)
    rows = {
        "customers": _customers(snapshot, answers),
        "models": [_model(answer, as_of) for answer in answers],
        "drift": [
            (as_of, answer.question, one.kind, one.name, one.value, one.allowed, one.is_within)
            for answer in answers
            for one in answer.drifts
        ],
        "scorecards": [_scorecard(answer, as_of) for answer in decisions],
    }
    _replace(connection, {name: pd.DataFrame(rows[name], columns=TABLES[name]) for name in TABLES})
    return {
        "as_of": str(as_of),
        "customers": len(snapshot.customers),
        "models": {
            answer.question: answer.card["model_id"] for answer in answers if answer.card and not answer.note
        },
        "notes": {answer.question: answer.note for answer in answers if answer.note},
        "remarks": {
            answer.question: answer.learnt_otherwise for answer in answers if answer.learnt_otherwise
        },
    }


def _ask_task(connection: duckdb.DuckDBPyConnection, task: Task, snapshot: Snapshot, models: Path) -> _Answer:
    answer = _by_newest_model(task.name, snapshot, models)
    if answer.note or not answer.card:
        return answer
    card = answer.card
    names = tuple(card["feature_names"])
    customers = known_to(connection, task, snapshot, names)
    unknown = sorted(set(names) - set(customers.features.columns))
    if unknown:
        raise DataProblem(
            f"model {card['model_id']} in {models} reads features that are no longer computed: "
            f"{', '.join(unknown)}; train again"
        )
    probability = probabilities(store.load(models, card["model_id"]), customers, names)
    if task.name in COLUMNS:
        columns = {COLUMNS[task.name]: probability}
    else:
        classes = np.array(task.classes, dtype=object)
        columns = {
            CLASS: classes[probability.argmax(axis=1)],
            f"{CLASS}_probability": probability.max(axis=1),
        }
    return _judged(answer, columns, drift.measure(card, customers, probability))


def _ask_worth(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, models: Path) -> _Answer:
    answer = _by_newest_model(worth.TARGET, snapshot, models)
    if answer.note or not answer.card:
        return answer
    model: worth.Worth = store.load(models, answer.card["model_id"])
    columns, probability = worth.ask_worth(connection, model, snapshot)
    return _judged(answer, columns, drift.measure(answer.card, snapshot, probability))


def _ask_decision(
    connection: duckdb.DuckDBPyConnection, method: str, snapshot: Snapshot, models: Path
) -> _Answer:
    """Whether the scorecard may be used; it gives points only to a basket, when a decision is asked for."""
    decision, card = orders.newest_card(models, method, snapshot.as_of)
    answer = replace(_by_card(method, card, snapshot), remark=decision.note)
    if answer.note or not card:
        return answer
    drifts = orders.drift_of_orders(connection, decision, card, snapshot.as_of, models)
    if not drifts:
        return replace(answer, note=f"no order of the last {orders.ASKED_DAYS} days to judge it by")
    return _judged(answer, {}, drifts)


def _by_newest_model(question: str, snapshot: Snapshot, models: Path) -> _Answer:
    return _by_card(question, store.newest_card(models, question, snapshot.as_of), snapshot)


def _by_card(question: str, card: ModelCard | None, snapshot: Snapshot) -> _Answer:
    """An answer still without columns, or why there is none."""
    if card is None:
        return _Answer(question, note=f"no {question} model was trained on data up to {snapshot.as_of}")
    if not len(snapshot.customers):
        note = f"features.customer_features has no customer as of {snapshot.as_of}"
        return _Answer(question, card, note=note)
    return _Answer(question, card)


def _judged(answer: _Answer, columns: dict[str, NDArray[Any]], drifts: list[drift.Drift]) -> _Answer:
    beyond = [one for one in drifts if not one.is_within]
    if beyond and answer.card:
        worst = max(beyond, key=lambda one: one.value / one.allowed)
        return replace(answer, drifts=drifts, note=_refusal(answer.card, worst))
    return replace(answer, drifts=drifts, columns=columns)


def _refusal(card: ModelCard, worst: drift.Drift) -> str:
    learnt = card["fitted_on"]["cut"]
    if worst.kind == "calibration":
        return (
            f"refused: its probabilities as of {worst.name} were {worst.value:.3f} off the actual share, at "
            f"most {worst.allowed} is allowed; train again"
        )
    return (
        f"refused: the stability index of {worst.name} since {learnt} is {worst.value:.3f}, at most "
        f"{worst.allowed} is allowed; train again"
    )


def _learnt_otherwise(answer: _Answer, now: dict[str, str]) -> str | None:
    """The word about a model that is used and has learnt from other figures than today's, or None."""
    if answer.note or not answer.card:
        return None
    changed = otherwise(answer.card.get("figures", {}), now)
    if not changed:
        return None
    have = "has" if len(changed) == 1 else "have"
    return (
        f"its model was trained on figures that were computed otherwise ({' and '.join(changed)} {have} "
        "changed since); train again (`goodstanding train`)"
    )


def _customers(snapshot: Snapshot, answers: list[_Answer]) -> dict[str, Any]:
    """The columns of `predictions.customers`."""
    columns: dict[str, Any] = dict.fromkeys(TABLES["customers"])
    for answer in answers:
        columns |= answer.columns
    nothing = np.full(len(snapshot.customers), np.nan)
    buying = [nothing if columns[COLUMNS[name]] is None else columns[COLUMNS[name]] for name in BUYING]
    # fmax passes over a question without predictions
    raised = np.where(np.isnan(buying), np.nan, np.fmax.accumulate(buying))
    columns |= {COLUMNS[name]: row for name, row in zip(BUYING, raised, strict=True)}
    last = next(answer for answer in answers if answer.question == BUYING[-1])
    return columns | {
        "customer_id": snapshot.customers,
        "as_of": snapshot.as_of,
        "segment": _segments(snapshot),
        "model_id": last.card["model_id"] if last.columns and last.card else None,
        "note": last.said,
    }


def _segments(snapshot: Snapshot) -> Any:
    try:
        return segment_of_each(snapshot)[1]
    except DataProblem:
        # a shop with too few customers has none; the description of the column says how many are needed
        return None


def _model(answer: _Answer, as_of: date) -> tuple[Any, ...]:
    """A row of `predictions.models`."""
    card = answer.card
    if card is None:
        return as_of, answer.question, None, None, None, answer.note
    used = None if answer.note else card["model_id"]
    return as_of, answer.question, used, card["data_day"], card["recipe"], answer.said


def _scorecard(answer: _Answer, as_of: date) -> tuple[Any, ...]:
    """A row of `predictions.scorecards`."""
    _, question, model_id, data_day, *_ = _model(answer, as_of)
    if answer.note or not answer.card:
        return as_of, question, model_id, data_day, None, answer.note
    said = "; ".join(filter(None, (answer.remark, answer.learnt_otherwise)))
    return as_of, question, model_id, data_day, json.dumps(answer.card["scorecard"]), said or None


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
