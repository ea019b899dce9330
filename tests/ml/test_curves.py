"""Curves: true to the measures that they draw, and no point that tells of a single customer."""

from __future__ import annotations

import numpy as np
import pytest

from ml.curves import MINIMUM_PER_POINT, STEPS, curves
from ml.evaluate import TestCut
from ml.measures import Floats, measures


def cut(rows: int, classes: int = 2, seed: int = 1, knows: float = 0.5) -> TestCut:
    """Customers with a probability of their class that knows something of it, in hundredths."""
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
def test_the_area_under_the_roc_curve_is_the_auc_pooled_over_the_cuts(classes: int) -> None:
    cuts = [cut(3000, classes, seed=1, knows=0.2), cut(1500, classes, seed=2, knows=0.9)]
    pooled = np.average([measured(one, "auc") for one in cuts], weights=[3000, 1500])

    # chords lie below a curve that bends down
    assert pooled - 0.006 < area(curves(cuts, "it")["roc"]) < pooled
    stacked = TestCut(
        np.concatenate([one.customers for one in cuts]),
        np.concatenate([one.actual for one in cuts]),
        {"it": np.concatenate([one.probabilities["it"] for one in cuts])},
    )
    assert abs(measured(stacked, "auc") - pooled) > 0.01, "else the test could not tell"


@pytest.mark.parametrize("classes", [2, 4])
def test_the_gaps_of_the_calibration_curve_are_the_ece(classes: int) -> None:
    one = cut(4000, classes)
    points = curves([one], "it")["calibration"]
    shown = sum(customers for *_, customers in points)
    ece = sum(customers * abs(said - came) for said, came, customers in points) / shown

    assert 4000 - 10 * MINIMUM_PER_POINT < shown <= 4000
    assert ece == pytest.approx(measured(one, "ece"), abs=0.003)


def test_the_gain_curve_reads_who_is_found_among_the_first() -> None:
    one = cut(2000)
    likeliest = np.argsort(-one.probabilities["it"], kind="stable")
    for share, found in curves([one], "it")["gain"]:
        among = one.actual[likeliest[: round(share * 2000)]].sum() / one.actual.sum()
        # those of equal probability come in any order
        assert found == pytest.approx(among, abs=0.01)


def test_of_more_than_two_classes_the_gain_is_of_the_last() -> None:
    one = cut(2000, classes=4)
    last: Floats = one.probabilities["it"][:, -1]
    alone = TestCut(one.customers, one.actual == 3, {"it": last})
    found, expected = (np.array(curves([which], "it")["gain"]).T for which in (one, alone))
    # the steps of one go by the rarest class, those of the other by the last
    assert np.interp(expected[0], *found) == pytest.approx(expected[1], abs=0.01)


@pytest.mark.parametrize("knows", [0.0, 0.3, 5.0])
def test_curves_begin_and_end_in_the_corners_and_never_fall(knows: float) -> None:
    drawn = curves([cut(700, knows=knows), cut(900, seed=3, knows=knows)], "it")
    for name in ("roc", "gain"):
        points = np.array(drawn[name])
        assert points[0].tolist() == [0, 0] and points[-1].tolist() == [1, 1]
        assert (np.diff(points, axis=0) >= 0).all() and len(points) <= STEPS + 1
    said = [point[0] for point in drawn["calibration"]]
    assert said == sorted(said) and len(said) <= 10


@pytest.mark.parametrize("bought", [12, 60, 400, 1940])
def test_no_point_tells_of_a_single_customer(bought: int) -> None:
    generator = np.random.default_rng(4)
    actual = np.arange(2000) < bought
    probability = np.clip(generator.normal(0.2 + 0.2 * actual, 0.2), 0, 1)
    drawn = curves([TestCut(np.arange(2000).astype(object), actual, {"it": probability})], "it")

    steps = min(bought // MINIMUM_PER_POINT, (2000 - bought) // MINIMUM_PER_POINT, STEPS)
    assert len(drawn["roc"]) - 1 == len(drawn["gain"]) - 1 == steps
    assert min(customers for *_, customers in drawn["calibration"]) >= MINIMUM_PER_POINT


def test_who_stands_in_several_cuts_counts_once_in_the_steps() -> None:
    one = cut(300)
    rarest = min(one.actual.sum(), (~one.actual).sum())
    for cuts in ([one], [one, one, one]):
        assert len(curves(cuts, "it")["roc"]) - 1 == rarest // MINIMUM_PER_POINT
    others = TestCut(one.customers + "b", one.actual, one.probabilities)
    assert len(curves([one, others], "it")["roc"]) - 1 == 2 * rarest // MINIMUM_PER_POINT


def test_a_method_that_says_the_same_of_all_is_the_diagonal() -> None:
    one = cut(1000)
    constant = TestCut(one.customers, one.actual, {"it": np.full(1000, 0.4)})
    drawn = curves([constant], "it")
    for name in ("roc", "gain"):
        assert all(x == y for x, y in drawn[name])
    assert drawn["calibration"] == [[0.4, pytest.approx(one.actual.mean(), abs=1e-4), 1000]]
