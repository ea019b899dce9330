"""Measures of more than two classes equal scikit-learn's and hand counts (of two: test_evaluate.py)."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics
from sklearn.preprocessing import label_binarize

from ml.measures import choices, confusion_matrix, measures


def drawn(seed: int = 5, rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Classes 0 to 3 and probabilities that are partly right about them, with ties."""
    generator = np.random.default_rng(seed)
    actual = generator.integers(4, size=rows)
    seen = generator.random((rows, 4)).round(1) + 0.1 + np.eye(4)[actual] * generator.random((rows, 1))
    return actual, seen / seen.sum(axis=1, keepdims=True)


def test_measures_of_four_classes_agree_with_scikit_learn_with_weights() -> None:
    actual, probability = drawn()
    weights = np.random.default_rng(1).poisson(1, size=(3, len(actual))).astype(float)
    ours = measures(actual, probability, weights)
    chosen, truth = probability.argmax(axis=1), label_binarize(actual, classes=range(4))

    for fold, weight in enumerate(weights):
        options = {"average": "macro", "sample_weight": weight}
        squares = ((probability - truth) ** 2).sum(axis=1)
        expected = {
            "auc": metrics.roc_auc_score(truth, probability, **options),
            "average_precision": metrics.average_precision_score(truth, probability, **options),
            "brier": np.average(squares, weights=weight),
            "log_loss": metrics.log_loss(actual, probability, sample_weight=weight),
            "accuracy": metrics.accuracy_score(actual, chosen, sample_weight=weight),
            "macro_precision": metrics.precision_score(actual, chosen, **options),
            "macro_recall": metrics.recall_score(actual, chosen, **options),
            "macro_f1": metrics.f1_score(actual, chosen, **options),
        }
        for name, value in expected.items():
            assert ours[name][fold] == pytest.approx(value), name


def test_specificity_is_the_share_of_the_others_not_predicted_as_the_class() -> None:
    actual = np.array([0, 0, 1, 1, 2, 2])
    probability = np.eye(3)[[0, 1, 1, 1, 2, 0]]
    specificity = measures(actual, probability, np.ones((1, 6)))["macro_specificity"][0]

    # of the four others of each class: one was predicted as 0, one as 1, none as 2
    assert specificity == pytest.approx((3 / 4 + 3 / 4 + 1) / 3)


def test_with_two_classes_macro_recall_equals_macro_specificity() -> None:
    generator = np.random.default_rng(2)
    bought, probability = generator.random(200) < 0.3, generator.random(200)
    measured = measures(bought, probability, np.ones((1, 200)))

    assert measured["macro_recall"][0] == pytest.approx(measured["macro_specificity"][0])


def test_the_calibration_of_four_classes_is_that_of_the_predicted_class() -> None:
    actual = np.array([0, 1, 0])
    probability = np.array([[0.95, 0.03, 0.02], [0.91, 0.05, 0.04], [0.2, 0.5, 0.3]])
    error = measures(actual, probability, np.ones((1, 3)))["ece"][0]

    # bin 9: 1 of 2 was right at a predicted .93; bin 5: 0 of 1 at .5
    assert error == pytest.approx((abs(0.95 + 0.91 - 1) + 0.5) / 3)


def test_the_confusion_matrix_has_rows_of_actual_and_columns_of_predicted_classes() -> None:
    actual, probability = drawn()
    expected = metrics.confusion_matrix(actual, choices(probability))

    assert confusion_matrix(actual, probability).tolist() == expected.tolist()
    bought, predicted = np.array([True, True, False]), np.array([0.5, 0.4, 0.1])
    assert confusion_matrix(bought, predicted).tolist() == [[1, 0], [1, 1]]
