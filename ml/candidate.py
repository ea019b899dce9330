"""Candidates: descriptions of prediction methods, each with the features it reads and how to fit it.

A candidate learns everything, scalers, cut points, clusters and calibration included, from one labelled
snapshot. Classes are balanced inside that fit, so no customer who is predicted can be repeated or left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import has_fit_parameter

from ml.features import Snapshot

SEED = 20111209
# With these, and a seed, LightGBM grows the same trees from the same rows, and prints nothing.
LIGHTGBM_REPEATABLE: dict[str, Any] = {
    "deterministic": True,
    "force_row_wise": True,
    # two threads wait for each other on busy cores: 290 to 430 ms a fit of 3,300 customers, one takes 65
    "num_threads": 1,
    "verbose": -1,
}

Balance = Literal["weights", "down_sampling"]


@dataclass(frozen=True)
class Candidate:
    """A method: the features it reads and how to make an unfitted scikit-learn classifier for them.

    Attributes:
        name: its lasting id; cards name it as `recipe`.
        description: the method in words.
        columns: the features it reads, in the order of the matrix.
        build: makes the unfitted classifier.
        kind: a challenger has to gain on the baselines to ship.
        balance: how the classes are balanced in the fit, or None.
        keeps_rows: when it is fitted it holds figures of single customers, so it may not be stored.
        rival: it is measured for comparison only.
        packages: optional packages that it needs, by the names under which they are imported.
    """

    name: str
    description: str
    columns: tuple[str, ...]
    build: Callable[[], Any]
    kind: Literal["baseline", "challenger"] = "challenger"
    balance: Balance | None = None
    keeps_rows: bool = False
    rival: bool = False
    packages: tuple[str, ...] = ()

    @property
    def may_ship(self) -> bool:
        """Whether it may be stored and score days: it keeps no customers, and needs no optional package."""
        return not (self.keeps_rows or self.rival or self.packages)

    def missing(self) -> str | None:
        """Why it cannot be fitted here, or None where all of its packages are installed."""
        absent = [name for name in self.packages if find_spec(name) is None]
        return f"not installed: {', '.join(absent)}; make extras" if absent else None

    def fit(self, snapshot: Snapshot) -> Any:
        """Fit a classifier on one labelled snapshot, with balanced classes where `balance` says so.

        One that asks for `groups` is told which rows are of one customer.
        """
        rows, labels, customers = snapshot.matrix(self.columns), snapshot.labels, snapshot.customers
        model = self.build()
        if self.balance == "weights":
            model.set_params(**dict.fromkeys(_class_weights(model), "balanced"))
        elif self.balance == "down_sampling":
            kept = down_sampled(labels)
            rows, labels, customers = rows[kept], labels[kept], customers[kept]
        if has_fit_parameter(model, "groups"):
            return model.fit(rows, labels, groups=customers)
        return model.fit(rows, labels)

    def on(self, columns: Collection[str]) -> Candidate | None:
        """The candidate for snapshots with certain columns only: it reads those of its own that are there.

        None where none is there; of a baseline, where any is missing: without it, it would be another rule.
        """
        present = tuple(name for name in self.columns if name in columns)
        usable = present == self.columns if self.kind == "baseline" else bool(present)
        return replace(self, columns=present) if usable else None

    def balanced(self, balance: Balance) -> Candidate:
        """The candidate with balanced classes; unchanged where weights are asked for and it has none."""
        can_balance = balance == "down_sampling" or _class_weights(self.build())
        return replace(self, balance=balance) if can_balance else self


def _class_weights(model: Any) -> list[str]:
    return [name for name in model.get_params() if name.endswith("class_weight")]


def down_sampled(labels: NDArray[Any]) -> NDArray[np.intp]:
    """Positions of randomly drawn rows, ascending, with as many of each class as the rarest has."""
    generator = np.random.default_rng(SEED)
    classes, counts = np.unique(labels, return_counts=True)
    kept = [generator.choice(np.flatnonzero(labels == name), counts.min(), replace=False) for name in classes]
    return np.sort(np.concatenate(kept))


def probabilities(model: Any, snapshot: Snapshot, columns: tuple[str, ...]) -> NDArray[np.float64]:
    """The probabilities that a fitted model predicts for the customers of a snapshot, in its order.

    Args:
        model: a classifier of scikit-learn's form.
        snapshot: the customers.
        columns: the features in the model's order.

    Returns:
        (customers,) the probability of the second of two classes, or (customers, classes).
    """
    if not len(snapshot.customers):
        return np.empty(0)
    by_class = np.asarray(model.predict_proba(snapshot.matrix(columns)), dtype=np.float64)
    return by_class[:, 1] if by_class.shape[1] == 2 else by_class
