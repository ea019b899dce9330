"""The registry: its names, determinism, and that no method finds anything where there is nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from ml import store
from ml.candidate import probabilities
from ml.features import Snapshot
from ml.lifetime import BGNBD, Histories, ParetoNBD
from ml.measures import measures
from ml.methods import METHODS, NextOrder, Segments
from ml.tasks import BEFORE, DAYS_AHEAD, ORDER_DAYS
from tests.ml.conftest import fill, read_labelled

FIT_ON, TEST_ON = date(2011, 3, 31), date(2011, 6, 30)
TRAINED = [name for name, method in METHODS.items() if method.kind == "challenger"]


def installed(names: Iterable[str]) -> list[Any]:
    """The methods as parameters, skipped where a package of theirs is not installed."""
    return [
        pytest.param(name, marks=pytest.mark.skipif(why is not None, reason=str(why)))
        for name, why in ((name, METHODS[name].missing()) for name in names)
    ]


Snapshots = tuple[Snapshot, Snapshot]


@pytest.fixture(scope="module")
def many() -> Snapshots:
    """1,200 customers to learn from and 6,000 to test on, with all that a task may know of them."""
    with duckdb.connect() as connection:
        fill(connection, "rfm", 6000, seed=1)
        fit_on, test_on = (known(read_labelled(connection, cut)) for cut in (FIT_ON, TEST_ON))
    return first(fit_on, 1200), test_on


@pytest.fixture(scope="module")
def few(many: Snapshots) -> Snapshots:
    """The first 250 of each."""
    return first(many[0], 250), first(many[1], 250)


@pytest.fixture(autouse=True)
def as_evaluated() -> Iterator[None]:
    """One thread, and no warning of settings that are meant so."""
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "n_components was set")
        yield


def first(snapshot: Snapshot, count: int) -> Snapshot:
    some = slice(0, count)
    return Snapshot(
        snapshot.as_of, snapshot.customers[some], snapshot.features.iloc[some], snapshot.labels[some]
    )


def known(snapshot: Snapshot) -> Snapshot:
    features = snapshot.features
    # one order a day, and the only one of whoever has one is the first
    tenure = np.where(features["frequency"] == 1, features["recency_days"], features["tenure_days"])
    before = (features["orders_90d"] > 0).astype(int)
    columns = {ORDER_DAYS: features["frequency"], DAYS_AHEAD: 90, BEFORE: before, "tenure_days": tenure}
    return replace(snapshot, features=features.assign(**columns))


def test_the_registry_has_the_methods_of_the_field_from_the_simplest_on() -> None:
    baselines = [name for name, method in METHODS.items() if method.kind == "baseline"]

    assert baselines == ["majority", "persistence", "recency_rule", "rfm_rank", "bg_nbd", "pareto_nbd"]
    assert sorted(TRAINED) == [
        *("decision_tree", "extra_trees", "hybrid_kmeans", "keras", "knn", "lda", "lightgbm"),
        *("logistic_regression", "mlp", "naive_bayes", "random_forest", "stack", "svm", "xgboost"),
    ]
    assert list(METHODS) == baselines + [name for name in METHODS if name in TRAINED]


@pytest.mark.parametrize("name", installed(METHODS))
def test_a_method_gives_the_same_probabilities_when_fitted_again(few: Snapshots, name: str) -> None:
    fit_on, test_on = few
    method = METHODS[name]
    said, again = (probabilities(method.fit(fit_on), test_on, method.columns) for _ in range(2))

    assert said.tobytes() == again.tobytes()
    assert said.shape == (250,) and ((said >= 0) & (said <= 1)).all()


@pytest.mark.parametrize("name", installed(TRAINED))
def test_permuted_labels_teach_no_method_anything(many: Snapshots, name: str) -> None:
    fit_on, test_on = many
    generator = np.random.default_rng(7)
    nothing = replace(fit_on, outcome=generator.permutation(fit_on.labels))
    labels = generator.permutation(test_on.labels)
    method = METHODS[name]
    said = probabilities(method.fit(nothing), test_on, method.columns)

    # the AUC of 3,000 against 3,000 drawn by chance deviates by .0075
    assert measures(labels, said, np.ones((1, len(labels))))["auc"][0] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("name", installed(TRAINED))
def test_a_method_gives_one_probability_for_each_of_four_classes(few: Snapshots, name: str) -> None:
    fit_on, test_on = few
    quarters = replace(fit_on, outcome=(fit_on.features["rank_monetary"].to_numpy() * 4).astype(int))
    method = METHODS[name]
    said = probabilities(method.fit(quarters), test_on, method.columns)

    assert said.shape == (250, 4)
    assert said.sum(axis=1) == pytest.approx(np.ones(250))


@pytest.mark.parametrize(("name", "model"), [("bg_nbd", BGNBD), ("pareto_nbd", ParetoNBD)])
def test_a_count_model_says_what_it_says_of_the_histories_whatever_the_labels(
    few: Snapshots, name: str, model: type
) -> None:
    fit_on, test_on = few
    turned = replace(fit_on, outcome=~fit_on.labels)
    said, again = (
        probabilities(METHODS[name].fit(known), test_on, METHODS[name].columns) for known in (fit_on, turned)
    )

    def histories(snapshot: Snapshot) -> Histories:
        days, recency, tenure = snapshot.matrix([ORDER_DAYS, "recency_days", "tenure_days"]).T
        return Histories(days - 1, tenure - recency, tenure)

    expected = model.fit(histories(fit_on)).probability_of_order(histories(test_on), 90)
    assert said == pytest.approx(expected)
    assert said.tobytes() == again.tobytes()
    assert isinstance(METHODS[name].build(), NextOrder)


def test_persistence_is_the_share_of_the_train_cut_among_those_who_stood_alike(few: Snapshots) -> None:
    fit_on, test_on = few
    said = probabilities(METHODS["persistence"].fit(fit_on), test_on, (BEFORE,))
    for stood in (0, 1):
        share = fit_on.labels[fit_on.features[BEFORE] == stood].mean()
        assert np.unique(said[test_on.features[BEFORE] == stood]) == pytest.approx([share])


def test_a_segment_is_told_alike_to_the_rows_fitted_on_and_to_new_ones() -> None:
    rows = np.random.default_rng(3).normal(size=(60, 3))
    segments = Segments(4, n_init=3, random_state=1)
    fitted = segments.fit_transform(rows)

    assert fitted.tolist() == segments.transform(rows).tolist()
    assert sorted(np.unique(fitted)) == [0, 1] and (fitted.sum(axis=1) == 1).all()


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.may_ship])
def test_what_may_ship_can_be_stored_and_says_the_same_when_it_is_loaded(
    few: Snapshots, name: str, tmp_path: Path
) -> None:
    method, (fit_on, test_on) = METHODS[name], few
    model = method.fit(fit_on)
    card = {"model_id": f"buys_90d-2011-03-31-{name}-0", "target": "buys_90d", "data_day": "2011-03-31"}
    store.save(model, card, tmp_path)
    loaded = store.load(tmp_path, card["model_id"])

    said = probabilities(model, test_on, method.columns)
    assert probabilities(loaded, test_on, method.columns).tobytes() == said.tobytes()


@pytest.mark.parametrize("name", installed(TRAINED))
def test_a_fitted_method_holds_no_rows_of_customers_unless_it_says_so(few: Snapshots, name: str) -> None:
    method = METHODS[name]
    rows = [
        found
        for found in arrays_in(method.fit(few[0]), set())
        if found.ndim == 2 and len(found) >= 50 and found.shape[1] == len(method.columns)
    ]
    assert bool(rows) == method.keeps_rows


def arrays_in(value: Any, seen: set[int]) -> Iterator[np.ndarray[Any, Any]]:
    """Every array that an object holds, however deep."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray) and value.dtype != object:
        yield value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for part in [*parts, *getattr(value, "__dict__", {}).values()]:
        yield from arrays_in(part, seen)
