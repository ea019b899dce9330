"""Candidates: recipes that learn from one labelled snapshot and give probabilities.

A candidate learns from that snapshot alone, with every scaler, border, cluster and calibration. Classes are
balanced inside that fit, so nobody who is predicted can be repeated or left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ml.features import Snapshot

SEED = 20111209
# With these, and a seed, LightGBM grows the same trees from the same rows, and says nothing meanwhile.
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
    """A recipe: the features it reads and how to make an unfitted scikit-learn classifier for them.

    One that `keeps_rows` holds figures of single customers when it is fitted; a `rival` is measured for
    comparison alone. `packages` are the optional
    ones that it needs, by the names under which they are imported.
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
        """Whether it may be stored and score days: without rows of customers, and with what a run has."""
        return not (self.keeps_rows or self.rival or self.packages)

    def missing(self) -> str | None:
        """Why it cannot be fitted here; None where all of its packages are installed."""
        absent = [name for name in self.packages if find_spec(name) is None]
        return f"not installed: {', '.join(absent)}; make extras" if absent else None

    def fit(self, snapshot: Snapshot) -> Any:
        """A classifier fitted on one labelled snapshot, balanced within it where the method says so."""
        rows, labels = snapshot.matrix(self.columns), snapshot.labels
        model = self.build()
        if self.balance == "weights":
            model.set_params(**dict.fromkeys(_class_weights(model), "balanced"))
        elif self.balance == "down_sampling":
            kept = down_sampled(labels)
            rows, labels = rows[kept], labels[kept]
        return model.fit(rows, labels)

    def on(self, columns: Collection[str]) -> Candidate | None:
        """The candidate for snapshots with some columns alone: it reads those of its own that are there.

        A baseline is what it says or nothing: None where one of its columns is not there.
        """
        found = tuple(name for name in self.columns if name in columns)
        stands = found == self.columns if self.kind == "baseline" else bool(found)
        return replace(self, columns=found) if stands else None

    def balanced(self, balance: Balance) -> Candidate:
        """The candidate with its classes balanced; itself, where weights are asked that it does not know."""
        knows = balance == "down_sampling" or _class_weights(self.build())
        return replace(self, balance=balance) if knows else self


def _class_weights(model: Any) -> list[str]:
    return [name for name in model.get_params() if name.endswith("class_weight")]


def down_sampled(labels: NDArray[Any]) -> NDArray[np.intp]:
    """Positions of a random choice of rows, ascending, with as many of each class as the rarest has."""
    generator = np.random.default_rng(SEED)
    classes, counts = np.unique(labels, return_counts=True)
    kept = [generator.choice(np.flatnonzero(labels == name), counts.min(), replace=False) for name in classes]
    return np.sort(np.concatenate(kept))


def probabilities(model: Any, snapshot: Snapshot, columns: tuple[str, ...]) -> NDArray[np.float64]:
    """What a model says of each customer of a snapshot, in its order.

    Returns:
        (customers,) the probability of the second of two classes, or (customers, classes).
    """
    if not len(snapshot.customers):
        return np.empty(0)
    by_class = np.asarray(model.predict_proba(snapshot.matrix(columns)), dtype=np.float64)
    return by_class[:, 1] if by_class.shape[1] == 2 else by_class
