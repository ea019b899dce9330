"""Measures of forecast amounts, like errors and the Gini coefficient, for all bootstrap resamples at once.

A resample is given by how often each customer counts in it. So the ranking of the customers is the same in
all resamples, and is computed once.
"""

from __future__ import annotations

import numpy as np

from ml.lifetime.history import Floats

DECILES = 10


def amount_measures(actual: Floats, predicted: Floats, weights: Floats) -> dict[str, Floats]:
    """Seven measures of forecast amounts, (resamples,) each.

    mae, rmse: mean errors, in the unit of the amounts. bias: the error of the total, as a share of the actual
    total. spearman: rank correlation. gini: `gini`. decile_mape: over ten equal groups by forecast, the mean
    absolute error of the group's sum as a share of its actual sum (without groups whose actual sum is 0).
    top_share: the share of the actual total that the tenth with the greatest forecasts has.

    Args:
        actual: (customers,); its total must be above 0 in each resample.
        predicted: (customers,) forecasts.
        weights: (resamples, customers) how often each counts.
    """
    customers, total = weights.sum(axis=1), weights @ actual
    error = predicted - actual
    by_decile = _in_deciles(actual, predicted, weights)
    some = by_decile[0] > 0
    relative = np.abs(by_decile[1] - by_decile[0]) / np.where(some, by_decile[0], 1)
    return {
        "mae": weights @ np.abs(error) / customers,
        "rmse": np.sqrt(weights @ error**2 / customers),
        "bias": weights @ error / total,
        "spearman": spearman(actual, predicted, weights),
        "gini": gini(actual, predicted, weights),
        "decile_mape": np.sum(relative * some, axis=1) / some.sum(axis=1),
        "top_share": by_decile[0][:, -1] / total,
    }


def gini(actual: Floats, predicted: Floats, weights: Floats) -> Floats:
    """Normalised Gini, (resamples,): 1 where forecasts rank customers as the actual amounts do, 0 at random.

    Twice the area between the diagonal and the curve of the actual amount held by the customers with the
    greatest forecasts, divided by the same for the best order; customers with equal forecasts all count with
    their mean.
    """
    return _concentration(actual, predicted, weights) / _concentration(actual, actual, weights)


def spearman(one: Floats, other: Floats, weights: Floats) -> Floats:
    """Spearman's rank correlation, (resamples,), with mean ranks of equal values; NaN where all are equal."""
    first, second = _ranks(one, weights), _ranks(other, weights)
    together = np.einsum("ij,ij,ij->i", weights, first, second)
    squares = [np.einsum("ij,ij,ij->i", weights, ranks, ranks) for ranks in (first, second)]
    with np.errstate(invalid="ignore"):
        correlation: Floats = together / np.sqrt(squares[0] * squares[1])
    return correlation


def _ranks(values: Floats, weights: Floats) -> Floats:
    """Mean ranks of each resample less their mean, (resamples, customers)."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=np.nan) != 0)
    per_value = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(per_value, axis=1) - per_value / 2 - weights.sum(axis=1, keepdims=True) / 2
    group = np.empty(len(values), dtype=np.intp)
    group[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(values)))
    ranks: Floats = middle[:, group]
    return ranks


def _concentration(actual: Floats, by: Floats, weights: Floats) -> Floats:
    order = np.argsort(-by, kind="stable")
    starts = np.flatnonzero(np.diff(by[order], prepend=np.nan) != 0)
    ranked = weights[:, order]
    people = np.add.reduceat(ranked, starts, axis=1)
    amounts = np.add.reduceat(ranked * actual[order], starts, axis=1)
    before = np.cumsum(amounts, axis=1) - amounts / 2
    area = np.einsum("ij,ij->i", people, before) / (people.sum(axis=1) * amounts.sum(axis=1))
    return np.asarray(2 * area - 1)


def _in_deciles(actual: Floats, predicted: Floats, weights: Floats) -> Floats:
    """Sums of actual amounts and of forecasts in each tenth, lowest first: (2, resamples, DECILES)."""
    order = np.argsort(predicted, kind="stable")
    ranked = weights[:, order]
    above = np.cumsum(ranked, axis=1)
    borders = above[:, -1:] * np.arange(DECILES + 1) / DECILES
    sums = np.empty((2, len(weights), DECILES))
    for position, values in enumerate((actual[order], predicted[order])):
        until = np.hstack([np.zeros((len(weights), 1)), np.cumsum(ranked * values, axis=1)])
        for row, edge in enumerate(borders):
            # a customer on a border counts in both tenths, in proportion
            at = np.interp(edge, np.append(0.0, above[row]), until[row])
            sums[position, row] = np.diff(at)
    return sums
