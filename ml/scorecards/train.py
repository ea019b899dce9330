"""The scorecards of decisions on orders: learnt from all windows that are over, measured on later months.

`ml.scorecards.orders` has what is asked every day; this brings the rival methods with it, for trainings.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from goodstanding.core.errors import DataProblem
from ml import drift, store
from ml.candidate import SEED, Candidate, probabilities
from ml.features import MINIMUM_OF_CLASS, TEST_CUTS, month_end
from ml.pairs import Pair, rarest
from ml.scorecards.orders import CHARACTERISTICS, COD, Decision, read_orders, read_spans, told_decisions
from ml.scorecards.rivals import SCORECARD, risk_methods
from ml.side_by_side import Question, Tell, answer


def methods_on(decision: Decision) -> dict[str, Candidate]:
    """The methods of `ml.scorecards.rivals` on a decision, and the baselines that a scorecard has to beat."""
    return risk_methods(CHARACTERISTICS, decision.alone)


METHODS = methods_on(COD)


def read_windows(
    connection: duckdb.DuckDBPyConnection, decision: Decision, windows: Sequence[tuple[date, date]]
) -> list[Pair]:
    """For each span of test orders, after a day up to another: they, and all whose windows were over."""
    spans = [
        span for since, until in windows for span in ((date.min, since - decision.window), (since, until))
    ]
    read = read_spans(connection, decision, spans) if spans else []
    return [Pair(*pair) for pair in zip(read[::2], read[1::2], strict=True)]


def read_pairs(connection: duckdb.DuckDBPyConnection, decision: Decision, as_of: date) -> list[Pair]:
    """The newest three months (or spans of them) of orders whose windows are over, to test on, oldest first.

    Raises:
        DataProblem: there is none with enough of what is feared in it and before it; it says what is missing.
    """
    task = decision.task
    over = [end for months in range(-12, 1) if task.moved(end := month_end(as_of, months), 1) <= as_of]
    ends = over[:: -decision.months][:TEST_CUTS][::-1]
    pairs = read_windows(connection, decision, [(month_end(end, -decision.months), end) for end in ends])
    usable = [
        pair
        for pair in pairs
        if len(pair.fit_on.customers)
        and len(pair.test_on.customers)
        and min(rarest(task, pair.fit_on), rarest(task, pair.test_on)) >= MINIMUM_OF_CLASS
    ]
    if not usable:
        raise DataProblem(
            f"{task.name} needs {decision.months} month(s) of its orders whose {task.days} days are over, "
            f"and others before, in each {MINIMUM_OF_CLASS} of which {decision.feared}, and "
            f"{MINIMUM_OF_CLASS} others; up to {as_of} there is none"
        )
    return usable


def read_question(connection: duckdb.DuckDBPyConnection, decision: Decision, as_of: date) -> Question:
    """The question with its pairs, or why it is refused."""
    try:
        return Question(decision.task, read_pairs(connection, decision, as_of))
    except DataProblem as error:
        return Question(decision.task, refused=str(error))


def read_decisions(
    connection: duckdb.DuckDBPyConnection, as_of: date
) -> list[tuple[Question, dict[str, Candidate]]]:
    """The question of each label that the shop tells, with the methods to measure on it."""
    return [
        (read_question(connection, each, as_of), methods_on(each))
        for each in told_decisions(connection, as_of)
    ]


def answer_decisions(
    asked: Sequence[tuple[Question, dict[str, Candidate]]],
    tell: Tell = lambda what, done, total: None,
    processes: int = 1,
) -> dict[str, Any]:
    """What `ml.side_by_side.answer` finds of each by its own methods, in one."""
    found = [answer([question], tell, processes=processes, methods=methods) for question, methods in asked]
    return {
        **found[0],
        **{
            part: {name: of for each in found for name, of in each[part].items()}
            for part in ("tasks", "methods")
        },
    }


def train_scorecard(
    connection: duckdb.DuckDBPyConnection, decision: Decision, as_of: date, models: Path
) -> dict[str, Any]:
    """Fit the scorecard on all orders whose windows are over by a day, and store it; returns its card.

    The card is one of `ml.train` with `scorecard` (see `goodstanding.decisions.scorecard`), `measured` (what
    the rolling months said of it and of the baselines, as `ml.side_by_side.answer` gives it) in place of an
    evaluation, and without `matured`, which `ml.scorecards.orders.drift_of_orders` looks for anew every day.

    Raises:
        DataProblem: too few orders, or a scorecard that does not gain on the baselines; nothing is stored.
    """
    task = decision.task
    pairs = read_pairs(connection, decision, as_of)
    # what a training measures, so that a card ships only where it gains on the baselines
    methods = {name: each for name, each in methods_on(decision).items() if not each.rival}
    measured = answer([Question(task, pairs)], methods=methods)
    found = measured["tasks"][task.name]
    if found["champion"] != SCORECARD:
        raise DataProblem(f"{task.name}: {found['reason']}")
    learnt = read_orders(connection, decision, date.min, as_of - decision.window)
    fitted = methods[SCORECARD].fit(learnt)
    said = probabilities(fitted, learnt, CHARACTERISTICS)
    newest = pairs[-1]
    scorecard = fitted.card(CHARACTERISTICS, decision.method, decision.feared)
    used = tuple(each.name for each in scorecard.characteristics)
    card: dict[str, Any] = {
        "target": task.name,
        "data_day": str(as_of),
        "recipe": SCORECARD,
        "description": methods[SCORECARD].description,
        "classes": list(task.classes),
        "feature_names": list(used),
        "fitted_on": {
            "cut": str(learnt.as_of),
            "label_until": str(as_of),
            "orders": len(learnt.customers),
            "customers": len(np.unique(learnt.customers)),
            "shares": [round(float(np.mean(learnt.labels == n)), 6) for n in range(len(task.classes))],
        },
        "references": drift.references(learnt, used, said, (newest.fit_on, newest.test_on)),
        "measured": {name: found[name] for name in ("cuts", "pooled", "baseline", "gain", "reason")},
        "scorecard": scorecard.to_json(),
        "seed": SEED,
        **store.made_by(),
    }
    model_id = store.model_id(card, said.tobytes())
    card["scorecard"]["model_id"] = model_id
    card = {"model_id": model_id} | card
    store.save_card(card, models)
    return card
