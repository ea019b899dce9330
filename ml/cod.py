"""Cash on delivery: which order comes back, learnt by a points scorecard and measured on later months.

`ml.orders` has what is asked every day; this, which brings the rival methods with it, is for trainings.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from goodstanding.errors import DataProblem
from ml import drift, store
from ml.candidate import SEED, probabilities
from ml.features import MINIMUM_OF_CLASS, TEST_CUTS, month_end
from ml.orders import CHARACTERISTICS, COD, FEARED, TARGET, read_orders
from ml.pairs import Pair, rarest
from ml.risk import SCORECARD, risk_methods
from ml.side_by_side import Question, answer

METHODS = risk_methods(
    CHARACTERISTICS,
    {
        "basket": "the amount of the order alone; a logistic curve makes it a probability",
        "return_rate": "the share of earlier orders that came back, alone; a logistic curve likewise",
    },
)
# what a training measures, so that a card ships only where it gains on the baselines
MEASURED = ("majority", "basket", "return_rate", SCORECARD)


def read_windows(connection: duckdb.DuckDBPyConnection, windows: Sequence[tuple[date, date]]) -> list[Pair]:
    """For each window of test orders, after a day up to another: they, and all whose 60 days were over."""
    days = timedelta(days=COD.days)
    return [
        Pair(read_orders(connection, date.min, since - days), read_orders(connection, since, until))
        for since, until in windows
    ]


def read_pairs(connection: duckdb.DuckDBPyConnection, as_of: date) -> list[Pair]:
    """The orders of the newest three months whose 60 days are over by a day, each to test on, oldest first.

    Raises:
        DataProblem: there is none with enough orders that came back before it; it says what is missing.
    """
    ends = [end for months in range(-8, 1) if COD.moved(end := month_end(as_of, months), 1) <= as_of]
    pairs = read_windows(connection, [(month_end(end, -1), end) for end in ends[-TEST_CUTS:]])
    usable = [
        pair
        for pair in pairs
        if len(pair.fit_on.customers)
        and min(rarest(COD, pair.fit_on), rarest(COD, pair.test_on)) >= MINIMUM_OF_CLASS
    ]
    if not usable:
        raise DataProblem(
            f"{TARGET} needs a month of orders whose {COD.days} days are over, and as many before it, with "
            f"{MINIMUM_OF_CLASS} orders in each that came back and {MINIMUM_OF_CLASS} that did not; up to "
            f"{as_of} there is none"
        )
    return usable


def read_question(connection: duckdb.DuckDBPyConnection, as_of: date) -> Question:
    """The question with its pairs, or why it is refused."""
    try:
        return Question(COD, read_pairs(connection, as_of))
    except DataProblem as error:
        return Question(COD, refused=str(error))


def train_cod(connection: duckdb.DuckDBPyConnection, as_of: date, models: Path) -> dict[str, Any]:
    """Fit the scorecard on all orders whose 60 days are over by a day, and store it; returns its card.

    The card is one of `ml.train` with `scorecard` (see `decisions.scorecard`), `measured` (what the rolling
    months said of it and of the baselines, as `ml.side_by_side.answer` gives it) in place of an evaluation.

    Raises:
        DataProblem: too few orders, or a scorecard that does not gain on the baselines; nothing is stored.
    """
    pairs = read_pairs(connection, as_of)
    measured = answer([Question(COD, pairs)], methods={name: METHODS[name] for name in MEASURED})
    found = measured["tasks"][TARGET]
    if found["champion"] != SCORECARD:
        raise DataProblem(f"{TARGET}: {found['reason']}")
    learnt = read_orders(connection, date.min, as_of - timedelta(days=COD.days))
    fitted = METHODS[SCORECARD].fit(learnt)
    said = probabilities(fitted, learnt, CHARACTERISTICS)
    newest = pairs[-1]
    scorecard = fitted.card(CHARACTERISTICS, TARGET, FEARED)
    used = tuple(each.name for each in scorecard.characteristics)
    card: dict[str, Any] = {
        "target": TARGET,
        "data_day": str(as_of),
        "recipe": SCORECARD,
        "description": METHODS[SCORECARD].description,
        "classes": list(COD.classes),
        "feature_names": list(used),
        "fitted_on": {
            "cut": str(learnt.as_of),
            "label_until": str(as_of),
            "orders": len(learnt.customers),
            "customers": len(np.unique(learnt.customers)),
            "shares": [round(float(np.mean(learnt.labels == n)), 6) for n in range(len(COD.classes))],
        },
        "references": drift.references(learnt, used, said, (newest.fit_on, newest.test_on)),
        "matured": None,
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
