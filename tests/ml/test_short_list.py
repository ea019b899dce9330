"""The short list of methods: valid probabilities, determinism, and the promises of the baselines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import duckdb
import numpy as np
import pytest

from ml.candidate import probabilities
from ml.features import RFM_RANK, read_snapshot
from ml.short_list import SHORT_LIST
from tests.ml.conftest import read_labelled

Warehouse = Callable[..., duckdb.DuckDBPyConnection]

FIT_ON, TEST_ON = date(2011, 3, 31), date(2011, 6, 30)


@pytest.mark.parametrize("name", SHORT_LIST)
def test_every_candidate_gives_the_same_probabilities_when_fitted_again(
    warehouse: Warehouse, name: str
) -> None:
    connection = warehouse()
    fit_on, test_on = read_labelled(connection, FIT_ON), read_snapshot(connection, TEST_ON)
    candidate = SHORT_LIST[name]
    first = probabilities(candidate.fit(fit_on), test_on, candidate.columns)
    again = probabilities(candidate.fit(fit_on), test_on, candidate.columns)

    assert first.tobytes() == again.tobytes()
    assert len(first) == len(test_on.customers)
    assert ((first >= 0) & (first <= 1)).all()


@pytest.mark.parametrize("name", SHORT_LIST)
def test_every_candidate_is_calibrated_on_average_where_it_was_fitted(
    warehouse: Warehouse, name: str
) -> None:
    snapshot = read_labelled(warehouse(), FIT_ON)
    candidate = SHORT_LIST[name]

    assert probabilities(candidate.fit(snapshot), snapshot, candidate.columns).mean() == pytest.approx(
        snapshot.labels.mean(), abs=0.01
    )


def test_the_probability_of_the_baseline_keeps_the_order_of_the_untrained_rank(warehouse: Warehouse) -> None:
    connection = warehouse()
    test_on = read_snapshot(connection, TEST_ON)
    model = SHORT_LIST["rfm_rank"].fit(read_labelled(connection, FIT_ON))
    order = np.argsort(test_on.features[RFM_RANK].to_numpy())

    assert (np.diff(probabilities(model, test_on, SHORT_LIST["rfm_rank"].columns)[order]) >= 0).all()


def test_majority_and_recency_rule_are_as_simple_as_documented(warehouse: Warehouse) -> None:
    snapshot = read_labelled(warehouse(), FIT_ON)
    values = {
        name: np.unique(probabilities(SHORT_LIST[name].fit(snapshot), snapshot, SHORT_LIST[name].columns))
        for name in ("majority", "recency_rule")
    }

    assert values["majority"].tolist() == pytest.approx([snapshot.labels.mean()])
    assert len(values["recency_rule"]) == 2


def test_no_customers_give_no_probabilities(warehouse: Warehouse) -> None:
    connection, rank = warehouse(), SHORT_LIST["rfm_rank"]
    model = rank.fit(read_labelled(connection, FIT_ON))

    assert len(probabilities(model, read_snapshot(connection, date(2011, 5, 15)), rank.columns)) == 0
