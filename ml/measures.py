"""Measures of predicted probabilities, like AUC and Brier score, for all bootstrap resamples at once.

Predictions of two classes are one column, the probability of the second (like buying); of more classes one
column each. Measures that rank or count a class are then means over the classes, each against the rest
("macro").
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[Any]

ECE_BINS = 10


def measures(actual: Labels, probability: Floats, weights: Floats) -> dict[str, Floats]:
    """Ten measures of probabilities, (resamples,) each.

    auc: ties count half. average_precision: the sum of precision times the step in recall. brier, log_loss:
    mean losses; with more than two classes brier sums the squares over them (Brier 1950), which for two
    classes would be twice what is returned. ece: expected calibration error over 10 bins of equal width
    (Naeini, Cooper and Hauskrecht 2015), with more than two classes of the class chosen. accuracy,
    macro_precision, macro_recall, macro_specificity, macro_f1: of the likeliest class, where a tie between
    two goes to the second.

    Args:
        actual: (rows,) the index of each row's class, or whether it is the second of two.
        probability: (rows,) of the second of two classes, or (rows, classes).
        weights: (resamples, rows) how often each row counts; every class must occur in each resample.
    """
    total = weights.sum(axis=1)
    by_class = _by_class(probability)
    truth = np.eye(by_class.shape[1], dtype=bool)[actual.astype(int)]
    chosen = choices(probability)
    clipped = np.clip(by_class, 1e-15, 1 - 1e-15)
    if probability.ndim == 1:
        ranked, squares = [1], (probability - actual) ** 2
    else:
        ranked, squares = list(range(by_class.shape[1])), ((by_class - truth) ** 2).sum(axis=1)
    rankings = [_ranking(truth[:, which], by_class[:, which], weights) for which in ranked]
    auc, average_precision = np.mean(rankings, axis=0)
    return {
        "auc": auc,
        "average_precision": average_precision,
        "brier": weights @ squares / total,
        "log_loss": weights @ -np.log(clipped[truth]) / total,
        "ece": _calibration_error(*confidences(actual, probability), weights) / total,
        **_of_choices(_confusion(actual, chosen, by_class.shape[1], weights)),
    }


# The share of the rows, those of the greatest probability, whose bad rate `risk_measures` gives.
TOP = 0.1


def risk_measures(
    actual: Labels, probability: Floats, weights: Floats, cost_ratio: float
) -> dict[str, Floats]:
    """Four measures of a probability by which customers are trusted or refused; (resamples,) each.

    ks: the greatest difference between the shares of the bad and of the good above one cut point.
    top_decile: the bad rate among the tenth of the greatest probability; of equal probabilities at its cut
    point as many rows as fit in, bad and good in proportion. cost: the mean cost of a row, where a good one
    that is refused costs 1, and a bad one that is trusted `cost_ratio`; rows are refused from the probability
    1 / (1 + cost_ratio) on, where both cost the same. f1: of those refused.

    Args:
        actual, probability, weights: as in `measures`, of two classes; the second is the bad one.
        cost_ratio: above 0.
    """
    is_bad = actual.astype(bool)
    order = np.argsort(-probability, kind="stable")
    last_of_ties = np.flatnonzero(np.append(np.diff(probability[order]) != 0, True))
    above = np.cumsum(weights[:, order], axis=1)[:, last_of_ties]
    hits = np.cumsum(weights[:, order] * is_bad[order], axis=1)[:, last_of_ties]
    total, bad = above[:, -1], hits[:, -1]
    separation = hits / bad[:, None] - (above - hits) / (total - bad)[:, None]
    top = [
        np.interp(TOP * rows, np.append(0.0, rows_above), np.append(0.0, bad_above)) / (TOP * rows)
        for rows, rows_above, bad_above in zip(total, above, hits, strict=True)
    ]
    refused = probability >= 1 / (1 + cost_ratio)
    bad_refused, good_refused = weights @ (is_bad & refused), weights @ (~is_bad & refused)
    return {
        "ks": separation.max(axis=1),
        "top_decile": np.array(top),
        "cost": (cost_ratio * (bad - bad_refused) + good_refused) / total,
        "f1": 2 * bad_refused / (bad_refused + good_refused + bad),
    }


def choices(probability: Floats) -> NDArray[np.intp]:
    """(rows,) the class that is chosen for each row: the likeliest; of two the second from 1/2 on."""
    return np.asarray(
        probability >= 0.5 if probability.ndim == 1 else probability.argmax(axis=1), dtype=np.intp
    )


def confidences(actual: Labels, probability: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """What calibration compares, (rows,) each: a probability, and whether the outcome happened.

    Of two classes it is the probability of the second, of more that of the class chosen.
    """
    if probability.ndim == 1:
        return probability, actual.astype(bool)
    return probability.max(axis=1), choices(probability) == actual


def calibration_bins(confidence: Floats) -> NDArray[np.intp]:
    """(rows,) the bin of each probability, of ten bins of equal width."""
    return np.minimum((confidence * ECE_BINS).astype(np.intp), ECE_BINS - 1)


def confusion_matrix(actual: Labels, probability: Floats) -> NDArray[np.intp]:
    """(classes, classes) how many rows have an actual class (rows) and a chosen class (columns)."""
    classes = _by_class(probability).shape[1]
    counts = _confusion(actual, choices(probability), classes, np.ones((1, len(actual))))
    matrix: NDArray[np.intp] = counts[0].astype(np.intp)
    return matrix


def _by_class(probability: Floats) -> Floats:
    return np.column_stack([1 - probability, probability]) if probability.ndim == 1 else probability


def _ranking(positive: NDArray[np.bool_], probability: Floats, weights: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(-probability, kind="stable")
    last_of_ties = np.flatnonzero(np.append(np.diff(probability[order]) != 0, True))
    ranked = weights[:, order]
    above = np.cumsum(ranked, axis=1)[:, last_of_ties]
    hits = np.cumsum(ranked * positive[order], axis=1)[:, last_of_ties]
    new_hits = np.diff(hits, axis=1, prepend=0.0)
    new_misses = np.diff(above - hits, axis=1, prepend=0.0)
    positives, negatives = hits[:, -1], above[:, -1] - hits[:, -1]
    auc: Floats = np.einsum("ij,ij->i", new_misses, hits - new_hits / 2) / (positives * negatives)
    precision = np.divide(hits, above, out=np.zeros_like(hits), where=above > 0)
    return auc, np.einsum("ij,ij->i", new_hits, precision) / positives


def _calibration_error(confidence: Floats, came_true: NDArray[np.bool_], weights: Floats) -> Floats:
    bins = calibration_bins(confidence)
    excess = np.where(np.arange(ECE_BINS) == bins[:, None], (confidence - came_true)[:, None], 0.0)
    return np.asarray(np.abs(weights @ excess).sum(axis=1))


def _confusion(actual: Labels, chosen: NDArray[np.intp], classes: int, weights: Floats) -> Floats:
    cells = actual.astype(int) * classes + chosen
    counts = weights @ (np.arange(classes**2) == cells[:, None]).astype(float)
    return np.asarray(counts.reshape(-1, classes, classes))


def _of_choices(confusion: Floats) -> dict[str, Floats]:
    """Accuracy and macro means from confusion matrices (resamples, actual, chosen).

    A class that nobody has, or that nobody was given, counts as 0.
    """
    total = confusion.sum(axis=(1, 2))
    right = np.diagonal(confusion, axis1=1, axis2=2)
    actual, chosen = confusion.sum(axis=2), confusion.sum(axis=1)
    others = total[:, None] - actual
    return {
        "accuracy": right.sum(axis=1) / total,
        "macro_precision": _share(right, chosen),
        "macro_recall": _share(right, actual),
        "macro_specificity": _share(others - (chosen - right), others),
        "macro_f1": _share(2 * right, actual + chosen),
    }


def _share(part: Floats, whole: Floats) -> Floats:
    shares = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return np.asarray(shares.mean(axis=1))
