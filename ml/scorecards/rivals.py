"""The methods that predict bad orders or defaults: the points scorecard, and rivals to compare it with.

The rivals are those of `ml.methods`, on the characteristics of a decision. The scorecard ships, because each
of its answers can be explained in points; the rivals show how much accuracy that costs.
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
from ml.scorecards.bins import Stated
from ml.scorecards.fit import PointsScorecard

SCORECARD = "scorecard"
RIVALS = ("decision_tree", "svm", "logistic_regression", "mlp", "extra_trees", "random_forest")


class MonotoneTrees(lightgbm.LGBMClassifier):
    """LightGBM in which each column may only raise, or only lower, the prediction, as it does by itself."""

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
    """The columns that have any value: a shop need not report refusals or payments."""
    return np.flatnonzero(~np.isnan(X).all(axis=0))


def on_quantiles(build: Callable[[], Any]) -> Any:
    """A method on the quantiles of each column in the rows fitted on, and on whether values are missing."""
    quantiles = QuantileTransformer(n_quantiles=200, random_state=SEED)
    gaps = SimpleImputer(strategy="constant", fill_value=0.5, add_indicator=True)
    observed = make_column_transformer(("passthrough", _observed))
    return make_pipeline(observed, quantiles, gaps, build())


def _on_gaps(method: Candidate) -> Callable[[], Any]:
    """How to make a method that accepts missing values: trees do, the others get quantiles."""
    return method.build if method.columns == ON_MEASURES else partial(on_quantiles, method.build)


def risk_methods(
    columns: tuple[str, ...], alone: Mapping[str, str], stated: tuple[Stated, ...] | None = None
) -> dict[str, Candidate]:
    """The methods on some characteristics; NaN in them is a missing value.

    Args:
        columns: the characteristics.
        alone: {characteristic: description} of those that are a baseline, each alone.
        stated: of each characteristic, which way a scorecard may go; None: whichever the data say.
    """
    baselines = [
        replace(METHODS["majority"], columns=columns[:1]),
        *(
            Candidate(name, text, (name,), partial(on_quantiles, LogisticRegression), "baseline")
            for name, text in alone.items()
        ),
    ]
    rivals = [
        replace(METHODS[name], columns=columns, build=_on_gaps(METHODS[name]), rival=True) for name in RIVALS
    ]
    challengers = [
        Candidate(
            SCORECARD,
            "points scorecard of monotone weights of evidence",
            columns,
            partial(PointsScorecard, stated=stated),
        ),
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
