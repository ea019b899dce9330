"""Candidates read the columns they name, and balancing of classes happens only inside the fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from ml.candidate import Candidate, down_sampled, probabilities
from ml.features import Snapshot
from ml.methods import METHODS
from tests.ml.conftest import read_labelled

Warehouse = Callable[..., duckdb.DuckDBPyConnection]

FIT_ON, TEST_ON = date(2011, 3, 31), date(2011, 6, 30)


class Remembers(ClassifierMixin, BaseEstimator):
    """A classifier that keeps what it was fitted on."""

    def fit(self, X: Any, y: Any) -> Remembers:
        self.rows_, self.labels_, self.classes_ = X, y, np.unique(y)
        return self


class KnowsGroups(Remembers):
    """Another that asks which rows belong together."""

    def fit(self, X: Any, y: Any, groups: Any = None) -> Remembers:
        self.groups_ = groups
        return super().fit(X, y)


def rare(snapshot: Snapshot) -> Snapshot:
    """The same customers, with one buyer in ten."""
    return replace(snapshot, outcome=(np.arange(len(snapshot.customers)) % 10 == 0).astype(int))


def test_down_sampling_keeps_the_rarest_class_and_draws_as_many_of_each_other_class_once() -> None:
    labels = np.repeat([0, 1, 2], [90, 10, 40])
    kept = down_sampled(labels)

    assert np.bincount(labels[kept]).tolist() == [10, 10, 10]
    assert len(set(kept)) == len(kept) and set(range(90, 100)) <= set(kept)
    assert kept.tolist() == down_sampled(labels).tolist()


def test_a_balanced_fit_sees_only_rows_of_its_own_sample_each_at_most_once(warehouse: Warehouse) -> None:
    snapshot = rare(read_labelled(warehouse(), FIT_ON))
    model = Candidate("remembers", "", ("monetary",), Remembers, balance="down_sampling").fit(snapshot)
    of_the_sample = snapshot.matrix(["monetary"])[:, 0].tolist()

    assert np.bincount(model.labels_).tolist() == [30, 30]
    assert len(set(model.rows_[:, 0])) == 60 and set(model.rows_[:, 0]) <= set(of_the_sample)
    assert len(snapshot.labels) == 300, "the sample itself stays as it is"


@pytest.mark.parametrize("balance", [None, "down_sampling"])
def test_a_method_that_asks_for_it_is_told_the_customer_of_each_of_its_rows(
    warehouse: Warehouse, balance: Any
) -> None:
    snapshot = rare(read_labelled(warehouse(), FIT_ON))
    model = Candidate("knows", "", ("monetary",), KnowsGroups, balance=balance).fit(snapshot)
    spent = dict(zip(snapshot.customers, snapshot.matrix(["monetary"])[:, 0], strict=True))

    assert len(set(model.groups_)) == len(model.labels_) == (60 if balance else 300)
    assert [spent[customer] for customer in model.groups_] == model.rows_[:, 0].tolist()


def test_weights_reach_every_estimator_that_supports_them_and_change_no_other() -> None:
    for name in ("logistic_regression", "svm", "lightgbm", "keras", "stack"):
        assert METHODS[name].balanced("weights").balance == "weights"
    assert METHODS["naive_bayes"].balanced("weights") is METHODS["naive_bayes"]
    assert METHODS["naive_bayes"].balanced("down_sampling").balance == "down_sampling"


@pytest.mark.parametrize("balance", ["weights", "down_sampling"])
def test_balancing_raises_the_mean_probability_of_the_rare_class_to_one_half(
    warehouse: Warehouse, balance: Any
) -> None:
    snapshot = rare(read_labelled(warehouse(), FIT_ON))
    plain = METHODS["logistic_regression"]
    means = [
        probabilities(method.fit(snapshot), snapshot, method.columns).mean()
        for method in (plain, plain.balanced(balance))
    ]

    assert means == pytest.approx([0.1, 0.5], abs=0.06)


def test_a_baseline_needs_all_of_its_columns_and_other_methods_use_those_that_exist() -> None:
    baseline, challenger = METHODS["rfm_rank"], METHODS["random_forest"]

    assert baseline.on(["monetary"]) is None and baseline.on(baseline.columns) == baseline
    found = challenger.on(["rank_monetary", "monetary", "recency_days"])
    assert found is not None and found.columns == ("recency_days", "monetary")
    assert challenger.on(["rank_monetary"]) is None
