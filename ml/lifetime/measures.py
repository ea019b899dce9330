"""Measures of foretold amounts, each taken once per bootstrap resample in one vectorised pass.

A resample is told by how often each customer counts in it. The order of the customers is then the same in
all of them, and is computed once.
"""

from __future__ import annotations

import numpy as np

from ml.lifetime.history import Floats

DECILES = 10


def amount_measures(happened: Floats, foretold: Floats, weights: Floats) -> dict[str, Floats]:
    """Seven measures of foretold amounts, once per row of weights: arrays (resamples,).

    mae, rmse: mean errors, in the amount's unit. bias: of the sum foretold, as a share of the sum that came.
    spearman: rank correlation. gini: `gini`. decile_mape: of ten equal groups by what was foretold, the mean
    error of the group's sum as a share of what came of it (of groups of which anything came). top_share: what
    the tenth of which most was foretold had, as a share of all that came.

    Args:
        happened: what came, (customers,); something must have come in each resample.
        foretold: same shape.
        weights: (resamples, customers), how often each counts.
    """
    total, came = weights.sum(axis=1), weights @ happened
    error = foretold - happened
    by_decile = _in_deciles(happened, foretold, weights)
    some = by_decile[0] > 0
    relative = np.abs(by_decile[1] - by_decile[0]) / np.where(some, by_decile[0], 1)
    return {
        "mae": weights @ np.abs(error) / total,
        "rmse": np.sqrt(weights @ error**2 / total),
        "bias": weights @ error / came,
        "spearman": spearman(happened, foretold, weights),
        "gini": gini(happened, foretold, weights),
        "decile_mape": np.sum(relative * some, axis=1) / some.sum(axis=1),
        "top_share": by_decile[0][:, -1] / came,
    }


def gini(happened: Floats, foretold: Floats, weights: Floats) -> Floats:
    """Normalised Gini, (resamples,): 1 where customers are ranked as by what came, 0 where by chance.

    Twice the area between the diagonal and the share of what came with the first customers by what was
    foretold, over the same for the best order; of equals, all have their mean.
    """
    return _concentration(happened, foretold, weights) / _concentration(happened, happened, weights)


def spearman(one: Floats, other: Floats, weights: Floats) -> Floats:
    """Rank correlation, (resamples,), equal values having their mean rank; NaN where all are equal."""
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


def _concentration(happened: Floats, by: Floats, weights: Floats) -> Floats:
    order = np.argsort(-by, kind="stable")
    starts = np.flatnonzero(np.diff(by[order], prepend=np.nan) != 0)
    ranked = weights[:, order]
    people = np.add.reduceat(ranked, starts, axis=1)
    came = np.add.reduceat(ranked * happened[order], starts, axis=1)
    before = np.cumsum(came, axis=1) - came / 2
    area = np.einsum("ij,ij->i", people, before) / (people.sum(axis=1) * came.sum(axis=1))
    return np.asarray(2 * area - 1)


def _in_deciles(happened: Floats, foretold: Floats, weights: Floats) -> Floats:
    """Sums of what came and of what was foretold in each tenth, lowest first: (2, resamples, DECILES)."""
    order = np.argsort(foretold, kind="stable")
    ranked = weights[:, order]
    above = np.cumsum(ranked, axis=1)
    borders = above[:, -1:] * np.arange(DECILES + 1) / DECILES
    sums = np.empty((2, len(weights), DECILES))
    for position, values in enumerate((happened[order], foretold[order])):
        until = np.hstack([np.zeros((len(weights), 1)), np.cumsum(ranked * values, axis=1)])
        for row, edge in enumerate(borders):
            # a customer on a border counts in both tenths by their parts
            at = np.interp(edge, np.append(0.0, above[row]), until[row])
            sums[position, row] = np.diff(at)
    return sums
