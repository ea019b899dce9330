"""Curves agree with the measures they draw, and no point shows a single customer."""

from __future__ import annotations

import numpy as np
import pytest

from ml.curves import MINIMUM_PER_POINT, STEPS, curves
from ml.evaluate import TestCut
from ml.measures import Floats, measures


def cut(rows: int, classes: int = 2, seed: int = 1, knows: float = 0.5) -> TestCut:
    """Customers with a probability that is partly right about their class, in hundredths."""
    generator = np.random.default_rng(seed)
    actual = generator.integers(classes, size=rows)
    seen = generator.random((rows, classes)) + knows * np.eye(classes)[actual]
    by_class = (seen / seen.sum(axis=1, keepdims=True)).round(2)
    names = np.array([f"customer-{number}" for number in range(rows)], dtype=object)
    if classes == 2:
        return TestCut(names, actual.astype(bool), {"it": by_class[:, 1]})
    return TestCut(names, actual, {"it": by_class / by_class.sum(axis=1, keepdims=True)})


def measured(of: TestCut, measure: str) -> float:
    return float(measures(of.actual, of.probabilities["it"], np.ones((1, len(of.actual))))[measure][0])


def area(points: list[list[float]]) -> float:
    across, up = np.array(points).T
    return float(np.trapezoid(up, across))


@pytest.mark.parametrize("classes", [2, 4])
def test_the_area_under_the_roc_curve_equals_the_auc_pooled_over_the_cuts(classes: int) -> None:
    cuts = [cut(3000, classes, seed=1, knows=0.2), cut(1500, classes, seed=2, knows=0.9)]
    pooled = np.average([measured(one, "auc") for one in cuts], weights=[3000, 1500])

    # chords lie below a curve that bends down
    assert pooled - 0.006 < area(curves(cuts, "it")["roc"]) < pooled
    stacked = TestCut(
        np.concatenate([one.customers for one in cuts]),
        np.concatenate([one.actual for one in cuts]),
        {"it": np.concatenate([one.probabilities["it"] for one in cuts])},
    )
    assert abs(measured(stacked, "auc") - pooled) > 0.01, "otherwise the test shows nothing"


@pytest.mark.parametrize("classes", [2, 4])
def test_the_gaps_of_the_calibration_curve_add_up_to_the_ece(classes: int) -> None:
    test_cut = cut(4000, classes)
    points = curves([test_cut], "it")["calibration"]
    shown = sum(customers for *_, customers in points)
    ece = sum(customers * abs(predicted - actual) for predicted, actual, customers in points) / shown

    assert 4000 - 10 * MINIMUM_PER_POINT < shown <= 4000
    assert ece == pytest.approx(measured(test_cut, "ece"), abs=0.003)


def test_the_gain_curve_shows_the_share_of_buyers_among_the_first() -> None:
    test_cut = cut(2000)
    likeliest = np.argsort(-test_cut.probabilities["it"], kind="stable")
    for share, gain in curves([test_cut], "it")["gain"]:
        among = test_cut.actual[likeliest[: round(share * 2000)]].sum() / test_cut.actual.sum()
        # customers with equal probability may come in any order
        assert gain == pytest.approx(among, abs=0.01)


def test_with_more_than_two_classes_the_gain_curve_is_that_of_the_last() -> None:
    test_cut = cut(2000, classes=4)
    last: Floats = test_cut.probabilities["it"][:, -1]
    alone = TestCut(test_cut.customers, test_cut.actual == 3, {"it": last})
    gain, expected = (np.array(curves([given_cut], "it")["gain"]).T for given_cut in (test_cut, alone))
    # one curve takes its steps from the rarest class, the other from the last
    assert np.interp(expected[0], *gain) == pytest.approx(expected[1], abs=0.01)


@pytest.mark.parametrize("knows", [0.0, 0.3, 5.0])
def test_curves_begin_and_end_in_the_corners_and_never_fall(knows: float) -> None:
    drawn = curves([cut(700, knows=knows), cut(900, seed=3, knows=knows)], "it")
    for name in ("roc", "gain"):
        points = np.array(drawn[name])
        assert points[0].tolist() == [0, 0] and points[-1].tolist() == [1, 1]
        assert (np.diff(points, axis=0) >= 0).all() and len(points) <= STEPS + 1
    predicted = [point[0] for point in drawn["calibration"]]
    assert predicted == sorted(predicted) and len(predicted) <= 10


@pytest.mark.parametrize("bought", [12, 60, 400, 1940])
def test_no_point_shows_a_single_customer(bought: int) -> None:
    generator = np.random.default_rng(4)
    actual = np.arange(2000) < bought
    probability = np.clip(generator.normal(0.2 + 0.2 * actual, 0.2), 0, 1)
    drawn = curves([TestCut(np.arange(2000).astype(object), actual, {"it": probability})], "it")

    steps = min(bought // MINIMUM_PER_POINT, (2000 - bought) // MINIMUM_PER_POINT, STEPS)
    assert len(drawn["roc"]) - 1 == len(drawn["gain"]) - 1 == steps
    assert min(customers for *_, customers in drawn["calibration"]) >= MINIMUM_PER_POINT


def test_a_customer_in_several_cuts_counts_once_in_the_steps() -> None:
    test_cut = cut(300)
    rarest = min(test_cut.actual.sum(), (~test_cut.actual).sum())
    for cuts in ([test_cut], [test_cut, test_cut, test_cut]):
        assert len(curves(cuts, "it")["roc"]) - 1 == rarest // MINIMUM_PER_POINT
    others = TestCut(test_cut.customers + "b", test_cut.actual, test_cut.probabilities)
    assert len(curves([test_cut, others], "it")["roc"]) - 1 == 2 * rarest // MINIMUM_PER_POINT


def test_a_method_with_one_probability_for_all_is_the_diagonal() -> None:
    test_cut = cut(1000)
    constant = TestCut(test_cut.customers, test_cut.actual, {"it": np.full(1000, 0.4)})
    drawn = curves([constant], "it")
    for name in ("roc", "gain"):
        assert all(x == y for x, y in drawn[name])
    assert drawn["calibration"] == [[0.4, pytest.approx(test_cut.actual.mean(), abs=1e-4), 1000]]
