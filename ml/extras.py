"""The methods whose packages are optional: XGBoost, and a Keras network on JAX.

The packages are imported when a method is made or fitted and not before: the daily run never pays for them,
and the project stands without them. Settings were chosen from the cut 2010-12-31 to 2011-03-31 of Online
Retail, as those of `ml.methods` were.
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

    # Of 48 tried, by log loss: .611; with half of the columns for a tree .615, with two levels .617 at best.
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
    """One hidden layer, fitted by Adam on all rows at once, so that chance has a part in its start alone.

    Log loss .616 with either of two seeds, and alike with 16 units or alpha 50; alpha 200 .622. Stopping
    early loses: with alpha 5 it came to .637 and .656, and with alpha 53 the loss of the rows set aside still
    fell after 400 steps.

    Args:
        units: of the hidden layer.
        alpha: weight of the squared weights beside the summed loss, as of scikit-learn's MLPClassifier.
        learning_rate: Adam's.
        steps: passes over all rows, one step each.
        class_weight: as scikit-learn has it: None, "balanced", or a weight for each class.
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
        """Fit rows of about mean 0 and deviation 1."""
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
        # in the order given: a shuffle would draw from NumPy's global generator, which is others' too
        self.network_.fit(X, codes, len(X), self.steps, sample_weight=weights, shuffle=False, verbose=0)
        return self

    def predict_proba(self, X: Floats) -> Floats:
        """(rows, classes)."""
        probability: Floats = self.network_.predict(X, batch_size=4096, verbose=0).astype(np.float64)
        # single precision sums to 1 within 1e-7 only
        normalised: Floats = probability / probability.sum(axis=1, keepdims=True)
        return normalised

    def predict(self, X: Floats) -> Any:
        """(rows,) the class that is likeliest."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


ENVIRONMENT = {
    "KERAS_BACKEND": "jax",
    # no accelerators: they would give other digits
    "JAX_PLATFORMS": "cpu",
    # one thread: two gave other digits, and took half as much again of the processor
    "NPROC": "1",
}


@lru_cache(maxsize=1)
def load_keras() -> Any:
    """The module: Keras on JAX, whatever the environment says and the user's home holds."""
    # Keras takes settings from a file in its folder, and makes both where they are not.
    with TemporaryDirectory() as folder, _environment(KERAS_HOME=folder, **ENVIRONMENT):
        import jax
        import keras

        jax.devices()  # so that it has read them
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
