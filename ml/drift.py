"""Drift: measure how much the customers of a day differ from those that a model was fitted on.

A model is not used on a day whose customers are too unlike those that it learnt from. For each feature and
for the predictions, training keeps the share of customers in each of ten bins; a later day is compared with
these shares. Only shares and borders are kept, nothing of any one customer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.cards import Bins, ModelCard, Reference, References
from ml.features import RANKS, Snapshot
from ml.measures import Floats

BINS = 10

# Above this a model is refused. Credit scoring calls a stability index of .25 a shift to act upon (Siddiqi
# 2006, "Credit Risk Scorecards").
STABILITY = 0.25
# Twice what the share of buyers moved between two cuts of Online Retail (.493 to .561), and a little more.
CALIBRATION = 0.15
# Between train and test cut lies one window; a model is used a window, most of a month and some days after
# its cut, which of a window of 30 days is twice.
TESTED_TIMES = 2


@dataclass(frozen=True)
class Drift:
    """One figure of how far a day is from what a model was fitted on.

    Attributes:
        kind: input (a feature), score (what the model predicts) or calibration.
        name: the feature; `probability`; of calibration the cut on which was predicted.
        value: the stability index; of calibration the distance of two shares.
        allowed: above this the model is refused.
    """

    kind: str
    name: str
    value: float
    allowed: float

    @property
    def is_within(self) -> bool:
        """Whether the model may be used."""
        return self.value <= self.allowed


def reference(values: Floats) -> Bins:
    """The bins of values, (customers,): ten of equal size, or fewer where many values are equal."""
    known: Floats = values[~np.isnan(values)]
    quantiles = np.quantile(known, np.arange(1, BINS) / BINS).tolist() if len(known) else []
    # rounded, so that a border in a small shop is no customer's own figure
    borders = np.array(sorted({float(f"{value:.3g}") for value in quantiles}))
    return {"borders": borders.tolist(), "shares": _shares(borders, values).round(6).tolist()}


def stability_index(kept: Bins, values: Floats) -> float:
    """The population stability index of values, (customers,), against the bins that were kept.

    It is the sum of (q - p) ln(q / p) over the bins, where p is a bin's share then and q its share now.
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
    """The one figure that stands for a prediction: the probability of the last class, (customers,)."""
    return probability if probability.ndim == 1 else probability[:, -1]


def references(
    snapshot: Snapshot, columns: Sequence[str], probability: Floats, tested: tuple[Snapshot, Snapshot]
) -> References:
    """The bins that a card keeps of the customers that a model was fitted on.

    Args:
        snapshot: these customers.
        columns: the features that the model reads. Ranks among the customers of a day are left out: they are
            as evenly spread on every day.
        probability: what the model predicts for these customers, (customers,) or (customers, classes).
        tested: the train and the test cut on which the method was measured. A shop's log grows longer, and
            tenures with it: twice the stability index between these two is allowed.
    """
    inputs: dict[str, Reference] = {}
    for name in columns:
        if name not in RANKS:
            before, after = (cut.matrix([name])[:, 0] for cut in tested)
            allowed = max(STABILITY, TESTED_TIMES * stability_index(reference(before), after))
            inputs[name] = {**reference(snapshot.matrix([name])[:, 0]), "allowed": round(allowed, 3)}
    return {"inputs": inputs, "score": {**reference(score_of(probability)), "allowed": STABILITY}}


def measure(card: ModelCard, snapshot: Snapshot, probability: Floats) -> list[Drift]:
    """Compare a day with the bins of a model's card, and measure calibration where outcomes are known.

    Args:
        card: of the model.
        snapshot: the customers of the day.
        probability: what the model predicts for them, (customers,) or (customers, classes).
    """
    kept = card["references"]
    drifts = [
        Drift("input", name, stability_index(then, snapshot.matrix([name])[:, 0]), then["allowed"])
        for name, then in kept["inputs"].items()
    ]
    score = kept["score"]
    drifts.append(
        Drift("score", "probability", stability_index(score, score_of(probability)), score["allowed"])
    )
    if matured := card.get("matured"):
        drifts.append(calibration(matured["cut"], matured["mean_probability"], matured["share"]))
    return drifts


def calibration(cut: str, predicted: float, actual: float, allowed: float = CALIBRATION) -> Drift:
    """Compare a mean predicted probability with the share of customers whose outcome happened.

    Args:
        cut: ISO date on which was predicted.
        predicted: the mean probability.
        actual: the share.
        allowed: the greatest distance at which the model may be used.
    """
    return Drift("calibration", cut, abs(predicted - actual), allowed)
