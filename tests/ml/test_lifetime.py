"""Lifetime models match the published figures of CDNOW, finite differences, and made-up shops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache, partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score

from bench.lifetime import read_cdnow
from goodstanding.core.errors import DataProblem
from ml.lifetime import (
    BGNBD,
    NBD,
    GammaGamma,
    Histories,
    Intervals,
    ParetoNBD,
    Purchases,
    expected_spend,
    histories,
    level_that_held,
    next_order_day,
    order_intervals,
    spend_intervals,
)
from ml.lifetime.likelihood import (
    LogLikelihood,
    climb,
    log_likelihood_bg_nbd,
    log_likelihood_nbd,
    log_likelihood_pareto_nbd,
)
from ml.lifetime.spend import log_likelihood_gamma_gamma

Floats = NDArray[np.float64]
MODELS = [BGNBD, ParetoNBD]
CUT, END = date(1997, 9, 30), date(1998, 6, 30)
WEEKS = 39.0


@dataclass(frozen=True)
class Cdnow:
    """Customers of CDNOW as of a cut: histories in weeks, and their later orders up to an end."""

    histories: Histories
    orders: Floats
    mean_value: Floats
    later_orders: Floats
    later_spend: Floats

    @property
    def purchases(self) -> Purchases:
        return Purchases(self.histories, self.orders, self.mean_value)


@cache
def cdnow_as_of(name: str, cut: date, end: date) -> Cdnow:
    customers, days, amounts = read_cdnow(name)
    ids, before = histories(customers, days, cut)
    until_end, whole = histories(customers, days, end)
    position = np.searchsorted(ids, customers).clip(max=len(ids) - 1)
    known, ours = days <= np.datetime64(cut), ids[position] == customers
    spent, later = (
        np.bincount(position[rows], amounts[rows], len(ids))
        for rows in (known, ours & ~known & (days <= np.datetime64(end)))
    )
    orders = before.frequency + 1
    later_orders = whole.frequency[np.isin(until_end, ids)] - before.frequency
    return Cdnow(before.over(7), orders, spent / orders, later_orders, later)


@pytest.fixture(scope="module")
def cdnow() -> Cdnow:
    """The sample of 2,357 customers that the papers use, 39 weeks and the 39 after."""
    return cdnow_as_of("sample", CUT, END)


@pytest.fixture(scope="module", params=MODELS)
def fitted(request: pytest.FixtureRequest, cdnow: Cdnow) -> BGNBD | ParetoNBD:
    return request.param.fit(cdnow.histories)


def test_histories_count_order_days_up_to_the_cut() -> None:
    customers = np.array(["b", "a", "b", "b", "c", "b", "a"])
    days = np.array(
        ["2011-03-05", "2011-03-01", "2011-03-01", "2011-03-05", "2011-03-11", "2011-03-12", "2011-03-10"],
        dtype="datetime64[D]",
    )
    ids, counted = histories(customers, days, date(2011, 3, 10))

    assert ids.tolist() == ["a", "b"]
    assert counted.frequency.tolist() == [1, 1]
    assert counted.recency.tolist() == [9, 4]
    assert counted.age.tolist() == [9, 9]


def test_no_orders_give_no_histories() -> None:
    ids, counted = histories(np.array([]), np.array([], dtype="datetime64[D]"), CUT)

    assert len(ids) == len(counted) == 0


@pytest.mark.parametrize(
    "history", [([1], [5], [4]), ([0], [1], [4]), ([-1], [0], [4]), ([1], [1], [np.nan]), ([1, 2], [1], [4])]
)
def test_an_impossible_history_is_refused(history: tuple[list[float], list[float], list[float]]) -> None:
    with pytest.raises(DataProblem, match="histories"):
        Histories(*map(np.array, history))


def test_the_fit_finds_the_published_parameters(cdnow: Cdnow) -> None:
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
def test_the_forecast_of_the_next_39_weeks_is_as_good_as_measured(
    model: type[BGNBD] | type[ParetoNBD], expected: tuple[float, ...], cdnow: Cdnow
) -> None:
    fitted = model.fit(cdnow.histories)
    foretold = fitted.expected_orders(cdnow.histories, WEEKS)
    error = foretold - cdnow.later_orders
    auc = roc_auc_score(cdnow.later_orders > 0, foretold)

    measured = (np.abs(error).mean(), np.sqrt((error**2).mean()), auc)
    assert measured == pytest.approx(expected, abs=0.005)


def test_a_fit_that_reaches_no_maximum_says_so() -> None:
    def misleading(log_parameters: Floats) -> tuple[float, Floats]:
        return -float(log_parameters @ log_parameters), 1 + log_parameters**2

    with pytest.raises(DataProblem, match="no maximum of the likelihood found: the slope is"):
        climb(misleading, [(1.0,)], (np.inf,))


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
def test_gradients_equal_finite_differences(
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
def test_every_history_gets_possible_answers(
    fitted: BGNBD | ParetoNBD, made_up: Histories, horizon: float
) -> None:
    alive = fitted.probability_alive(made_up)
    order = fitted.probability_of_order(made_up, horizon)
    expected = fitted.expected_orders(made_up, horizon)

    assert ((alive >= 0) & (alive <= 1)).all()
    assert ((order >= 0) & (order <= alive)).all()
    assert (np.isfinite(expected) & (expected >= order * (1 - 1e-9))).all()
    # except for rounding, as all ordered or left long before
    for longer in (1.01 * horizon, 3 * horizon):
        assert (fitted.expected_orders(made_up, longer) >= expected * (1 - 1e-12)).all()
        assert (fitted.probability_of_order(made_up, longer) >= order * (1 - 1e-12)).all()


@pytest.mark.parametrize("model", [NBD, *MODELS])
def test_the_distribution_of_orders_sums_to_the_expected_number(
    model: type[NBD] | type[BGNBD] | type[ParetoNBD], cdnow: Cdnow
) -> None:
    fitted = model.fit(cdnow.histories)
    at_least = fitted.probability_of_at_least(cdnow.histories, WEEKS, 200)

    # two ways to the same number: closed forms and summed distributions
    assert at_least.sum(axis=1) == pytest.approx(fitted.expected_orders(cdnow.histories, WEEKS), abs=1e-9)
    assert at_least[:, 0] == pytest.approx(fitted.probability_of_order(cdnow.histories, WEEKS), abs=1e-9)
    assert (np.diff(at_least, axis=1) <= 0).all()


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
    """2,000 customers of rates gamma(1.5, 1/10) over 30 to 60 weeks; `leave` decides which orders happen."""
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
def test_the_fit_recovers_the_parameters_of_a_made_up_shop_as_far_as_identifiable(
    model: type[BGNBD] | type[ParetoNBD],
    log_likelihood: LogLikelihood,
    leave: Callable[[np.random.Generator, float, Floats], Floats],
    truth: tuple[float, float, float, float],
) -> None:
    shop = made_up_shop(leave, 1)
    fitted = model.fit(shop)
    of_truth = log_likelihood(np.log(truth), shop)[0].sum()

    assert fitted.r / fitted.alpha == pytest.approx(truth[0] / truth[1], rel=0.1)
    # the gain of four free parameters by chance stays below this in 99.9 of 100 shops
    assert 0 < fitted.log_likelihood - of_truth < stats.chi2.isf(0.001, df=4) / 2


@pytest.mark.parametrize("model", MODELS)
def test_if_no_customer_leaves_drop_out_is_not_identifiable(model: type[BGNBD] | type[ParetoNBD]) -> None:
    shop = made_up_shop(never, 3)
    fitted = model.fit(shop)

    assert not fitted.drop_out_identifiable
    with pytest.raises(DataProblem, match=r"no drop-out identifiable: .* gains \d\.\d\d of"):
        fitted.probability_alive(shop)
    rate = (fitted.without_drop_out.r + shop.frequency) / (fitted.without_drop_out.alpha + shop.age)
    assert fitted.expected_orders(shop, 10) == pytest.approx(10 * rate)
    assert (fitted.probability_of_order(shop, 10) < 10 * rate).all()


@pytest.mark.parametrize("model", MODELS)
def test_without_any_second_order_nothing_is_fitted(model: type[BGNBD] | type[ParetoNBD]) -> None:
    with pytest.raises(DataProblem, match="of 2 none has"):
        model.fit(Histories(np.zeros(2), np.zeros(2), np.array([3.0, 40.0])))


def test_the_fit_finds_the_published_order_values() -> None:
    customers, days, amounts = read_cdnow("sample")
    _, positions = np.unique(customers, return_inverse=True)
    first = np.full(positions.max() + 1, END, dtype="datetime64[D]")
    np.minimum.at(first, positions, days)
    repeat = (days <= np.datetime64(CUT)) & (days > first[positions])
    spent = np.bincount(positions[repeat], amounts[repeat], len(first))
    _, before = histories(customers, days, CUT)
    repeaters = before.frequency > 0
    fitted = GammaGamma.fit(before.frequency[repeaters], spent[repeaters] / before.frequency[repeaters])

    # Fader, Hardie and Lee (2005), on 946 customers' repeat orders; means rounded to cents give a v of 15.45
    assert (round(fitted.p, 2), round(fitted.q, 3), round(fitted.v, 2)) == (6.25, 3.744, 15.44)
    assert fitted.customers == 946


@settings(max_examples=30, deadline=None)
@given(
    point=st.lists(st.floats(-3, 3), min_size=3, max_size=3),
    customers=st.lists(st.tuples(st.integers(1, 500), st.floats(0.01, 1e6)), min_size=1, max_size=5),
)
def test_the_gradient_of_order_values_equals_finite_differences(
    point: list[float], customers: list[tuple[int, float]]
) -> None:
    orders, mean_value = np.array(customers, dtype=np.float64).T
    _, gradient = log_likelihood_gamma_gamma(np.array(point), orders, mean_value)

    for position, step in enumerate(np.eye(3) * 1e-5):
        above, below = (
            log_likelihood_gamma_gamma(np.array(point) + way * step, orders, mean_value)[0] for way in (1, -1)
        )
        assert gradient[position] == pytest.approx((above - below) / 2e-5, rel=1e-4, abs=1e-4)


def test_an_expected_value_lies_between_the_overall_mean_and_the_customers_own(cdnow: Cdnow) -> None:
    bought = cdnow.mean_value > 0
    fitted = GammaGamma.fit(cdnow.orders[bought], cdnow.mean_value[bought])
    mean_of_all = fitted.p * fitted.v / (fitted.q - 1)
    own = np.array([1.0, 20.0, 20.0, 2000.0])
    expected = fitted.expected_value(np.array([1.0, 1.0, 500.0, 3.0]), own)

    assert ((expected - own) * (expected - mean_of_all) < 0).all()
    assert expected[2] == pytest.approx(20, rel=0.01)


def test_order_values_out_of_range_are_refused_and_too_different_ones_have_no_expected_value() -> None:
    with pytest.raises(
        DataProblem, match=r"1 of 2 customers have no usable order value, the first at 1: 0\.0"
    ):
        GammaGamma.fit(np.array([1.0, 2.0]), np.array([5.0, 0.0]))
    with pytest.raises(DataProblem, match="0 customers"):
        GammaGamma.fit(np.array([]), np.array([]))
    with pytest.raises(DataProblem, match=r"the first at 0: 5\.0 over 0\.0 orders"):
        GammaGamma(6.0, 3.0, 15.0, -1.0, 1).expected_value(np.array([0.0]), np.array([5.0]))
    with pytest.raises(DataProblem, match=r"p \+ q is 0\.900"):
        GammaGamma(0.5, 0.4, 15.0, -1.0, 1).expected_value(np.array([1.0]), np.array([5.0]))


def gini(later_spend: Floats, score: Floats) -> float:
    """The Gini of the later spend with customers sorted by score, divided by that of a perfect order."""
    curves = (np.cumsum(later_spend[np.argsort(-by, kind="stable")]) for by in (score, later_spend))
    ours, best = (float((curve / curve[-1]).mean()) - 0.5 for curve in curves)
    return ours / best


def test_expected_spend_by_all_orders_ranks_better_than_money_so_far(
    cdnow: Cdnow,
) -> None:
    bought = cdnow.mean_value > 0
    count_model = ParetoNBD.fit(cdnow.histories)
    gamma_gamma = GammaGamma.fit(cdnow.orders[bought], cdnow.mean_value[bought])
    score = expected_spend(count_model, gamma_gamma, cdnow.purchases, WEEKS)

    # measured: .692 against .679; by repeat orders .659
    assert gini(cdnow.later_spend, score) == pytest.approx(0.692, abs=0.005)
    assert gini(cdnow.later_spend, score) > gini(cdnow.later_spend, cdnow.orders * cdnow.mean_value)


def intervals_by_level(
    model: type[BGNBD] | type[ParetoNBD], at: Cdnow, horizon: float
) -> tuple[Callable[[float], Intervals], Callable[[float], Intervals]]:
    """Intervals of later orders and of later spend, by models fitted as of the cut."""
    bought = at.mean_value > 0
    counts, values = model.fit(at.histories), GammaGamma.fit(at.orders[bought], at.mean_value[bought])
    return (
        partial(order_intervals, counts, at.histories, horizon),
        partial(spend_intervals, counts, values, at.purchases, horizon),
    )


@pytest.mark.parametrize("model", MODELS)
def test_eighty_percent_intervals_hold_78_to_82_percent(
    model: type[BGNBD] | type[ParetoNBD], cdnow: Cdnow
) -> None:
    half = cdnow_as_of("sample", CUT - (CUT - date(1997, 1, 1)) / 2, CUT)
    for then, now, happened_then, happened in zip(
        intervals_by_level(model, half, WEEKS / 2),
        intervals_by_level(model, cdnow, WEEKS),
        (half.later_orders, half.later_spend),
        (cdnow.later_orders, cdnow.later_spend),
        strict=True,
    ):
        level = level_that_held(then, happened_then)
        found = now(level)

        assert 0.78 <= np.mean((found.low <= happened) & (happened <= found.high)) <= 0.82
        assert (found.probability >= level - 1e-9).all()


def test_in_a_shop_that_fits_the_models_intervals_hold_their_level() -> None:
    generator = np.random.default_rng(3)
    n = 4000
    ages, rates = generator.uniform(20, 60, n), generator.gamma(1.2, 1 / 8, n)
    counts, scales = generator.poisson(rates * ages), 1 / generator.gamma(4, 1 / 20, n)
    recency = np.where(counts > 0, ages * generator.random(n) ** (1 / np.maximum(counts, 1)), 0)
    orders, shop = counts + 1.0, Histories(counts, recency, ages)
    mean_value = generator.gamma(5 * orders) * scales / orders
    later_orders = generator.poisson(rates * 20)
    later_spend = np.where(later_orders > 0, generator.gamma(5 * np.maximum(later_orders, 1)) * scales, 0)
    count_model, values = ParetoNBD.fit(shop), GammaGamma.fit(orders, mean_value)

    for level in (0.6, 0.9):
        by_orders = order_intervals(count_model, shop, 20, level)
        by_spend = spend_intervals(count_model, values, Purchases(shop, orders, mean_value), 20, level)
        for intervals, happened in ((by_orders, later_orders), (by_spend, later_spend)):
            within = (intervals.low <= happened) & (happened <= intervals.high)
            assert within.mean() == pytest.approx(intervals.probability.mean(), abs=0.02)


def test_an_interval_grows_with_its_level_and_depends_on_no_other_customer(
    cdnow: Cdnow, fitted: BGNBD | ParetoNBD
) -> None:
    bought = cdnow.mean_value > 0
    values = GammaGamma.fit(cdnow.orders[bought], cdnow.mean_value[bought])
    some = np.random.default_rng(1).permutation(len(cdnow.histories))[:200]

    def both(rows: NDArray[np.intp], level: float) -> tuple[Intervals, Intervals]:
        few = cdnow.purchases[rows]
        by_spend = spend_intervals(fitted, values, few, WEEKS, level)
        return order_intervals(fitted, few.histories, WEEKS, level), by_spend

    for wide, narrow, alone in zip(both(some, 0.9), both(some, 0.6), both(some[7:8], 0.9), strict=True):
        assert (wide.high >= narrow.high).all() and (wide.high > narrow.high).any()
        assert (wide.probability >= narrow.probability).all()
        assert (wide.low[7], wide.high[7]) == (alone.low[0], alone.high[0])


def test_the_level_that_held_needs_an_earlier_cut_with_customers() -> None:
    with pytest.raises(DataProblem, match="there are 0"):
        level_that_held(lambda level: pytest.fail(), np.array([]))


def test_the_most_extreme_histories_have_finite_intervals(fitted: BGNBD | ParetoNBD) -> None:
    extreme = Histories(np.array([500.0, 500, 0]), np.array([0.0, 499, 0]), np.array([0.0, 500, 0]))
    values = GammaGamma(6.25, 3.744, 15.44, -1.0, 1)
    by_orders = order_intervals(fitted, extreme, WEEKS, 0.8)
    purchases = Purchases(extreme, extreme.frequency + 1, np.full(3, 9.0))
    by_spend = spend_intervals(fitted, values, purchases, WEEKS, 0.8)

    for intervals in (by_orders, by_spend):
        assert np.isfinite(intervals.high).all() and (intervals.low <= intervals.high).all()
    # 501 order days cannot lie within one day; such a history still gets an expected number of that magnitude
    assert by_orders.high[0] > 100


def test_the_day_of_the_next_order_is_given_if_its_interval_is_narrow_and_holds_its_level() -> None:
    generator = np.random.default_rng(5)
    ages = generator.uniform(100, 300, 3000)
    rates = generator.gamma(1.5, 1 / 15, 3000)
    counts = generator.poisson(rates * ages)
    recency = np.where(counts > 0, ages * generator.random(3000) ** (1 / np.maximum(counts, 1)), 0)
    shop = Histories(counts, recency, ages)
    happened = np.ceil(generator.exponential(1 / rates))
    forecast = next_order_day(BGNBD.fit(shop), shop)

    has_day = np.isfinite(forecast.day)
    assert 500 < has_day.sum() < 2500
    assert (np.isnan(forecast.low) == ~has_day).all() and (np.isnan(forecast.high) == ~has_day).all()
    assert ((forecast.low <= forecast.day) & (forecast.day <= forecast.high))[has_day].all()
    assert (forecast.high - forecast.low + 1)[has_day].max() <= 30
    # as they end on whole days, intervals hold a little more than their level
    assert 0.78 <= np.mean(((forecast.low <= happened) & (happened <= forecast.high))[has_day]) <= 0.84
    assert forecast.probability.shape == (3000, 3) and (np.diff(forecast.probability, axis=1) > 0).all()
    by_day = [np.mean(happened <= day) for day in (30, 60, 90)]
    assert forecast.probability.mean(axis=0) == pytest.approx(by_day, abs=0.02)


def test_a_customer_who_may_never_order_again_gets_probabilities_but_no_day(
    fitted: BGNBD | ParetoNBD,
) -> None:
    lapsed = Histories(np.array([30.0, 0.0]), np.array([30.0, 0.0]), np.array([300.0, 3000.0]))
    forecast = next_order_day(fitted, lapsed, days=(7, 14))

    assert np.isnan([forecast.day, forecast.low, forecast.high]).all()
    assert ((forecast.probability >= 0) & (forecast.probability < 0.05)).all()
