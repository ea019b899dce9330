"""The registry of methods: names, determinism, and that no method learns anything from permuted labels."""

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
    """1,200 customers to fit on and 6,000 to test on, with every feature that a task may use."""
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
    """One thread, and no warnings about intended settings."""
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
    # one order a day; of a customer with one order it is also the first
    tenure = np.where(features["frequency"] == 1, features["recency_days"], features["tenure_days"])
    before = (features["orders_90d"] > 0).astype(int)
    columns = {ORDER_DAYS: features["frequency"], DAYS_AHEAD: 90, BEFORE: before, "tenure_days": tenure}
    return replace(snapshot, features=features.assign(**columns))


def test_the_registry_has_the_methods_of_the_field_beginning_with_the_simplest() -> None:
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
    predicted, again = (probabilities(method.fit(fit_on), test_on, method.columns) for _ in range(2))

    assert predicted.tobytes() == again.tobytes()
    assert predicted.shape == (250,) and ((predicted >= 0) & (predicted <= 1)).all()


@pytest.mark.parametrize("name", installed(TRAINED))
def test_no_method_learns_anything_from_permuted_labels(many: Snapshots, name: str) -> None:
    fit_on, test_on = many
    generator = np.random.default_rng(7)
    nothing = replace(fit_on, outcome=generator.permutation(fit_on.labels))
    labels = generator.permutation(test_on.labels)
    method = METHODS[name]
    predicted = probabilities(method.fit(nothing), test_on, method.columns)

    # the standard deviation of a random AUC of 3,000 against 3,000 is .0075
    assert measures(labels, predicted, np.ones((1, len(labels))))["auc"][0] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("name", installed(TRAINED))
def test_a_method_gives_one_probability_for_each_of_four_classes(few: Snapshots, name: str) -> None:
    fit_on, test_on = few
    quarters = replace(fit_on, outcome=(fit_on.features["rank_monetary"].to_numpy() * 4).astype(int))
    method = METHODS[name]
    predicted = probabilities(method.fit(quarters), test_on, method.columns)

    assert predicted.shape == (250, 4)
    assert predicted.sum(axis=1) == pytest.approx(np.ones(250))


@pytest.mark.parametrize(("name", "model"), [("bg_nbd", BGNBD), ("pareto_nbd", ParetoNBD)])
def test_a_count_model_uses_the_histories_and_ignores_the_labels(
    few: Snapshots, name: str, model: type
) -> None:
    fit_on, test_on = few
    turned = replace(fit_on, outcome=~fit_on.labels)
    predicted, again = (
        probabilities(METHODS[name].fit(known), test_on, METHODS[name].columns) for known in (fit_on, turned)
    )

    def histories(snapshot: Snapshot) -> Histories:
        days, recency, tenure = snapshot.matrix([ORDER_DAYS, "recency_days", "tenure_days"]).T
        return Histories(days - 1, tenure - recency, tenure)

    expected = model.fit(histories(fit_on)).probability_of_order(histories(test_on), 90)
    assert predicted == pytest.approx(expected)
    assert predicted.tobytes() == again.tobytes()
    assert isinstance(METHODS[name].build(), NextOrder)


def test_persistence_predicts_the_share_of_the_train_cut_among_customers_with_the_same_label(
    few: Snapshots,
) -> None:
    fit_on, test_on = few
    predicted = probabilities(METHODS["persistence"].fit(fit_on), test_on, (BEFORE,))
    for stood in (0, 1):
        share = fit_on.labels[fit_on.features[BEFORE] == stood].mean()
        assert np.unique(predicted[test_on.features[BEFORE] == stood]) == pytest.approx([share])


def test_a_segment_is_assigned_alike_to_fitted_and_to_new_rows() -> None:
    rows = np.random.default_rng(3).normal(size=(60, 3))
    segments = Segments(4, n_init=3, random_state=1)
    fitted = segments.fit_transform(rows)

    assert fitted.tolist() == segments.transform(rows).tolist()
    assert sorted(np.unique(fitted)) == [0, 1] and (fitted.sum(axis=1) == 1).all()


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.may_ship])
def test_a_method_that_may_ship_can_be_stored_and_predicts_the_same_when_loaded(
    few: Snapshots, name: str, tmp_path: Path
) -> None:
    method, (fit_on, test_on) = METHODS[name], few
    model = method.fit(fit_on)
    card = {"model_id": f"buys_90d-2011-03-31-{name}-0", "target": "buys_90d", "data_day": "2011-03-31"}
    store.save(model, card, tmp_path)
    loaded = store.load(tmp_path, card["model_id"])

    predicted = probabilities(model, test_on, method.columns)
    assert probabilities(loaded, test_on, method.columns).tobytes() == predicted.tobytes()


@pytest.mark.parametrize("name", installed(TRAINED))
def test_a_fitted_method_holds_no_rows_of_customers_unless_it_says_so(few: Snapshots, name: str) -> None:
    method = METHODS[name]
    rows = [
        array
        for array in arrays_in(method.fit(few[0]), set())
        if array.ndim == 2 and len(array) >= 50 and array.shape[1] == len(method.columns)
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
