"""Curves of a method's predictions on the test cuts, as points to draw: ROC, calibration, cumulative gain.

Each curve shows what a measure of `ml.measures` sums up, and is pooled as the measures are: a ROC or gain
curve is the mean of the cuts' curves at the same horizontal position (vertical averaging, Fawcett 2006),
weighted by their customers. So the area under the ROC curve is the pooled AUC, less what thinning to 50 steps
cuts off (0.004). No point shows a single customer: between two points there are ten or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from ml.evaluate import TestCut
from ml.measures import ECE_BINS, Floats, calibration_bins, confidences

STEPS = 50
MINIMUM_PER_POINT = 10


class Curves(TypedDict):
    """The curves of one candidate, each a list of points from left to right."""

    roc: list[list[float]]
    """[false positive rate, true positive rate]; of two classes for the second, of more the mean over the
    classes, each against the rest."""
    calibration: list[list[float]]
    """[mean probability, share in which it happened, customers] per bin of the ECE, all cuts together (so the
    errors of two seasons may cancel here; in the ECE they do not). Of two classes the probability of the
    second, of more that of the class chosen. A bin of fewer than ten customers is left out."""
    gain: list[list[float]]
    """[share of the customers, those of the greatest probability first, share of the last class among
    them]."""


def curves(cuts: Sequence[TestCut], name: str) -> Curves:
    """The curves of the candidate `name` over all test cuts."""
    sizes = np.array([len(cut.actual) for cut in cuts], dtype=float)
    grid = np.linspace(0, 1, _steps(cuts, name) + 1)

    roc = [np.mean([_roc(*of_class, grid) for of_class in _classes(cut, name)], axis=0) for cut in cuts]
    gain = [_gain(*_classes(cut, name)[-1], grid) for cut in cuts]
    return {
        "roc": _points(grid, np.average(roc, axis=0, weights=sizes)),
        "calibration": _calibration(cuts, name),
        "gain": _points(grid, np.average(gain, axis=0, weights=sizes)),
    }


def _steps(cuts: Sequence[TestCut], name: str) -> int:
    """The number of steps that leaves ten customers of the rarest class in each, 50 at most.

    A customer who occurs in several cuts counts once.
    """
    by_class = zip(*(_classes(cut, name) for cut in cuts), strict=True)
    sides = [[one ^ other for one, _ in rows] for rows in by_class for other in (False, True)]
    rarest = min(
        len(np.unique(np.concatenate([cut.customers[rows] for cut, rows in zip(cuts, side, strict=True)])))
        for side in sides
    )
    return int(np.clip(rarest // MINIMUM_PER_POINT, 1, STEPS))


def _classes(cut: TestCut, name: str) -> list[tuple[NDArray[np.bool_], Floats]]:
    """For each class that is ranked: which customers are of it, and its probability."""
    probability = cut.probabilities[name]
    if probability.ndim == 1:
        return [(cut.actual.astype(bool), probability)]
    return [(cut.actual == which, column) for which, column in enumerate(probability.T)]


def _above(positive: NDArray[np.bool_], probability: Floats) -> tuple[Floats, Floats]:
    """How many of the class, and how many in all, lie above each cut point between distinct probabilities."""
    order = np.argsort(-probability, kind="stable")
    last_of_ties = np.flatnonzero(np.append(np.diff(probability[order]) != 0, True))
    hits = np.cumsum(positive[order])[last_of_ties]
    return np.append(0.0, hits), np.append(0.0, last_of_ties + 1.0)


def _roc(positive: NDArray[np.bool_], probability: Floats, grid: Floats) -> Floats:
    hits, taken = _above(positive, probability)
    return _read_at(grid, taken - hits, hits)


def _gain(positive: NDArray[np.bool_], probability: Floats, grid: Floats) -> Floats:
    hits, taken = _above(positive, probability)
    return _read_at(grid, taken, hits)


def _read_at(grid: Floats, across: Floats, up: Floats) -> Floats:
    heights: Floats = np.interp(grid, across / across[-1], up / up[-1])
    # a curve that leaves the corner vertically would start at a height that depends on a few customers
    heights[0] = 0.0
    return heights


def _calibration(cuts: Sequence[TestCut], name: str) -> list[list[float]]:
    by_cut = [confidences(cut.actual, cut.probabilities[name]) for cut in cuts]
    confidence, came_true = (np.concatenate(parts) for parts in zip(*by_cut, strict=True))
    bins = calibration_bins(confidence)
    members = [bins == which for which in range(ECE_BINS)]
    return [
        [_rounded(confidence[rows].mean()), _rounded(came_true[rows].mean()), int(rows.sum())]
        for rows in members
        if rows.sum() >= MINIMUM_PER_POINT
    ]


def _points(across: Floats, up: Floats) -> list[list[float]]:
    return [[_rounded(x), _rounded(y)] for x, y in zip(across, up, strict=True)]


def _rounded(share: float) -> float:
    return round(float(share), 4)
