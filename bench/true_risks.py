"""Compare scorecards of a simulated shop with the true probabilities by which its outcomes were drawn.

    python -m bench.true_risks [--customers N] [--days N]

Not part of `make bench`. It simulates a shop, runs its days up to a cut, trains there, runs the days after
it, and scores the later orders with the cards of the cut. The folder `true_risks/` of the landing holds the
true probability of each order; no step of a run reads it. No score can predict the outcomes better than that
probability, so its AUC is the highest that a score can reach.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from bench.cost import GOODSTANDING, cost_of, environment_of, run_days
from bench.readme import keep_apart
from bench.results import TrueRisks, TruthGap
from bench.run import machine
from goodstanding.core.days import Days
from goodstanding.core.errors import GoodstandingError
from goodstanding.core.settings import Settings
from goodstanding.decisions.scorecard import Scorecard
from goodstanding.ingest.samples.simulate_accounts import TRUE_RISKS
from goodstanding.warehouse.files import open_warehouse
from ml import evaluate
from ml.candidate import SEED, probabilities
from ml.cards import ModelCard
from ml.measures import Floats
from ml.scorecards.fit import card_probability
from ml.scorecards.orders import COD_REFUSED, EMI, Decision, newest_card, read_orders
from ml.scorecards.train import methods_on

FIRST = date(2010, 12, 1)
# The last days of the shop, after the cut: so two months of orders have windows of 90 days that are over.
ASKED_DAYS = 150
# The column of `true_risks/orders.csv` with the true probability of each label.
CHANCES = {COD_REFUSED.name: "refusal_probability", EMI.name: "late_30d_probability"}
# What measures how much is known of a customer: with few of these, probabilities can hardly be estimated.
HISTORY = {COD_REFUSED.name: "orders", EMI.name: "instalments_due"}
MANY = 10
MEASURES = ("auc", "ks", "brier", "ece", "cost")


def read_chances(landing: Path) -> pd.DataFrame:
    """The true probabilities of each order, indexed by its number."""
    path = landing / TRUE_RISKS / "orders.csv"
    return pd.read_csv(path, dtype={"order": str}).set_index("order")


def hold_against_truth(
    connection: duckdb.DuckDBPyConnection,
    decision: Decision,
    card: ModelCard,
    chances: pd.DataFrame,
    until: date,
    folds: int = evaluate.FOLDS,
) -> TruthGap:
    """Score the orders after a card's data day whose windows are over by a day, and compare with the truth.

    Args:
        connection: the warehouse of the simulated shop.
        decision: the card's label.
        card: as `ml.scorecards.train.train_scorecard` stores it.
        chances: as `read_chances` gives them.
        until: the day.
        folds: bootstrap resamples.
    """
    since = date.fromisoformat(card["data_day"])
    asked = read_orders(connection, decision, since, until - decision.window)
    scorecard = Scorecard.from_json(card["scorecard"])
    names = list(scorecard.names)
    columns = {name: asked.matrix([name])[:, 0] for name in names}
    truth = chances.loc[asked.features.index, CHANCES[decision.name]].to_numpy()
    learnt = read_orders(connection, decision, date.min, since - decision.window)
    predicted = {"scorecard": card_probability(scorecard, columns), "truth": truth}
    for name in decision.baselines:
        method = methods_on(decision)[name]
        predicted[name] = probabilities(method.fit(learnt), asked, method.columns)
    cut = evaluate.TestCut(asked.customers, asked.labels, predicted, decision.task.cost_ratio)
    comparison = evaluate.compare([cut], "truth", [], SEED, folds)
    has_many = asked.features[HISTORY[decision.name]].to_numpy() >= MANY
    return {
        "orders": len(asked.customers),
        "customers": len(np.unique(asked.customers)),
        "learnt": card["fitted_on"]["orders"],
        "share": round(float(asked.labels.mean()), 4),
        "mean": {name: round(float(predicted[name].mean()), 4) for name in ("scorecard", "truth")},
        "measures": {
            name: {measure: by_measure[measure] for measure in MEASURES}
            for name, by_measure in comparison["pooled"].items()
        },
        "gap": comparison["auc_gain"]["scorecard"],
        "spearman": rank_correlation(asked.customers, predicted["scorecard"], truth, folds),
        "history": {
            "of": HISTORY[decision.name],
            "few": _auc_among(cut, ~has_many, folds),
            "many": _auc_among(cut, has_many, folds),
        },
    }


def _auc_among(cut: evaluate.TestCut, rows: NDArray[np.bool_], folds: int) -> dict[str, Any]:
    """The AUC of scorecard and truth among some rows."""
    predicted = {name: cut.probabilities[name][rows] for name in ("scorecard", "truth")}
    some = evaluate.TestCut(cut.customers[rows], cut.actual[rows], predicted)
    pooled = evaluate.compare([some], "truth", [], SEED, folds)["pooled"]
    return {"orders": int(rows.sum()), **{name: pooled[name]["auc"] for name in predicted}}


def rank_correlation(
    customers: NDArray[np.object_], one: Floats, other: Floats, folds: int
) -> dict[str, float]:
    """Spearman's rank correlation, with an interval of 95 % by customer; ranks are those among all rows."""
    first, second = rankdata(one), rankdata(other)
    resampled = np.concatenate(
        [_correlation(first, second, drawn) for (drawn,) in evaluate.resamples([customers], SEED, folds)]
    )
    low, high = np.quantile(resampled, [(1 - evaluate.CONFIDENCE) / 2, (1 + evaluate.CONFIDENCE) / 2])
    value = _correlation(first, second, np.ones((1, len(one))))[0]
    return {"value": round(float(value), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def _correlation(one: Floats, other: Floats, weights: Floats) -> Floats:
    total = weights.sum(axis=1)
    mean_one, mean_other = weights @ one / total, weights @ other / total
    together = weights @ (one * other) / total - mean_one * mean_other
    spread = (weights @ one**2 / total - mean_one**2) * (weights @ other**2 / total - mean_other**2)
    return np.asarray(together / np.sqrt(spread))


def measure_chain(folder: Path, customers: int, days: int, as_of_days: int, memory: str) -> TrueRisks:
    """Simulate a shop in a folder, run it, train at the cut, and compare the cards with the truth."""
    landing = folder / "landing"
    landing.mkdir(parents=True)
    home = Settings(
        home=folder / "home", landing=landing, shop="simulated", as_of_days=as_of_days, memory_limit=memory
    )
    last = FIRST + timedelta(days=days - 1)
    cut = last - timedelta(days=ASKED_DAYS)
    environment = environment_of(home)
    options = ["--customers", str(customers), "--days", str(days), "--json"]
    simulated = cost_of([GOODSTANDING, "simulate", str(landing), *options], environment)
    costs = {"simulate": simulated, "run_to_cut": run_days(home, Days(FIRST, cut))}
    costs["train"] = cost_of([GOODSTANDING, "train", "--day", str(cut)], environment)
    costs["run_after"] = run_days(home, Days(cut + timedelta(days=1), last))
    chances = read_chances(landing)
    labels: dict[str, TruthGap | None] = {}
    with open_warehouse(home) as connection:
        for decision in (COD_REFUSED, EMI):
            label, card = newest_card(home.models, decision.method, cut)
            labels[decision.name] = (
                hold_against_truth(connection, decision, card, chances, last)
                if card and label == decision
                else None
            )
    with duckdb.connect(str(home.published / "current.duckdb"), read_only=True) as published:
        rows = published.execute(
            "select decision, coalesce(model_id, note) from predictions.scorecards order by decision"
        ).fetchall()
    return {
        "customers": customers,
        "days": days,
        "as_of_days": as_of_days,
        "memory_limit": memory,
        "order_lines": json.loads(simulated.output)["order_lines"],
        "cut": str(cut),
        "costs": {name: cost.figures() for name, cost in costs.items()},
        "labels": labels,
        "published": dict(rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument(
        "--as-of-days", type=int, default=730, help="days back to which orders are learnt from"
    )
    parser.add_argument("--memory", default="2GB", help="for DuckDB")
    asked = parser.parse_args()
    on = machine()
    with tempfile.TemporaryDirectory(prefix="goodstanding-true-risks-") as folder:
        try:
            chain = measure_chain(Path(folder), asked.customers, asked.days, asked.as_of_days, asked.memory)
        except GoodstandingError as error:
            sys.exit(f"bench: {error}")
    result = {"machine": on, **chain}
    keep_apart("true_risks", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
