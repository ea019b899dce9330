"""Evaluation: measures equal scikit-learn's and hand counts; bootstrap intervals; the promotion rule."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics

from ml import evaluate
from ml.evaluate import TestCut, compare, measures, promote


def cut(seed: int, gains: dict[str, float], customers: int = 400, prefix: str = "c") -> TestCut:
    """A test cut whose candidates see the truth through noise; a greater gain means less noise."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=customers)
    bought = generator.random(customers) < 1 / (1 + np.exp(-2 * truth))
    seen = {name: gain * truth + generator.normal(size=customers) for name, gain in gains.items()}
    scores = {name: 1 / (1 + np.exp(-log_odds)) for name, log_odds in seen.items()}
    return TestCut(np.array([f"{prefix}{n}" for n in range(customers)], dtype=object), bought, scores)


@pytest.mark.parametrize("decimals", [1, 9])
def test_measures_agree_with_scikit_learn_with_ties_and_weights(decimals: int) -> None:
    generator = np.random.default_rng(3)
    bought = generator.random(300) < 0.4
    probability = generator.random(300).round(decimals) * 0.9 + 0.05
    weights = generator.poisson(1, size=(4, 300)).astype(float)
    ours = measures(bought, probability, weights)

    for fold, weight in enumerate(weights):
        expected = {
            "auc": metrics.roc_auc_score(bought, probability, sample_weight=weight),
            "average_precision": metrics.average_precision_score(bought, probability, sample_weight=weight),
            "brier": metrics.brier_score_loss(bought, probability, sample_weight=weight),
            "log_loss": metrics.log_loss(bought, probability, sample_weight=weight),
            "accuracy": metrics.accuracy_score(bought, probability >= 0.5, sample_weight=weight),
            "macro_f1": metrics.f1_score(bought, probability >= 0.5, average="macro", sample_weight=weight),
        }
        for name, value in expected.items():
            assert ours[name][fold] == pytest.approx(value), name


def test_calibration_error_by_hand() -> None:
    bought = np.array([True, False, False, True])
    probability = np.array([0.95, 0.91, 0.22, 1.0])
    error = measures(bought, probability, np.ones((1, 4)))["ece"][0]

    # bin 9: 2 of 3 bought at a predicted .9533; bin 2: 0 of 1 at .22
    assert error == pytest.approx((abs(0.95 + 0.91 + 1.0 - 2) + 0.22) / 4)


def test_an_interval_contains_its_value_and_narrows_with_more_customers() -> None:
    widths = []
    for customers in (200, 3200):
        result = compare([cut(1, {"rank": 1.0}, customers)], "rank", [], seed=1, folds=400)
        measured = result["pooled"]["rank"]
        for name, interval in measured.items():
            # ECE adds absolute errors, so the noise of resampling raises it
            assert interval["low"] <= interval["value"] <= interval["high"] or name == "ece", name
        widths.append(measured["auc"]["high"] - measured["auc"]["low"])

    assert widths[0] / widths[1] == pytest.approx(4, rel=0.3)


def test_the_interval_of_a_share_equals_the_normal_one() -> None:
    test_cut = cut(2, {"rank": 1.0}, customers=1000)
    accuracy = compare([test_cut], "rank", [], seed=1)["pooled"]["rank"]["accuracy"]
    deviation = np.sqrt(accuracy["value"] * (1 - accuracy["value"]) / 1000)

    assert accuracy["high"] - accuracy["low"] == pytest.approx(2 * 1.96 * deviation, rel=0.1)


def test_a_customer_is_resampled_with_all_their_rows() -> None:
    one = cut(4, {"rank": 1.0})
    again = TestCut(one.customers, one.actual, one.probabilities)
    others = np.array([f"other-{n}" for n in range(400)], dtype=object)
    stranger = TestCut(others, one.actual, one.probabilities)
    widths = [
        pooled["high"] - pooled["low"]
        for cuts in ([one, again], [one, stranger])
        for pooled in [compare(cuts, "rank", [], seed=1)["pooled"]["rank"]["auc"]]
    ]

    # the same rows twice add no information; rows of other customers do
    assert widths[0] / widths[1] == pytest.approx(np.sqrt(2), rel=0.15)


