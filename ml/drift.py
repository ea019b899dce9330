"""Drift: whether a model is asked about customers like those that it learnt from.

At training the shares of ten bins are kept, of each feature that the model reads and of what it said; on a
later day they are held against that day's. Only shares and borders are kept, nothing of any one customer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.features import RANKS, Snapshot
from ml.measures import Floats

BINS = 10

# A model is refused beyond. Credit scoring calls a stability index of .25 a shift to act upon (Siddiqi 2006,
# "Credit Risk Scorecards").
STABILITY = 0.25
# Twice what the share of buyers moved between two cuts of Online Retail (.493 to .561), and some.
CALIBRATION = 0.15
# Between train and test cut lies one window; a model is used a window, most of a month and some days after
# its cut, which of a window of 30 days is twice.
TESTED_TIMES = 2


@dataclass(frozen=True)
class Drift:
    """One figure of a model on a day: `kind` and `name` say of what; beyond `allowed` it is refused."""

    kind: str
    name: str
    value: float
    allowed: float

    @property
    def is_within(self) -> bool:
        """Whether the model may be used."""
        return self.value <= self.allowed


def reference(values: Floats) -> dict[str, Any]:
    """The borders of ten equally filled bins of values, fewer where many are equal, and their shares.

    Returns:
        {borders: (bins - 1,), shares: (bins + 1,)}; the last share is that of missing values.
    """
    there: Floats = values[~np.isnan(values)]
    quantiles = np.quantile(there, np.arange(1, BINS) / BINS).tolist() if len(there) else []
    # rounded, so that a border in a small shop is no customer's own figure
    borders = np.array(sorted({float(f"{value:.3g}") for value in quantiles}))
    return {"borders": borders.tolist(), "shares": _shares(borders, values).round(6).tolist()}


def stability_index(kept: Mapping[str, Any], values: Floats) -> float:
    """The population stability index of values against a `reference`.

    It is the sum of (q - p) ln(q / p) over the bins, p and q being their shares then and now.
    """
    before = np.asarray(kept["shares"])
    now = _shares(np.asarray(kept["borders"]), values)
    return float(np.sum((now - before) * np.log(now / before)))


def _shares(borders: Floats, values: Floats) -> Floats:
    missing = np.isnan(values)
    bins = np.where(missing, len(borders) + 1, np.searchsorted(borders, values, side="right"))
    counts = np.bincount(bins, minlength=len(borders) + 2)
    # half a customer in each, or an empty bin would make the index infinite
    return np.asarray((counts + 0.5) / (len(values) + 0.5 * len(counts)), dtype=np.float64)


def score_of(probability: Floats) -> Floats:
    """The one figure that stands for what a model says: the probability of the last class, (customers,)."""
    return probability if probability.ndim == 1 else probability[:, -1]


def references(
    snapshot: Snapshot, columns: Sequence[str], probability: Floats, tested: tuple[Snapshot, Snapshot]
) -> dict[str, Any]:
    """What a card keeps of the customers that a model learnt from.

    Args:
        snapshot: these customers.
        columns: the features that the model reads. Ranks among the customers of a day are left out: they are
            as evenly spread on every day.
        probability: what the model says of these customers.
        tested: the train and the test cut on which the method was measured. A shop's log grows longer, and
            tenures with it: twice what came between these two is let pass.

    Returns:
        {inputs: {column: reference, with `allowed` beside}, score: the same}.
    """
    inputs = {}
    for name in columns:
        if name not in RANKS:
            before, after = (cut.matrix([name])[:, 0] for cut in tested)
            allowed = max(STABILITY, TESTED_TIMES * stability_index(reference(before), after))
            inputs[name] = reference(snapshot.matrix([name])[:, 0]) | {"allowed": round(allowed, 3)}
    return {"inputs": inputs, "score": reference(score_of(probability)) | {"allowed": STABILITY}}


def measure(card: Mapping[str, Any], snapshot: Snapshot, probability: Floats) -> list[Drift]:
    """How far a day is from what a model's card keeps, and its calibration where there was any to judge."""
    kept = card["references"]
    found = [
        Drift("input", name, stability_index(then, snapshot.matrix([name])[:, 0]), then["allowed"])
        for name, then in kept["inputs"].items()
    ]
    score = kept["score"]
    found.append(
        Drift("score", "probability", stability_index(score, score_of(probability)), score["allowed"])
    )
    if matured := card.get("matured"):
        found.append(calibration(matured["cut"], matured["mean_probability"], matured["share"]))
    return found


def calibration(cut: str, said: float, came: float, allowed: float = CALIBRATION) -> Drift:
    """How far the mean probability was off the share that came; `cut` is the day on which it was said."""
    return Drift("calibration", cut, abs(said - came), allowed)
