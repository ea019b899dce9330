"""Lifetimes against the published figures of CDNOW, against finite differences, and against made-up shops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score

from bench.lifetime import read_cdnow
from goodstanding.errors import DataProblem
from ml.lifetime import BGNBD, ParetoNBD, histories
from ml.lifetime.history import Histories
from ml.lifetime.likelihood import (
    LogLikelihood,
    log_likelihood_bg_nbd,
    log_likelihood_nbd,
    log_likelihood_pareto_nbd,
)

Floats = NDArray[np.float64]
MODELS = [BGNBD, ParetoNBD]
CUT, END = date(1997, 9, 30), date(1998, 6, 30)
WEEKS = 39.0


@dataclass(frozen=True)
class Cdnow:
    """The sample of 2,357 customers: histories in weeks as of the cut, and orders in the 39 weeks after."""

    histories: Histories
    later_orders: Floats


@pytest.fixture(scope="module")
def cdnow() -> Cdnow:
    customers, days, _ = read_cdnow("sample")
    _, before = histories(customers, days, CUT)
    _, whole = histories(customers, days, END)
    return Cdnow(before.over(7), whole.frequency - before.frequency)


@pytest.fixture(scope="module", params=MODELS)
def fitted(request: pytest.FixtureRequest, cdnow: Cdnow) -> BGNBD | ParetoNBD:
    return request.param.fit(cdnow.histories)


def test_histories_count_order_days_up_to_the_cut() -> None:
    customers = np.array(["b", "a", "b", "b", "c", "b", "a"])
    days = np.array(
        ["2011-03-05", "2011-03-01", "2011-03-01", "2011-03-05", "2011-03-11", "2011-03-12", "2011-03-10"],
        dtype="datetime64[D]",
    )
    ids, found = histories(customers, days, date(2011, 3, 10))

    assert ids.tolist() == ["a", "b"]
    assert found.frequency.tolist() == [1, 1]
    assert found.recency.tolist() == [9, 4]
    assert found.age.tolist() == [9, 9]


def test_no_orders_are_no_histories() -> None:
    ids, found = histories(np.array([]), np.array([], dtype="datetime64[D]"), CUT)

    assert len(ids) == len(found) == 0


@pytest.mark.parametrize(
    "history", [([1], [5], [4]), ([0], [1], [4]), ([-1], [0], [4]), ([1], [1], [np.nan]), ([1, 2], [1], [4])]
)
def test_an_impossible_history_is_refused(history: tuple[list[float], list[float], list[float]]) -> None:
    with pytest.raises(DataProblem, match="histories"):
        Histories(*map(np.array, history))


def test_the_published_parameters_are_found(cdnow: Cdnow) -> None:
    bg = BGNBD.fit(cdnow.histories)
    pareto = ParetoNBD.fit(cdnow.histories)

    # Fader, Hardie and Lee (2005), table 2
    assert [round(value, 3) for value in (bg.r, bg.alpha, bg.a, bg.b)] == [0.243, 4.414, 0.793, 2.426]
    assert bg.log_likelihood == pytest.approx(-9582.4, abs=0.05)
    assert [round(value, 3) for value in (pareto.r, pareto.alpha, pareto.s)] == [0.553, 10.578, 0.606]
    assert round(pareto.beta, 2) == 11.67
    assert pareto.log_likelihood == pytest.approx(-9595.0, abs=0.05)
    assert bg.customers == pareto.customers == 2357
    assert bg.drop_out_identifiable and pareto.drop_out_identifiable


@pytest.mark.parametrize(
    ("model", "expected"),
    [(BGNBD, (0.7855, 1.608, 0.7725)), (ParetoNBD, (0.7545, 1.603, 0.7787))],
    ids=["bg_nbd", "pareto_nbd"],
)
def test_the_39_weeks_after_are_foretold_as_well_as_measured_before(
    model: type[BGNBD] | type[ParetoNBD], expected: tuple[float, ...], cdnow: Cdnow
) -> None:
    fitted = model.fit(cdnow.histories)
    foretold = fitted.expected_orders(cdnow.histories, WEEKS)
    error = foretold - cdnow.later_orders
    auc = roc_auc_score(cdnow.later_orders > 0, foretold)

    measured = (np.abs(error).mean(), np.sqrt((error**2).mean()), auc)
    assert measured == pytest.approx(expected, abs=0.005)


HISTORIES = st.lists(
    st.tuples(st.integers(0, 500), st.floats(0, 1), st.one_of(st.just(0.0), st.floats(0.125, 1000))).map(
        lambda drawn: (float(drawn[0]), drawn[1] * drawn[2] * (drawn[0] > 0), drawn[2])
    ),
    min_size=1,
    max_size=8,
).map(lambda rows: Histories(*map(np.array, zip(*rows, strict=True))))


@pytest.mark.parametrize(
    ("log_likelihood", "parameters"),
    [(log_likelihood_nbd, 2), (log_likelihood_bg_nbd, 4), (log_likelihood_pareto_nbd, 4)],
)
@settings(max_examples=40, deadline=None)
@given(made_up=HISTORIES, data=st.data())
def test_gradients_are_finite_differences(
    log_likelihood: LogLikelihood, parameters: int, made_up: Histories, data: st.DataObject
) -> None:
    point = np.array(data.draw(st.lists(st.floats(-4, 4), min_size=parameters, max_size=parameters)))
    value, gradient = log_likelihood(point, made_up)

    assert np.isfinite(value).all()
    for position, step in enumerate(np.eye(parameters) * 1e-5):
        above, below = log_likelihood(point + step, made_up)[0], log_likelihood(point - step, made_up)[0]
        assert gradient[position] == pytest.approx((above - below) / 2e-5, rel=1e-4, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(made_up=HISTORIES, horizon=st.floats(0.1, 400))
def test_whatever_the_history_all_answers_are_possible(
    fitted: BGNBD | ParetoNBD, made_up: Histories, horizon: float
) -> None:
    alive = fitted.probability_alive(made_up)
    order = fitted.probability_of_order(made_up, horizon)
    expected = fitted.expected_orders(made_up, horizon)

    assert ((alive >= 0) & (alive <= 1)).all()
    assert ((order >= 0) & (order <= alive)).all()
    assert (np.isfinite(expected) & (expected >= order * (1 - 1e-9))).all()
    # but for rounding, where all have ordered or left long before
    for longer in (1.01 * horizon, 3 * horizon):
        assert (fitted.expected_orders(made_up, longer) >= expected * (1 - 1e-12)).all()
        assert (fitted.probability_of_order(made_up, longer) >= order * (1 - 1e-12)).all()


def test_the_order_of_the_customers_does_not_matter(cdnow: Cdnow, fitted: BGNBD | ParetoNBD) -> None:
    shuffled = np.random.default_rng(1).permutation(len(cdnow.histories))
    again = type(fitted).fit(cdnow.histories[shuffled])

    assert again == fitted
    assert (
        again.expected_orders(cdnow.histories[shuffled], WEEKS)
        == fitted.expected_orders(cdnow.histories, WEEKS)[shuffled]
    ).all()


def test_the_unit_of_time_does_not_matter(cdnow: Cdnow, fitted: BGNBD | ParetoNBD) -> None:
    in_days = type(fitted).fit(cdnow.histories.over(1 / 7))

    assert in_days.alpha == pytest.approx(7 * fitted.alpha, rel=1e-4)
    assert in_days.expected_orders(cdnow.histories.over(1 / 7), 7 * WEEKS) == pytest.approx(
        fitted.expected_orders(cdnow.histories, WEEKS), rel=1e-4, abs=1e-9
    )


def made_up_shop(leave: Callable[[np.random.Generator, float, Floats], Floats], seed: int) -> Histories:
    """2,000 customers of rates gamma(1.5, 1/10) over 30 to 60 weeks; `leave` says which orders come to be."""
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(2000):
        age = generator.uniform(30, 60)
        rate = generator.gamma(1.5, 1 / 10)
        times = np.cumsum(generator.exponential(1 / rate, size=200))
        times = leave(generator, age, times[times <= age])
        rows.append((len(times), times[-1] if len(times) else 0.0, age))
    return Histories(*np.array(rows).T)


def after_an_order(generator: np.random.Generator, age: float, times: Floats) -> Floats:
    return times[: generator.geometric(generator.beta(0.8, 2.5))]


def at_any_time(generator: np.random.Generator, age: float, times: Floats) -> Floats:
    return times[times <= generator.exponential(1 / generator.gamma(0.8, 1 / 12))]


def never(generator: np.random.Generator, age: float, times: Floats) -> Floats:
    return times


@pytest.mark.parametrize(
    ("model", "log_likelihood", "leave", "truth"),
    [
        (BGNBD, log_likelihood_bg_nbd, after_an_order, (1.5, 10, 0.8, 2.5)),
        (ParetoNBD, log_likelihood_pareto_nbd, at_any_time, (1.5, 10, 0.8, 12)),
    ],
    ids=["bg_nbd", "pareto_nbd"],
)
def test_the_parameters_of_a_made_up_shop_are_recovered_as_far_as_it_tells_them(
    model: type[BGNBD] | type[ParetoNBD],
    log_likelihood: LogLikelihood,
    leave: Callable[[np.random.Generator, float, Floats], Floats],
    truth: tuple[float, float, float, float],
) -> None:
    shop = made_up_shop(leave, 1)
    fitted = model.fit(shop)
    of_truth = log_likelihood(np.log(truth), shop)[0].sum()

    assert fitted.r / fitted.alpha == pytest.approx(truth[0] / truth[1], rel=0.1)
    # what four free parameters gain by chance, in 99.9 of 100 shops
    assert 0 < fitted.log_likelihood - of_truth < stats.chi2.isf(0.001, df=4) / 2


@pytest.mark.parametrize("model", MODELS)
def test_where_nobody_leaves_no_drop_out_is_identifiable(model: type[BGNBD] | type[ParetoNBD]) -> None:
    shop = made_up_shop(never, 3)
    fitted = model.fit(shop)

    assert not fitted.drop_out_identifiable
    with pytest.raises(DataProblem, match=r"no drop-out identifiable: .* gains \d\.\d\d of"):
        fitted.probability_alive(shop)
    rate = (fitted.without_drop_out.r + shop.frequency) / (fitted.without_drop_out.alpha + shop.age)
    assert fitted.expected_orders(shop, 10) == pytest.approx(10 * rate)
    assert (fitted.probability_of_order(shop, 10) < 10 * rate).all()


@pytest.mark.parametrize("model", MODELS)
def test_without_a_second_order_nothing_is_fitted(model: type[BGNBD] | type[ParetoNBD]) -> None:
    with pytest.raises(DataProblem, match="of 2 none has"):
        model.fit(Histories(np.zeros(2), np.zeros(2), np.array([3.0, 40.0])))