def test_the_comparison_is_paired_so_a_copy_of_the_baseline_gains_exactly_zero() -> None:
    alone = cut(5, {"rank": 1.0})
    scores = alone.probabilities["rank"]
    twins = TestCut(alone.customers, alone.actual, {"rank": scores, "twin": scores})
    gain = compare([twins], "rank", ["twin"], seed=1)["auc_gain"]["twin"]

    assert (gain["value"], gain["low"], gain["high"], gain["p_value"]) == (0, 0, 0, 1)


def test_pooled_weighs_each_cut_by_its_customers() -> None:
    cuts = [cut(6, {"rank": 1.0}, 100), cut(7, {"rank": 1.0}, 300, prefix="d")]
    result = compare(cuts, "rank", [], seed=1, folds=10)
    first, second = (by["rank"]["auc"]["value"] for by in result["cuts"])

    assert result["pooled"]["rank"]["auc"]["value"] == pytest.approx((first + 3 * second) / 4, abs=2e-6)


def test_the_seed_decides_the_resamples_and_the_block_size_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    cuts = [cut(8, {"rank": 1.0, "other": 2.0})]
    whole = compare(cuts, "rank", ["other"], seed=1, folds=50)
    other_seed = compare(cuts, "rank", ["other"], seed=2, folds=50)
    monkeypatch.setattr(evaluate, "BLOCK_CELLS", 7 * 400)
    in_blocks = compare(cuts, "rank", ["other"], seed=1, folds=50)

    assert in_blocks == whole
    assert other_seed != whole


def test_a_planted_strong_challenger_is_promoted_and_noise_is_not() -> None:
    gains = {"rank": 1.0, "strong": 3.0, "noise": 0.0}
    cuts = [cut(seed, gains) for seed in (10, 11, 12)]
    result = compare(cuts, "rank", ["strong", "noise"], seed=1)
    shipped, reason = promote(result["auc_gain"], "rank")
    without, why_not = promote(compare(cuts, "rank", ["noise"], seed=1)["auc_gain"], "rank")

    assert shipped == "strong" and "strong is promoted" in reason
    assert without == "rank" and "no challenger gains significantly" in why_not
    barred, why = promote(result["auc_gain"], "rank", barred=["strong"])
    assert barred == "rank" and "no challenger that may ship gains significantly" in why


def gain(value: float, low: float, p_holm: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": 2 * value - low, "p_value": p_holm, "p_holm": p_holm}


@pytest.mark.parametrize(
    ("gains", "shipped"),
    [
        ({"a": gain(0.01, 0.001, 0.04)}, "a"),
        ({"a": gain(0.01, -0.001, 0.04)}, "rank"),
        ({"a": gain(0.01, 0.001, 0.06)}, "rank"),
        ({"a": gain(0.01, 0.001, 0.04), "b": gain(0.02, 0.001, 0.04)}, "b"),
        ({"a": {"value": 0.5, "low": 0.4, "high": 0.6, "p_value": 0.002}}, "rank"),
    ],
    ids=["clear gain", "interval holds zero", "not after Holm", "the larger of two", "a baseline"],
)
def test_the_promotion_rule(gains: dict[str, dict[str, float]], shipped: str) -> None:
    assert promote(gains, "rank")[0] == shipped


def test_holm_multiplies_the_smallest_p_value_most_and_never_decreases() -> None:
    draws: dict[str, tuple[float, NDArray[np.float64]]] = {"rank": (0.5, np.zeros(999))}
    for name, beyond in (("a", 9), ("b", 14), ("c", 499)):
        draws[name] = 0.6, np.where(np.arange(999) < beyond, -1.0, 1.0)
    gains = evaluate._gains(draws, "rank", ["a", "b", "c"])

    assert [gains[name]["p_value"] for name in "abc"] == [0.02, 0.03, 1.0]
    assert [gains[name]["p_holm"] for name in "abc"] == [0.06, 0.06, 1.0]
