"""Measures of more than two classes against scikit-learn's and by hand; those of two are in test_evaluate."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics
from sklearn.preprocessing import label_binarize

from ml.measures import choices, confusion_matrix, measures


def drawn(seed: int = 5, rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Classes 0 to 3 and probabilities that know something of them, with ties."""
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
        each = {"average": "macro", "sample_weight": weight}
        squares = ((probability - truth) ** 2).sum(axis=1)
        expected = {
            "auc": metrics.roc_auc_score(truth, probability, **each),
            "average_precision": metrics.average_precision_score(truth, probability, **each),
            "brier": np.average(squares, weights=weight),
            "log_loss": metrics.log_loss(actual, probability, sample_weight=weight),
            "accuracy": metrics.accuracy_score(actual, chosen, sample_weight=weight),
            "macro_precision": metrics.precision_score(actual, chosen, **each),
            "macro_recall": metrics.recall_score(actual, chosen, **each),
            "macro_f1": metrics.f1_score(actual, chosen, **each),
        }
        for name, value in expected.items():
            assert ours[name][fold] == pytest.approx(value), name


def test_specificity_is_the_share_of_the_others_who_were_not_taken_for_the_class() -> None:
    actual = np.array([0, 0, 1, 1, 2, 2])
    probability = np.eye(3)[[0, 1, 1, 1, 2, 0]]
    specificity = measures(actual, probability, np.ones((1, 6)))["macro_specificity"][0]

    # of four others each: one was taken for 0, one for 1, none for 2
    assert specificity == pytest.approx((3 / 4 + 3 / 4 + 1) / 3)


def test_of_two_classes_recall_and_specificity_are_the_same_mean() -> None:
    generator = np.random.default_rng(2)
    bought, probability = generator.random(200) < 0.3, generator.random(200)
    found = measures(bought, probability, np.ones((1, 200)))

    assert found["macro_recall"][0] == pytest.approx(found["macro_specificity"][0])


def test_the_calibration_of_four_classes_is_that_of_the_class_chosen() -> None:
    actual = np.array([0, 1, 0])
    probability = np.array([[0.95, 0.03, 0.02], [0.91, 0.05, 0.04], [0.2, 0.5, 0.3]])
    error = measures(actual, probability, np.ones((1, 3)))["ece"][0]

    # bin 9: 1 of 2 came true where .93 was said; bin 5: 0 of 1 where .5 was
    assert error == pytest.approx((abs(0.95 + 0.91 - 1) + 0.5) / 3)


def test_the_confusion_matrix_has_a_row_for_what_came_and_a_column_for_what_was_chosen() -> None:
    actual, probability = drawn()
    expected = metrics.confusion_matrix(actual, choices(probability))

    assert confusion_matrix(actual, probability).tolist() == expected.tolist()
    bought, said = np.array([True, True, False]), np.array([0.5, 0.4, 0.1])
    assert confusion_matrix(bought, said).tolist() == [[1, 0], [1, 1]]
