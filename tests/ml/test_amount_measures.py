"""Measures of foretold amounts against plain computations on each resample written out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ml.lifetime import amount_measures, gini, spearman

Floats = NDArray[np.float64]


def drawn(customers: int, resamples: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """What came, half of it nothing; what was foretold, with ties; how often each customer counts."""
    generator = np.random.default_rng(seed)
    happened = np.where(generator.random(customers) < 0.5, generator.lognormal(3, 1.5, customers), 0)
    foretold = np.round(0.3 * happened + generator.lognormal(3, 1, customers), -1)
    weights = generator.multinomial(customers, np.full(customers, 1 / customers), size=resamples)
    return happened, foretold, weights.astype(np.float64)


def test_every_measure_is_that_of_the_resample_written_out() -> None:
    happened, foretold, weights = drawn(400, 5, 1)
    found = amount_measures(happened, foretold, weights)

    for row, counts in enumerate(weights.astype(int)):
        came, said = np.repeat(happened, counts), np.repeat(foretold, counts)
        assert found["mae"][row] == pytest.approx(np.abs(said - came).mean())
        assert found["rmse"][row] == pytest.approx(np.sqrt(((said - came) ** 2).mean()))
        assert found["bias"][row] == pytest.approx(said.sum() / came.sum() - 1)
        assert found["spearman"][row] == pytest.approx(stats.spearmanr(came, said)[0])
        assert found["gini"][row] == pytest.approx(pairwise_gini(came, said) / pairwise_gini(came, came))
        tenths = np.split(np.lexsort([np.repeat(np.arange(400), counts), said]), 10)
        parts = np.array([[came[tenth].sum(), said[tenth].sum()] for tenth in tenths])
        assert found["top_share"][row] == pytest.approx(parts[-1, 0] / came.sum())
        error = np.abs(parts[:, 1] - parts[:, 0])[parts[:, 0] > 0] / parts[parts[:, 0] > 0, 0]
        assert found["decile_mape"][row] == pytest.approx(error.mean())


def pairwise_gini(came: Floats, by: Floats) -> float:
    """From the definition: over all pairs, by how much more came of the one of whom more was foretold."""
    more = np.sign(by[:, None] - by[None, :])
    return float((more * (came[:, None] - came[None, :])).sum() / (2 * len(came) * came.sum()))


def test_a_perfect_order_has_a_gini_of_one_a_reversed_one_of_minus_one_and_none_of_zero() -> None:
    happened, _, _ = drawn(300, 1, 2)
    once = np.ones((1, 300))

    assert gini(happened, 5 * happened + 1, once)[0] == pytest.approx(1)
    assert gini(happened, -happened, once)[0] == pytest.approx(-1)
    assert gini(happened, np.ones(300), once)[0] == pytest.approx(0)


def test_equal_customers_count_the_same_in_any_order() -> None:
    happened, foretold, weights = drawn(200, 3, 3)
    other = np.random.default_rng(4).permutation(200)
    for measure in (gini, spearman):
        assert measure(happened, foretold, weights) == pytest.approx(
            measure(happened[other], foretold[other], weights[:, other])
        )
