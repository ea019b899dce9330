"""The risk measures equal hand counts, and every compared method copes with missing values."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp
from sklearn.linear_model import LogisticRegression

from ml.candidate import probabilities
from ml.features import Snapshot
from ml.measures import risk_measures
from ml.scorecards.rivals import RIVALS, SCORECARD, MonotoneTrees, on_quantiles, risk_methods

ONES = np.ones((1, 20))


def measures_of(actual: np.ndarray, probability: np.ndarray, ratio: float = 5.0) -> dict[str, float]:
    measured = risk_measures(actual, probability, np.ones((1, len(actual))), ratio)
    return {name: float(values[0]) for name, values in measured.items()}


def test_cost_and_f1_are_counted_at_the_cut_point_that_the_costs_imply() -> None:
    # at 5 to 1 the cut point is 1/6: two of three bad rows are refused, and one of three good ones
    measured = measures_of(np.array([1, 1, 1, 0, 0, 0]), np.array([0.9, 1 / 6, 0.1, 0.2, 0.16, 0.0]))
    assert measured["cost"] == pytest.approx((5 * 1 + 1) / 6)
    assert measured["f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    # if refusing a good row costs as much, the cut point is 1/2
    assert measures_of(np.array([1, 1, 0]), np.array([0.9, 0.2, 0.6]), ratio=1.0)["cost"] == pytest.approx(
        2 / 3
    )


def test_ks_equals_the_two_sample_statistic() -> None:
    generator = np.random.default_rng(1)
    actual = generator.random(500) < 0.3
    probability = np.round(generator.random(500) + 0.2 * actual, 2)
    expected = ks_2samp(probability[actual], probability[~actual]).statistic
    assert measures_of(actual, probability)["ks"] == pytest.approx(expected)


def test_the_top_tenth_takes_a_proportional_share_of_rows_with_equal_probability() -> None:
    actual = np.array([1] + [1, 0] + [0] * 17)
    # the top tenth is two rows: the first, and one of two equal ones, half of which are bad
    probability = np.array([0.9] + [0.5] * 2 + [0.1] * 17)
    assert measures_of(actual, probability)["top_decile"] == pytest.approx((1 + 0.5) / 2)
    assert measures_of(actual, np.full(20, 0.3))["top_decile"] == pytest.approx(2 / 20)


def test_a_row_drawn_twice_counts_as_two() -> None:
    generator = np.random.default_rng(2)
    actual, probability = generator.random(60) < 0.4, generator.random(60).round(1)
    weights = generator.integers(0, 3, 60)
    drawn = risk_measures(actual, probability, weights[None, :].astype(float), 5.0)
    rows = np.repeat(np.arange(60), weights)
    assert {name: float(values[0]) for name, values in drawn.items()} == pytest.approx(
        measures_of(actual[rows], probability[rows])
    )


def test_every_method_fits_rows_with_missing_values_and_only_the_scorecard_may_ship() -> None:
    generator = np.random.default_rng(3)
    rows = pd.DataFrame(generator.normal(size=(600, 3)), columns=["a", "b", "c"])
    outcome = generator.random(600) < 1 / (1 + np.exp(1 - rows["a"]))
    rows.loc[generator.random(600) < 0.3, "b"] = np.nan
    learnt = Snapshot(date(2011, 1, 31), np.arange(600).astype(object), rows, outcome.to_numpy())
    unseen = Snapshot(date(2011, 2, 28), np.array([1, 2], dtype=object), rows.iloc[:2] * np.nan)
    methods = risk_methods(("a", "b", "c"), {"a": "by itself"})
    assert set(methods) == {"majority", "a", SCORECARD, "lightgbm_monotone", *RIVALS}
    for name, method in methods.items():
        model = method.fit(learnt)
        probability = probabilities(model, learnt, method.columns)
        assert ((probability >= 0) & (probability <= 1)).all(), name
        assert np.isfinite(probabilities(model, unseen, method.columns)).all(), name
    assert [
        name for name, candidate in methods.items() if candidate.may_ship and candidate.kind == "challenger"
    ] == [SCORECARD]


def test_trees_are_monotone_in_each_column() -> None:
    generator = np.random.default_rng(4)
    X = generator.normal(size=(2000, 2))
    X[generator.random(2000) < 0.1, 0] = np.nan
    y = generator.random(2000) < 1 / (1 + np.exp(1 - np.sin(3 * X[:, 1]) - np.nan_to_num(X[:, 0])))
    trees = MonotoneTrees(n_estimators=30, min_child_samples=5, verbose=-1, num_threads=1).fit(X, y)
    line = np.column_stack([np.zeros(200), np.linspace(-3, 3, 200)])
    steps = np.diff(trees.predict_proba(line)[:, 1])
    assert (steps >= 0).all() or (steps <= 0).all()
    line = np.column_stack([np.linspace(-3, 3, 200), np.zeros(200)])
    assert (np.diff(trees.predict_proba(line)[:, 1]) >= 0).all()


def test_a_column_without_values_changes_no_method_and_raises_no_warning(
    recwarn: pytest.WarningsRecorder,
) -> None:
    generator = np.random.default_rng(4)
    X = generator.normal(size=(300, 2))
    bad = generator.random(300) < 1 / (1 + np.exp(1 - X[:, 0]))
    with_nothing = np.column_stack([X[:, :1], np.full(300, np.nan), X[:, 1:]])
    fitted = [
        on_quantiles(LogisticRegression).fit(columns, bad).predict_proba(columns)
        for columns in (X, with_nothing)
    ]
    assert np.array_equal(*fitted)
    assert not [str(warning.message) for warning in recwarn]
