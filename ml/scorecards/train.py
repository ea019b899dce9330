"""Train and evaluate the scorecards that decide on orders, and measure them against other methods.

A scorecard learns from all orders whose windows are over, and is measured on later months. The daily run
needs `ml.scorecards.orders` alone; this module loads the methods to compare with, which only trainings and
evaluations need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import numpy as np

from goodstanding.core.errors import DataProblem
from goodstanding.core.version import code_version
from goodstanding.decisions.facts import told
from goodstanding.decisions.policy import BASKET
from goodstanding.warehouse.figures import figures
from ml import drift, store
from ml.candidate import SEED, Candidate, probabilities
from ml.cards import ModelCard
from ml.features import MINIMUM_OF_CLASS, TEST_CUTS, Snapshot, month_end
from ml.pairs import Pair, rarest
from ml.scorecards.bins import Stated
from ml.scorecards.fit import PointsScorecard
from ml.scorecards.orders import (
    CHARACTERISTICS,
    COD,
    DECISIONS,
    Decision,
    characteristics,
    read_orders,
    read_spans,
    reported_decisions,
)
from ml.scorecards.rivals import SCORECARD, risk_methods
from ml.side_by_side import Evaluation, Progress, Question, answer


def methods_on(decision: Decision, names: tuple[str, ...] = CHARACTERISTICS) -> dict[str, Candidate]:
    """The methods of `ml.scorecards.rivals` and the baselines that a decision's scorecard has to beat."""
    return risk_methods(names, decision.baselines, tuple(map(_stated, names)))


def _stated(name: str) -> Stated:
    # which basket is granted is read off its own points
    return Stated(told(name).direction, told(name).is_never, may_pair=name != BASKET)


METHODS = methods_on(COD)


def read_windows(
    connection: duckdb.DuckDBPyConnection,
    decision: Decision,
    windows: Sequence[tuple[date, date]],
    names: Sequence[str] = CHARACTERISTICS,
) -> list[Pair]:
    """A pair for each span of test orders: these orders, and all orders whose windows were over before them.

    Args:
        connection: a warehouse with the marts.
        decision: whose orders.
        windows: spans of test orders, each after a day up to and with another.
        names: the characteristics to read.
    """
    spans = [
        span for since, until in windows for span in ((date.min, since - decision.window), (since, until))
    ]
    read = read_spans(connection, decision, spans, names) if spans else []
    return [Pair(*pair) for pair in zip(read[::2], read[1::2], strict=True)]


def read_pairs(connection: duckdb.DuckDBPyConnection, decision: Decision, as_of: date) -> list[Pair]:
    """The newest three spans of test orders whose windows are over, oldest first, with what came before each.

    A span is a month, or as many months as the decision is tested on at once.

    Raises:
        DataProblem: in no span are there enough bad orders, in it and before it; it says what is missing.
    """
    task = decision.task
    over = [end for months in range(-12, 1) if task.moved(end := month_end(as_of, months), 1) <= as_of]
    ends = over[:: -decision.months][:TEST_CUTS][::-1]
    windows = [(month_end(end, -decision.months), end) for end in ends]
    pairs = read_windows(connection, decision, windows, characteristics(connection, as_of))
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
            f"and others before, in each {MINIMUM_OF_CLASS} of which {decision.bad_outcome}, and "
            f"{MINIMUM_OF_CLASS} others; up to {as_of} there is none"
        )
    return usable


def read_question(connection: duckdb.DuckDBPyConnection, decision: Decision, as_of: date) -> Question:
    """The question of a decision with its pairs, or why it is refused."""
    try:
        return Question(decision.task, read_pairs(connection, decision, as_of))
    except DataProblem as error:
        return Question(decision.task, refused=str(error))


def read_decisions(
    connection: duckdb.DuckDBPyConnection, as_of: date, names: Sequence[str] = ()
) -> list[tuple[Question, dict[str, Candidate]]]:
    """The question of each label, with the methods to measure on it.

    Args:
        connection: a warehouse with the marts.
        as_of: the last day known.
        names: of labels; one that the shop does not report is refused. Default: all that it reports.
    """
    reported = reported_decisions(connection, as_of)
    asked = [decision for decision in DECISIONS if decision.name in names] if names else reported
    return [
        (
            read_question(connection, decision, as_of)
            if decision in reported
            else Question(decision.task, refused=f"{decision.name}: the shop reported none up to {as_of}"),
            methods_on(decision, characteristics(connection, as_of)),
        )
        for decision in asked
    ]


def answer_decisions(
    asked: Sequence[tuple[Question, dict[str, Candidate]]],
    progress: Progress = lambda what, done, total: None,
    processes: int = 1,
) -> Evaluation:
    """Measure each question by its own methods (`ml.side_by_side.answer`), and join the results."""
    evaluations = [
        answer([question], progress, processes=processes, methods=methods) for question, methods in asked
    ]
    joined = evaluations[0]
    for evaluation in evaluations[1:]:
        joined["tasks"] |= evaluation["tasks"]
        joined["methods"] |= evaluation["methods"]
    return joined


def bad_share_of_first(learnt: Snapshot) -> float | None:
    """The bad share of the orders before which a customer had none; None where too few of them turned bad.

    A first-time buyer cannot be told from another by a score, so this is what all of them are priced by.
    """
    if "orders" not in learnt.features:
        return None
    bad = learnt.labels[(learnt.features["orders"] == 0).to_numpy()]
    return round(float(bad.mean()), 4) if bad.sum() >= MINIMUM_OF_CLASS else None


def train_scorecard(
    connection: duckdb.DuckDBPyConnection, decision: Decision, as_of: date, models: Path
) -> ModelCard:
    """Fit the scorecard on all orders whose windows are over by a day, and store its card.

    Raises:
        DataProblem: too few orders, or a scorecard that does not gain on the baselines; nothing is stored.
    """
    task = decision.task
    pairs = read_pairs(connection, decision, as_of)
    # measured against the baselines at every training: a card ships only where it gains on them
    names = characteristics(connection, as_of)
    methods = {name: method for name, method in methods_on(decision, names).items() if not method.rival}
    result = answer([Question(task, pairs)], methods=methods)["tasks"][task.name]
    if result["champion"] != SCORECARD:
        raise DataProblem(f"{task.name}: {result['reason']}")
    learnt = read_orders(connection, decision, date.min, as_of - decision.window, names)
    fitted: PointsScorecard = methods[SCORECARD].fit(learnt)
    predicted = probabilities(fitted, learnt, names)
    newest = pairs[-1]
    scorecard = replace(
        fitted.card(names, decision.method, decision.bad_outcome),
        chance_first=bad_share_of_first(learnt),
    )
    used = scorecard.names
    card: ModelCard = {
        "model_id": "",
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
        "figures": figures(connection),
        "references": drift.references(learnt, used, predicted, (newest.fit_on, newest.test_on)),
        "measured": {
            "cuts": result["cuts"],
            "pooled": result["pooled"],
            "baseline": result["baseline"],
            "gain": result["gain"],
            "reason": result["reason"],
        },
        "scorecard": scorecard.to_json(),
        "seed": SEED,
        "code_version": code_version(),
        "library_versions": store.library_versions(),
    }
    card["model_id"] = card["scorecard"]["model_id"] = store.model_id(card, predicted.tobytes())
    store.save_card(card, models)
    return card
