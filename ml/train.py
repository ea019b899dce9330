"""Training who buys within 90 days: time cuts, all candidates measured, one promoted, stored, described."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from goodstanding.errors import DataProblem
from ml import evaluate, store
from ml.features import (
    HORIZON,
    MINIMUM_OF_CLASS,
    TEST_CUTS,
    Snapshot,
    labelled_cuts,
    read_labelled,
    rolling_cuts,
)
from ml.purchase import BASELINES, CANDIDATES, CHALLENGERS, MEAN_RFM_RANK, SEED, TARGET, probabilities


def train(connection: duckdb.DuckDBPyConnection, as_of: date, models: Path) -> dict[str, Any]:
    """Train as of a day, from what was known by then, and store the shipped model with its card.

    Test cuts are the newest three month ends whose 90 days after them are over; each is scored by candidates
    fitted on the newest month end whose 90 days were over at that test cut. The recipe that ships is then
    fitted once more, on the newest labelled month end: the measures belong to the recipe.

    Args:
        connection: a warehouse with `marts.customer_features` and `intermediate.int_purchase_labels`; it may
            hold later days than `as_of`, which are not read.
        as_of: the data day of the model; it may score this day and later ones.
        models: the folder of the model store.

    Returns:
        The card. Every measure is {value, low, high}, the bounds a 95 % bootstrap interval over customers:

        - `model_id`, `target`, `data_day`, `recipe` (the name of the candidate shipped), `description`,
          `feature_names` (in the model's order), `reason` (why this one shipped, in one sentence), `note`;
        - `fitted_on`: {cut, label_until, customers, base_rate} of the shipped model;
        - `candidates`: a list, simplest first, of {name, description, kind (baseline | challenger), shipped,
          measures: {auc, average_precision, brier, log_loss, ece, accuracy, macro_f1}, auc_gain (over
          `baseline`; None for itself): {value, low, high, p_value, and of challengers p_holm}}, pooled over
          the test cuts as in `evaluate.compare`;
        - `test_cuts`: a list of {train_cut, test_cut, label_until, train_customers, train_base_rate,
          customers, base_rate, measures: {candidate: {measure: ...}}};
        - `baseline`, `horizon_days`, `bootstrap_folds`, `confidence`, `seed`, `code_version`,
          `library_versions`.

    Raises:
        DataProblem: too few month ends or customers; it names the number. No model is written.
    """
    # Threads of linear algebra wait for each other on busy cores: the bootstrap took 1.5 s with one, 1.5 to
    # 4.5 s with two. And with their number the last digits could change, and so the model_id.
    with threadpool_limits(limits=1):
        return _train(connection, as_of, models)


def _train(connection: duckdb.DuckDBPyConnection, as_of: date, models: Path) -> dict[str, Any]:
    pairs = _cuts(connection, as_of)
    results = [_fit_and_score(fit_on, test_on) for fit_on, test_on in pairs]
    comparison = evaluate.compare(
        results, MEAN_RFM_RANK.name, [candidate.name for candidate in CHALLENGERS], seed=SEED
    )
    recipe, reason = evaluate.promote(comparison["auc_gain"], MEAN_RFM_RANK.name)

    shipped, newest = CANDIDATES[recipe], pairs[-1][1]
    model = shipped.fit(newest)
    card: dict[str, Any] = {
        "target": TARGET,
        "data_day": str(as_of),
        "recipe": recipe,
        "description": shipped.description,
        "reason": reason,
        "note": f"The model is the recipe fitted on the customers as of {newest.as_of}; the measures belong "
        "to the recipe: fitted on each train cut, measured on the test cut after it.",
        "fitted_on": _facts(newest),
        "feature_names": list(shipped.columns),
        "baseline": MEAN_RFM_RANK.name,
        "candidates": _candidates(comparison, recipe),
        "test_cuts": [
            {
                "train_cut": str(fit_on.as_of),
                "test_cut": str(test_on.as_of),
                "label_until": str(test_on.as_of + HORIZON),
                "train_customers": len(fit_on.customers),
                "train_base_rate": _base_rate(fit_on),
                "customers": len(test_on.customers),
                "base_rate": _base_rate(test_on),
                "measures": measured,
            }
            for (fit_on, test_on), measured in zip(pairs, comparison["cuts"], strict=True)
        ],
        "horizon_days": HORIZON.days,
        "bootstrap_folds": evaluate.FOLDS,
        "confidence": evaluate.CONFIDENCE,
        "seed": SEED,
        "code_version": store.code_version(),
        "library_versions": store.library_versions(),
    }
    predictions = probabilities(model, newest, shipped.columns)
    card = {"model_id": store.model_id(card, predictions.tobytes())} | card
    store.save(model, card, models)
    return card


def _cuts(connection: duckdb.DuckDBPyConnection, as_of: date) -> list[tuple[Snapshot, Snapshot]]:
    """Train and test snapshots, oldest first: at most three pairs, each with enough of both classes."""
    cuts = labelled_cuts(connection, as_of)
    newest = rolling_cuts(cuts, lambda cut: cut + HORIZON, as_of)[-TEST_CUTS:]
    snapshots = {cut: read_labelled(connection, cut) for pair in newest for cut in pair}
    pairs = [(snapshots[fit_on], snapshots[test_on]) for fit_on, test_on in newest]
    usable = [pair for pair in pairs if min(snapshot.smaller_class for snapshot in pair) >= MINIMUM_OF_CLASS]
    if not usable:
        raise DataProblem(_too_little(as_of, cuts, pairs))
    return usable


def _too_little(as_of: date, cuts: Sequence[date], pairs: Sequence[tuple[Snapshot, Snapshot]]) -> str:
    need = (
        f"training {TARGET} as of {as_of} needs 1 test cut (a month end with {HORIZON.days} days after it "
        f"and one {HORIZON.days} days or more before it to train on), both with at least {MINIMUM_OF_CLASS} "
        "customers each who bought and who did not; "
    )
    if not pairs:
        return need + f"there are {len(cuts)} month ends with {HORIZON.days} days after them and 0 such pairs"
    fullest = max(pairs, key=lambda pair: min(snapshot.smaller_class for snapshot in pair))
    scarcest = min(fullest, key=lambda snapshot: snapshot.smaller_class)
    buyers = int(scarcest.labels.sum())
    return need + (
        f"of {len(pairs)} such pairs the fullest has {buyers} who bought and {len(scarcest.labels) - buyers} "
        f"who did not as of {scarcest.as_of}"
    )


def _fit_and_score(fit_on: Snapshot, test_on: Snapshot) -> evaluate.TestCut:
    scored = {
        name: probabilities(candidate.fit(fit_on), test_on, candidate.columns)
        for name, candidate in CANDIDATES.items()
    }
    return evaluate.TestCut(test_on.customers, test_on.labels, scored)


def _candidates(comparison: dict[str, Any], recipe: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "description": candidate.description,
            "kind": "baseline" if candidate in BASELINES else "challenger",
            "shipped": name == recipe,
            "measures": comparison["pooled"][name],
            "auc_gain": comparison["auc_gain"].get(name),
        }
        for name, candidate in CANDIDATES.items()
    ]


def _facts(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "cut": str(snapshot.as_of),
        "label_until": str(snapshot.as_of + HORIZON),
        "customers": len(snapshot.customers),
        "base_rate": _base_rate(snapshot),
    }


def _base_rate(snapshot: Snapshot) -> float:
    return round(float(snapshot.labels.mean()), 6)
