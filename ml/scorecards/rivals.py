"""The methods that are set side by side where somebody is trusted or refused: a points scorecard, its rivals.

The rivals are those of `ml.methods`, on the characteristics of a decision. The scorecard ships, because each
of its answers can be told in points; the others say what that costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from ml.candidate import LIGHTGBM_REPEATABLE, SEED, Candidate
from ml.measures import Floats
from ml.methods import METHODS, ON_MEASURES
from ml.scorecards.fit import PointsScorecard

SCORECARD = "scorecard"
RIVALS = ("decision_tree", "svm", "logistic_regression", "mlp", "extra_trees", "random_forest")


class MonotoneTrees(lightgbm.LGBMClassifier):
    """LightGBM in which each column counts one way only: that in which it goes with the outcome alone."""

    def fit(self, X: Floats, y: Any, **options: Any) -> MonotoneTrees:
        """Fit on X (rows, columns), NaN where missing, and y (rows,), of two classes."""
        self.set_params(monotone_constraints=[_direction(column, np.asarray(y)) for column in X.T])
        super().fit(X, y, **options)
        return self


def _direction(values: Floats, outcome: Any) -> int:
    there = ~np.isnan(values)
    ranks = values[there].argsort().argsort()
    return int(np.sign(np.dot(ranks - ranks.mean(), outcome[there].astype(float)))) if there.any() else 0


def _trees() -> Any:
    return MonotoneTrees(
        n_estimators=300,
        learning_rate=0.03,
        num_leaves=15,
        min_child_samples=100,
        reg_lambda=10,
        colsample_bytree=0.5,
        subsample=0.7,
        subsample_freq=1,
        random_state=SEED,
        **LIGHTGBM_REPEATABLE,
    )


def _observed(X: Floats) -> NDArray[np.intp]:
    """The columns of which there is any value to learn from: a shop need not tell of refusals or payments."""
    return np.flatnonzero(~np.isnan(X).all(axis=0))


def on_quantiles(build: Callable[[], Any]) -> Any:
    """A method behind each column's quantiles in what it was fitted on; a missing value is its own column."""
    quantiles = QuantileTransformer(n_quantiles=200, random_state=SEED)
    gaps = SimpleImputer(strategy="constant", fill_value=0.5, add_indicator=True)
    observed = make_column_transformer(("passthrough", _observed))
    return make_pipeline(observed, quantiles, gaps, build())


def _on_gaps(method: Candidate) -> Callable[[], Any]:
    """How to make a method that can do with missing values: trees can, the others see quantiles."""
    return method.build if method.columns == ON_MEASURES else partial(on_quantiles, method.build)


def risk_methods(columns: tuple[str, ...], alone: Mapping[str, str]) -> dict[str, Candidate]:
    """The methods on some characteristics; NaN in them is a missing value.

    Args:
        columns: the characteristics.
        alone: those that are a baseline each by themselves, and what to say of them.
    """
    baselines = [
        replace(METHODS["majority"], columns=columns[:1]),
        *(
            Candidate(name, said, (name,), partial(on_quantiles, LogisticRegression), "baseline")
            for name, said in alone.items()
        ),
    ]
    rivals = [
        replace(METHODS[name], columns=columns, build=_on_gaps(METHODS[name]), rival=True) for name in RIVALS
    ]
    challengers = [
        Candidate(SCORECARD, "points scorecard of monotone weights of evidence", columns, PointsScorecard),
        Candidate(
            "lightgbm_monotone",
            "gradient boosted trees in which each characteristic counts one way",
            columns,
            _trees,
            rival=True,
        ),
        *rivals,
    ]
    return {method.name: method for method in [*baselines, *challengers]}
