"""Measures of forecast amounts equal plain computations on each resample written out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ml.lifetime import amount_measures, gini, spearman

Floats = NDArray[np.float64]


def drawn(customers: int, resamples: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """Actual amounts, half of them zero; forecasts with ties; and how often each customer counts."""
    generator = np.random.default_rng(seed)
    actuals = np.where(generator.random(customers) < 0.5, generator.lognormal(3, 1.5, customers), 0)
    forecasts = np.round(0.3 * actuals + generator.lognormal(3, 1, customers), -1)
    weights = generator.multinomial(customers, np.full(customers, 1 / customers), size=resamples)
    return actuals, forecasts, weights.astype(np.float64)


def test_every_measure_equals_that_of_the_resample_written_out() -> None:
    actuals, forecasts, weights = drawn(400, 5, 1)
    measured = amount_measures(actuals, forecasts, weights)

    for row, counts in enumerate(weights.astype(int)):
        actual, forecast = np.repeat(actuals, counts), np.repeat(forecasts, counts)
        assert measured["mae"][row] == pytest.approx(np.abs(forecast - actual).mean())
        assert measured["rmse"][row] == pytest.approx(np.sqrt(((forecast - actual) ** 2).mean()))
        assert measured["bias"][row] == pytest.approx(forecast.sum() / actual.sum() - 1)
        assert measured["spearman"][row] == pytest.approx(stats.spearmanr(actual, forecast)[0])
        assert measured["gini"][row] == pytest.approx(
            pairwise_gini(actual, forecast) / pairwise_gini(actual, actual)
        )
        tenths = np.split(np.lexsort([np.repeat(np.arange(400), counts), forecast]), 10)
        parts = np.array([[actual[tenth].sum(), forecast[tenth].sum()] for tenth in tenths])
        assert measured["top_share"][row] == pytest.approx(parts[-1, 0] / actual.sum())
        error = np.abs(parts[:, 1] - parts[:, 0])[parts[:, 0] > 0] / parts[parts[:, 0] > 0, 0]
        assert measured["decile_mape"][row] == pytest.approx(error.mean())


def pairwise_gini(actual: Floats, by: Floats) -> float:
    """By definition: over all pairs, how much more the customer with the higher forecast spent."""
    more = np.sign(by[:, None] - by[None, :])
    return float((more * (actual[:, None] - actual[None, :])).sum() / (2 * len(actual) * actual.sum()))


def test_a_perfect_order_has_a_gini_of_one_a_reversed_one_of_minus_one_and_none_of_zero() -> None:
    actuals, _, _ = drawn(300, 1, 2)
    once = np.ones((1, 300))

    assert gini(actuals, 5 * actuals + 1, once)[0] == pytest.approx(1)
    assert gini(actuals, -actuals, once)[0] == pytest.approx(-1)
    assert gini(actuals, np.ones(300), once)[0] == pytest.approx(0)


def test_equal_customers_count_the_same_in_any_order() -> None:
    actuals, forecasts, weights = drawn(200, 3, 3)
    shuffled = np.random.default_rng(4).permutation(200)
    for measure in (gini, spearman):
        assert measure(actuals, forecasts, weights) == pytest.approx(
            measure(actuals[shuffled], forecasts[shuffled], weights[:, shuffled])
        )
