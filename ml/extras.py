"""The two methods whose packages are optional: XGBoost, and a Keras neural network on JAX.

The packages are imported only when a method is made or fitted: the daily run never loads them, and the
project works without them. Settings were chosen on the cut 2010-12-31 to 2011-03-31 of Online Retail, as
those of `ml.methods` were.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight

from ml.candidate import SEED
from ml.measures import Floats


def xgboost_trees() -> Any:
    """XGBoost's classifier, unfitted."""
    import xgboost

    # The best of 48 settings by log loss: .611; with half of the columns for a tree .615, with two levels
    # .617 at best.
    return xgboost.XGBClassifier(
        n_estimators=200,
        learning_rate=0.03,
        max_depth=1,
        reg_lambda=10,
        colsample_bytree=0.2,
        subsample=0.7,
        tree_method="hist",
        random_state=SEED,
        n_jobs=1,
        verbosity=0,
    )


class KerasNetwork(ClassifierMixin, BaseEstimator):
    """A network with one hidden layer, fitted by Adam on all rows at once, so that only its start is random.

    Log loss .616 with either of two seeds, and the same with 16 units or alpha 50; alpha 200 .622. Early
    stopping is worse: with alpha 5 it gave .637 and .656, and with alpha 53 the loss of the rows set aside
    still fell after 400 steps.

    Args:
        units: of the hidden layer.
        alpha: weight of the squared weights beside the summed loss, as in scikit-learn's MLPClassifier.
        learning_rate: of Adam.
        steps: passes over all rows, one step each.
        class_weight: as in scikit-learn: None, "balanced", or a weight for each class.
        random_state: the seed of the first weights.
    """

    def __init__(
        self,
        units: int = 32,
        alpha: float = 100.0,
        learning_rate: float = 0.01,
        steps: int = 200,
        class_weight: Literal["balanced"] | Mapping[Any, float] | None = None,
        random_state: int = SEED,
    ) -> None:
        self.units = units
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.steps = steps
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(self, X: Floats, y: Any) -> KerasNetwork:
        """Fit on X (rows, columns), each column of about mean 0 and deviation 1, and y (rows,)."""
        keras = load_keras()
        self.classes_, codes = np.unique(y, return_inverse=True)
        weights = compute_sample_weight(self.class_weight, y)
        first, second = np.random.default_rng(self.random_state).integers(2**31, size=2).tolist()

        def layer(units: int, activation: str, seed: int) -> Any:
            return keras.layers.Dense(
                units,
                activation,
                kernel_initializer=keras.initializers.GlorotUniform(seed),
                kernel_regularizer=keras.regularizers.L2(self.alpha / (2 * len(X))),
            )

        self.network_ = keras.Sequential(
            [
                keras.Input((X.shape[1],)),
                layer(self.units, "relu", first),
                layer(len(self.classes_), "softmax", second),
            ]
        )
        self.network_.compile(
            keras.optimizers.Adam(self.learning_rate), keras.losses.SparseCategoricalCrossentropy()
        )
        # not shuffled: that would draw from NumPy's global generator, which other code uses too
        self.network_.fit(X, codes, len(X), self.steps, sample_weight=weights, shuffle=False, verbose=0)
        return self

    def predict_proba(self, X: Floats) -> Floats:
        """(rows, classes) probabilities."""
        probability: Floats = self.network_.predict(X, batch_size=4096, verbose=0).astype(np.float64)
        # single precision sums to 1 within 1e-7 only
        normalised: Floats = probability / probability.sum(axis=1, keepdims=True)
        return normalised

    def predict(self, X: Floats) -> Any:
        """(rows,) the likeliest class."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


ENVIRONMENT = {
    "KERAS_BACKEND": "jax",
    # no accelerators: they would give other digits
    "JAX_PLATFORMS": "cpu",
    # one thread: two gave other digits, and took half as much processor time again
    "NPROC": "1",
}


@lru_cache(maxsize=1)
def load_keras() -> Any:
    """The module `keras`, on JAX, whatever the environment and the user's home are set to."""
    # Keras reads settings from a file in its folder, and makes both where they are missing
    with TemporaryDirectory() as folder, _environment(KERAS_HOME=folder, **ENVIRONMENT):
        import jax
        import keras

        jax.devices()  # makes JAX read the environment now
    return keras


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
