"""Drift: the stability index, what a card keeps for it, tolerated shifts, and calibration once it is due."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml import drift
from ml.features import RANKS, Snapshot

MANY = np.random.default_rng(1).lognormal(3, 1, 5000)


def snapshot(**columns: Any) -> Snapshot:
    frame = pd.DataFrame(columns)
    names = np.array([f"customer-{n}" for n in range(len(frame))], dtype=object)
    return Snapshot(date(2011, 1, 31), names, frame)


def card(then: Snapshot, columns: list[str], scores: Any, tested: Any = None, **more: Any) -> dict[str, Any]:
    kept = drift.references(then, columns, scores, tested or (then, then))
    return {"references": json.loads(json.dumps(kept)), "matured": None} | more


def test_the_index_follows_its_definition() -> None:
    kept = {"borders": [1.0], "shares": [0.5, 0.4, 0.1]}
    # 3 below the border, 5 from it on, 2 missing, plus half a customer in each
    values = np.array([0, 0, 0, 1, 1, 1, 2, 2, np.nan, np.nan])
    now = np.array([3.5, 5.5, 2.5]) / 11.5
    then = np.array([0.5, 0.4, 0.1])
    assert drift.stability_index(kept, values) == pytest.approx(((now - then) * np.log(now / then)).sum())


def test_the_same_customers_show_no_drift_and_others_do() -> None:
    kept = drift.reference(MANY)
    assert drift.stability_index(kept, MANY) < 1e-4
    assert drift.stability_index(kept, MANY * 1.1) < 0.05
    assert drift.stability_index(kept, MANY * 2) > 0.25
    assert drift.stability_index(kept, np.where(MANY > 20, np.nan, MANY)) > 0.25


@given(st.lists(st.floats(-1e6, 1e6) | st.just(np.nan), min_size=1, max_size=50), st.integers(1, 50))
def test_the_index_is_finite_and_never_negative(values: list[float], other: int) -> None:
    kept = drift.reference(np.array(values, dtype=float))
    assert 0 <= drift.stability_index(kept, np.arange(other, dtype=float)) < 100
    assert sum(kept["shares"]) == pytest.approx(1, abs=1e-4)


def test_counts_with_many_equal_values_have_fewer_bins_and_one_customer_more_is_no_drift() -> None:
    orders = np.repeat([1.0, 2.0, 3.0], [4400, 300, 300])
    kept = drift.reference(orders)
    assert len(kept["borders"]) <= 3
    assert drift.stability_index(kept, np.append(orders, 1.0)) < 1e-4


def test_no_border_is_the_value_of_one_customer() -> None:
    money = np.array([1234.56, 2345.67, 3456.78])
    assert not set(drift.reference(money)["borders"]) & set(money)


def test_ranks_are_not_judged_for_drift_but_other_features_are() -> None:
    then = snapshot(**{RANKS[0]: MANY / MANY.max(), "monetary": MANY})
    probability = MANY / MANY.max()
    measured = drift.measure(card(then, [RANKS[0], "monetary"], probability), then, probability)
    assert [(check.kind, check.name) for check in measured] == [
        ("input", "monetary"),
        ("score", "probability"),
    ]
    assert all(check.is_within and check.allowed == 0.25 for check in measured)


def test_a_shift_within_the_tested_range_is_tolerated_and_a_greater_one_is_not() -> None:
    young, then, grown = (snapshot(tenure_days=MANY * times) for times in (0.5, 1.0, 1.9))
    probability = np.full(len(MANY), 0.5)
    tested, untested = (
        card(then, ["tenure_days"], probability, cuts) for cuts in ((young, then), (then, then))
    )

    assert drift.measure(tested, grown, probability)[0].is_within
    assert not drift.measure(untested, grown, probability)[0].is_within
    assert not drift.measure(tested, snapshot(tenure_days=MANY * 8), probability)[0].is_within


def test_a_model_whose_scores_have_shifted_is_out_of_bounds() -> None:
    then, probability = snapshot(monetary=MANY), np.linspace(0, 1, len(MANY))
    (_, score) = drift.measure(card(then, ["monetary"], probability), then, probability**3)
    assert (score.kind, score.is_within) == ("score", False)


def test_with_more_classes_the_score_of_the_last_is_judged() -> None:
    by_class = np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]])
    assert drift.score_of(by_class).tolist() == [0.4, 0.1]


@pytest.mark.parametrize(
    ("predicted", "share", "is_within"), [(0.5, 0.4, True), (0.5, 0.66, False), (0.5, 0.34, False)]
)
def test_calibration_is_judged_once_labels_have_matured(
    predicted: float, share: float, is_within: bool
) -> None:
    then, probability = snapshot(monetary=MANY), np.full(len(MANY), predicted)
    matured = {"cut": "2010-12-31", "mean_probability": predicted, "share": share}
    found = drift.measure(card(then, [], probability, matured=matured), then, probability)[-1]
    assert (found.kind, found.name, found.is_within) == ("calibration", "2010-12-31", is_within)
    assert found.value == pytest.approx(abs(predicted - share))
