"""Fitting a scorecard: weights equal hand counts, points are log-odds, and characteristics are monotone."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from goodstanding.core.errors import DataProblem
from goodstanding.decisions.facts import MORE_IS_BETTER, MORE_IS_WORSE
from goodstanding.decisions.scorecard import HIGHEST, LOWEST, Scorecard
from ml.scorecards.bins import Stated, bin_monotonely
from ml.scorecards.fit import (
    ANCHOR_ODDS,
    ANCHOR_SCORE,
    POINTS_TO_DOUBLE,
    PointsScorecard,
    card_probability,
    card_scores,
    refine,
    weigh,
)


def made_up(rows: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Four columns: one that raises the bad rate, one with gaps that lowers it, a copy of that, and noise."""
    generator = np.random.default_rng(seed)
    first, second, noise = generator.normal(size=(3, rows))
    bad = generator.random(rows) < 1 / (1 + np.exp(1.5 - 0.6 * first + 0.4 * second))
    second = np.where(generator.random(rows) < 0.2, np.nan, second)
    return np.column_stack([first, second, second + 0.01 * noise, noise]), bad


def test_weights_of_evidence_equal_those_counted_by_hand() -> None:
    # value 0: 2 of 10 bad, value 1: 5 of 10, missing: 1 of 20; in all 8 of 40
    values = np.repeat([0.0, 1.0, np.nan], [10, 10, 20])
    bad = np.concatenate([np.arange(10) < 2, np.arange(10) < 5, np.arange(20) < 1])
    woe = bin_monotonely(values, bad)
    assert woe.borders.tolist() == [0.0]
    by_hand = [math.log((8.5 / 2.5) / (32 / 8)), math.log((5.5 / 5.5) / (32 / 8))]
    assert woe.weights.tolist() == pytest.approx(by_hand)
    assert woe.missing == pytest.approx(math.log((19.5 / 1.5) / (32 / 8)))
    assert woe.of(np.array([-5.0, 0.0, 0.5, 9.0, np.nan])).tolist() == pytest.approx(
        [by_hand[0], by_hand[0], by_hand[1], by_hand[1], woe.missing]
    )


def test_neighbours_against_the_trend_are_pooled_and_small_bins_join_the_more_similar_neighbour() -> None:
    # bad rates: .1, .3, .2 (against the trend), .6, and a last bin of 2 % of the rows
    counts, bad_counts = [100, 100, 100, 100, 8], [10, 30, 20, 60, 7]
    values = np.repeat(np.arange(5.0), counts)
    bad = np.concatenate([np.arange(n) < b for n, b in zip(counts, bad_counts, strict=True)])
    woe = bin_monotonely(values, bad)
    assert woe.borders.tolist() == [0.0, 2.0]
    odds = [90.5 / 10.5, 150.5 / 50.5, 41.5 / 67.5]
    assert np.exp(woe.weights) == pytest.approx(np.array(odds) * 127 / 281)


def test_too_few_missing_values_get_no_weight_and_unseen_ones_get_the_fewest_points() -> None:
    X, bad = made_up(2000)
    few = X[:, 0].copy()
    few[:50] = np.nan
    assert bin_monotonely(few, bad).missing == 0.0
    model = PointsScorecard().fit(X[:, :1], bad)
    (characteristic,) = model.card(["first"]).characteristics
    assert model.woes_[0].missing is None
    assert characteristic.points(None) == min(bin_.points for bin_ in characteristic.bins)


def test_without_a_turned_sign_the_regression_is_the_plain_one() -> None:
    X, bad = made_up(4000)
    evidence = np.column_stack([bin_monotonely(column, bad).of(column) for column in X[:, :2].T])
    intercept, coefficients = weigh(evidence, bad)
    plain = LogisticRegression(C=1, tol=1e-10, max_iter=10_000).fit(evidence, ~bad)
    assert intercept == pytest.approx(plain.intercept_[0], abs=1e-4)
    assert coefficients == pytest.approx(plain.coef_[0], abs=1e-4)


def test_a_column_with_a_turned_sign_is_dropped_and_the_others_are_fitted_without_it() -> None:
    generator = np.random.default_rng(3)
    good_sign = generator.normal(size=5000)
    # alone it lowers the bad rate; together with the other it raises it
    backwards = good_sign + 0.5 * generator.normal(size=5000)
    bad = generator.random(5000) < 1 / (1 + np.exp(1 + 2 * good_sign - 0.9 * backwards))
    evidence = np.column_stack([good_sign, backwards])
    assert LogisticRegression(C=1e9).fit(evidence, ~bad).coef_[0][1] < 0
    intercept, coefficients = weigh(evidence, bad)
    alone = weigh(evidence[:, :1], bad)
    assert coefficients[1] == 0
    assert (intercept, coefficients[0]) == pytest.approx((alone[0], alone[1][0]), abs=1e-4)


def test_steps_fitted_together_are_those_that_drew_the_rows_not_those_of_each_column_alone() -> None:
    generator = np.random.default_rng(7)
    first = generator.integers(0, 3, 60_000)
    second = np.where(generator.random(60_000) < 0.6, first, generator.integers(0, 3, 60_000))
    truth = np.array([0.0, 0.2, 1.5]), np.array([0.0, 1.0, 1.2])
    bad = generator.random(60_000) > 1 / (1 + np.exp(-truth[0][first] - truth[1][second]))
    columns = [first.astype(float), np.where(second == 2, np.nan, second)]
    woes = [bin_monotonely(column, bad) for column in columns]
    evidence = np.column_stack([woe.of(column) for woe, column in zip(woes, columns, strict=True)])
    _, coefficients = weigh(evidence, bad)
    _, refined = refine(woes, coefficients, columns, bad)
    assert np.cumsum([0, *np.diff(refined[0].weights)]) == pytest.approx(truth[0], abs=0.08)
    assert refined[1].missing is not None
    assert [*np.diff(refined[1].weights), refined[1].missing] == pytest.approx([1.0, 1.2], abs=0.08)
    alone = coefficients[0] * np.diff(woes[0].weights)
    assert np.abs(alone - np.diff(truth[0])).max() > 0.1


def test_a_step_that_reverses_in_the_joint_fit_is_set_to_zero() -> None:
    generator = np.random.default_rng(3)
    first = generator.integers(0, 4, 20_000).astype(float)
    # alone it lowers the bad rate; together with the other it raises it
    second = np.clip(first + generator.integers(-1, 2, 20_000), 0, 3)
    bad = generator.random(20_000) < 1 / (1 + np.exp(1.2 * first - 0.4 * second))
    columns = [first, second]
    woes = [bin_monotonely(column, bad) for column in columns]
    evidence = np.column_stack([woe.of(column) for woe, column in zip(woes, columns, strict=True)])
    _, refined = refine(woes, weigh(evidence, bad)[1], columns, bad)
    assert (np.diff(woes[1].weights) > 0).all()
    assert np.diff(refined[1].weights) == pytest.approx(np.zeros(3))
    assert (np.diff(refined[0].weights) > 0.5).all()


def test_the_points_of_a_row_are_its_log_odds_on_the_stated_scale() -> None:
    X, bad = made_up(4000)
    model = PointsScorecard().fit(X, bad)
    card = model.card(["first", "second", "copy", "noise"], decision="cod", bad_outcome="x", model_id="m")
    weighed = zip(model.weighed_, X[:, model.kept_].T, strict=True)
    log_odds = model.intercept_ + sum(woe.of(column) for woe, column in weighed)
    exact = ANCHOR_SCORE + POINTS_TO_DOUBLE * (log_odds - math.log(ANCHOR_ODDS)) / math.log(2)
    columns = dict(zip(["first", "second", "copy", "noise"], X.T, strict=True))
    # each bin and the base are rounded by at most half a point
    assert np.abs(card_scores(card, columns) - exact).max() <= 0.5 * (len(card.characteristics) + 1)
    assert model.predict_proba(X)[:, 1] == pytest.approx(card_probability(card, columns))
    # a plain regression's probabilities sum to the outcomes; rounding to whole points hardly changes that
    assert model.predict_proba(X)[:, 1].mean() == pytest.approx(bad.mean(), abs=0.005)


def test_scoring_all_rows_at_once_equals_scoring_them_one_by_one() -> None:
    X, bad = made_up(1000)
    names = ["first", "second", "copy", "noise"]
    card = PointsScorecard().fit(X, bad).card(names, decision="cod")
    rows = np.vstack([X[:300], np.full(4, np.nan), np.full(4, 1e9), np.full(4, -1e9)])
    # the borders themselves belong to the bin below
    borders = [
        bin_.up_to
        for characteristic in card.characteristics
        for bin_ in characteristic.bins
        if bin_.up_to is not None
    ]
    rows = np.vstack([rows, *(np.full(4, border) for border in borders)])
    at_once = card_scores(card, dict(zip(names, rows.T, strict=True)))
    one_by_one = [card.score(dict(zip(names, map(float, row), strict=True))) for row in rows]
    assert at_once.tolist() == one_by_one


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(20, 400), st.floats(-3, 3), st.floats(0, 0.5), st.booleans())
@example(326, 326, -1.0, 0.0, False)
def test_points_are_monotone_where_anything_is_stated_and_else_turn_round_once_at_most(
    seed: int, rows: int, slope: float, gaps: float, is_stated: bool
) -> None:
    generator = np.random.default_rng(seed)
    X = np.round(generator.normal(size=(rows, 3)), 1)
    bad = generator.random(rows) < 1 / (1 + np.exp(1 - slope * X[:, 0]))
    bad[:2] = [True, False]
    X[generator.random((rows, 3)) < gaps] = np.nan
    stated = (Stated(),) * 3 if is_stated else None
    for characteristic in PointsScorecard(stated=stated).fit(X, bad).card(["a", "b", "c"]).characteristics:
        points = [bin_.points for bin_ in characteristic.bins if not bin_.is_missing]
        turns = np.diff(np.sign(np.diff(points)))
        assert np.count_nonzero(turns) <= (0 if is_stated else 1)
        assert min(bin_.points for bin_ in characteristic.bins) == 0
        ends = [bin_.up_to for bin_ in characteristic.bins if not bin_.is_missing]
        assert ends[-1] is None and ends[:-1] == sorted(ends[:-1])


def test_a_card_holds_no_value_of_a_single_row() -> None:
    generator = np.random.default_rng(5)
    X = generator.lognormal(5, 1, size=(2000, 1))
    bad = generator.random(2000) < X[:, 0] / (X[:, 0] + 1000)
    (characteristic,) = PointsScorecard().fit(X, bad).card(["basket"]).characteristics
    borders = [bin_.up_to for bin_ in characteristic.bins if bin_.up_to is not None]
    assert borders and all(border == float(f"{border:.3g}") for border in borders)
    inside = np.searchsorted(borders, X[:, 0])
    assert np.bincount(inside).min() >= 0.03 * 2000


def test_a_column_with_almost_no_information_is_left_out() -> None:
    X, bad = made_up(4000)
    model = PointsScorecard().fit(X, bad)
    by_hand = 0.0
    bins = np.searchsorted(model.woes_[0].borders, X[:, 0], side="left")
    for at in np.unique(bins):
        good_share, bad_share = (
            ((bins == at) & ~bad).sum() / (~bad).sum(),
            ((bins == at) & bad).sum() / bad.sum(),
        )
        by_hand += (good_share - bad_share) * model.woes_[0].weights[at]
    assert model.woes_[0].information == pytest.approx(by_hand)
    assert model.woes_[0].information > 0.2 > 0.02 > model.woes_[3].information
    assert "noise" not in {
        characteristic.name
        for characteristic in model.card(["first", "second", "copy", "noise"]).characteristics
    }


def test_without_any_information_the_card_gives_everyone_the_bad_rate() -> None:
    generator = np.random.default_rng(8)
    X, bad = generator.normal(size=(5000, 2)), generator.random(5000) < 0.2
    model = PointsScorecard().fit(X, bad)
    assert model.card(["a", "b"]).characteristics == ()
    assert model.predict_proba(X[:3])[:, 1] == pytest.approx([bad.mean()] * 3, abs=0.003)


def test_a_characteristic_goes_the_stated_way_or_earns_nobody_a_point() -> None:
    X, bad = made_up(4000)
    names = ["first", "second", "copy", "noise"]
    agrees, opposes = Stated(MORE_IS_WORSE), Stated(MORE_IS_BETTER)
    # the first raises the bad rate: stated so, the card is the one that the data alone give
    free, agreed, opposed = (
        PointsScorecard(stated=stated).fit(X[:, :1], bad).card(names)
        for stated in (None, (agrees,), (opposes,))
    )
    assert agreed == free and free.characteristics
    assert opposed.characteristics == ()


# known values are bad from .08 (the best) to .38 (the worst)
@pytest.mark.parametrize(("is_never", "gap_rate"), [(True, 0.15), (True, 0.01), (False, 0.05), (False, 0.6)])
def test_a_missing_value_is_the_best_where_it_means_never_and_else_no_better_than_the_worst(
    is_never: bool, gap_rate: float
) -> None:
    generator = np.random.default_rng(5)
    days = generator.integers(1, 200, 8000).astype(float)
    bad = generator.random(8000) < 1 / (1 + np.exp(0.5 + days / 100))
    days[generator.random(8000) < 0.3] = np.nan
    bad[np.isnan(days)] = generator.random(np.isnan(days).sum()) < gap_rate
    model = PointsScorecard(stated=(Stated(MORE_IS_BETTER, is_never),)).fit(days[:, np.newaxis], bad)
    (characteristic,) = model.card(["days_since_cancellation"]).characteristics
    known = [bin_.points for bin_ in characteristic.bins if not bin_.is_missing]
    assert known == sorted(known) and known[-1] > known[0]
    missing = characteristic.points(None)
    assert missing >= max(known) if is_never else missing <= min(known)


def test_never_earns_the_most_points_also_where_nobody_of_the_fit_was_without() -> None:
    generator = np.random.default_rng(5)
    days = generator.integers(1, 200, 4000).astype(float)
    bad = generator.random(4000) < 1 / (1 + np.exp(0.5 + days / 100))
    model = PointsScorecard(stated=(Stated(MORE_IS_BETTER, True),)).fit(days[:, np.newaxis], bad)
    card = model.card(["0"])
    (characteristic,) = card.characteristics
    assert characteristic.points(None) == max(bin_.points for bin_ in characteristic.bins)
    assert model.predict_proba(np.array([[np.nan]]))[0, 1] == pytest.approx(
        card_probability(card, {"0": np.array([199.0])})[0]
    )


def one_column(values: np.ndarray, bad: np.ndarray) -> tuple[PointsScorecard, Scorecard]:
    model = PointsScorecard().fit(pd.DataFrame({"a": values}), bad)
    return model, model.card(["a"])


def test_bad_rates_turn_round_once_beyond_doubt_and_only_where_nothing_is_stated() -> None:
    generator = np.random.default_rng(19)
    ages = generator.uniform(18, 80, (4000, 1))
    bad = generator.random(4000) < 0.1 + 0.5 * ((ages[:, 0] - 49) / 31) ** 2
    free, stated = (PointsScorecard(stated=of).fit(ages, bad) for of in (None, (Stated(),)))
    chance = free.predict_proba(np.array([[18.5], [49.0], [79.5]]))[:, 1]
    assert chance[1] < 0.2 < 0.4 < min(chance[0], chance[2])
    steps = np.sign(np.diff(free.woes_[0].weights))
    assert (np.diff(steps) != 0).sum() == 1
    assert len(set(np.sign(np.diff(stated.woes_[0].weights)))) <= 1


@pytest.mark.parametrize(
    ("factor", "shift"), [(1000, 0), (0.001, 0), (1, 10_000), (1, -10_000), (1000, 10_000)]
)
def test_neither_the_unit_of_a_column_nor_where_it_begins_changes_its_bins(
    factor: float, shift: float
) -> None:
    generator = np.random.default_rng(11)
    prices = generator.integers(-300, 300, 4000) / 100
    bad = generator.random(4000) < 1 / (1 + np.exp(1.5 - prices))
    plain, _ = one_column(prices, bad)
    moved, card = one_column(prices * factor + shift, bad)
    assert len(plain.woes_[0].weights) > 4
    assert moved.woes_[0].bins(prices * factor + shift).tolist() == plain.woes_[0].bins(prices).tolist()
    assert all(len(f"{border:.10g}".lstrip("-0.").replace(".", "")) <= 8 for border in moved.woes_[0].borders)
    assert card.characteristics[0].best.points > 0


def test_a_flag_on_one_row_in_forty_is_kept_where_it_nearly_always_means_bad() -> None:
    generator = np.random.default_rng(12)
    flag = np.arange(2000) % 40 == 0
    bad = generator.random(2000) < np.where(flag, 0.9, 0.2)
    for values in (flag.astype(float), 1.0 - flag, np.where(flag, "blocked", "none").astype(object)):
        _, card = one_column(values, bad)
        assert len(card.characteristics[0].bins) == 2
        chance = card_probability(card, {"a": values})
        assert chance[flag].mean() == pytest.approx(bad[flag].mean(), abs=0.06)
    # as many rows that are as bad as all others are no bin of their own
    _, card = one_column(np.roll(flag, 1).astype(float), bad)
    assert not card.characteristics


def test_few_missing_values_are_a_bin_of_their_own_where_they_carry_risk() -> None:
    generator = np.random.default_rng(13)
    values = generator.normal(size=4000)
    few = np.arange(4000) % 50 == 0
    bad = generator.random(4000) < np.where(few, 0.8, 1 / (1 + np.exp(1.5 - values)))
    values[few] = np.nan
    model, card = one_column(values, bad)
    assert model.woes_[0].missing < -2
    assert card_probability(card, {"a": values})[few].mean() == pytest.approx(bad[few].mean(), abs=0.1)


def test_a_number_that_is_a_code_is_a_bin_of_its_own() -> None:
    generator = np.random.default_rng(14)
    values = np.round(generator.normal(50, 15, 4000), 1)
    unknown = generator.random(4000) < 0.1
    bad = generator.random(4000) < np.where(unknown, 0.5, 1 / (1 + np.exp(values / 10 - 3)))
    values[unknown] = -999
    _, card = one_column(values, bad)
    (characteristic,) = card.characteristics
    assert characteristic.bins[0].exactly == -999
    # less means more risk, yet the code is no small number
    assert characteristic.points(-999) > characteristic.points(10.0)
    rows = values[:200]
    assert card_scores(card, {"a": rows}).tolist() == [card.score({"a": float(value)}) for value in rows]


def test_levels_of_a_text_are_ordered_by_risk_and_rare_and_unseen_ones_share_a_bin() -> None:
    generator = np.random.default_rng(15)
    rates = {"car": 0.1, "boat": 0.5, "house": 0.25}
    common = generator.choice(list(rates), 3000)
    rare = np.array([f"rare {number % 30}" for number in range(90)])
    purposes = np.concatenate([common, rare]).astype(object)
    bad = generator.random(3090) < np.array([rates.get(purpose, 0.9) for purpose in purposes])
    purposes[:300] = None
    model = PointsScorecard().fit(pd.DataFrame({"purpose": purposes}), bad)
    card = Scorecard.from_json(json.loads(json.dumps(model.card(["purpose"]).to_json())))
    (characteristic,) = card.characteristics
    earned = [characteristic.points(purpose) for purpose in ("car", "house", "boat", "rare 3")]
    assert earned == sorted(earned, reverse=True) and len(set(earned)) == 4
    assert characteristic.points("never heard of") == characteristic.points("rare 3")
    assert [characteristic.is_unseen(level) for level in ("never heard of", "rare 3", "car", None)] == [
        True,
        True,
        False,
        False,
    ]
    # a level of so few rows is not named on a card
    assert not any("rare" in level for bin_ in characteristic.bins for level in bin_.levels)
    asked = np.array(["car", None, "boat", "x", "rare 3"], dtype=object)
    one_by_one = [card.score({"purpose": value}) for value in asked]
    assert card_scores(card, {"purpose": asked}).tolist() == one_by_one


def test_a_text_without_rare_levels_gives_an_unseen_one_the_fewest_points() -> None:
    generator = np.random.default_rng(16)
    words = generator.choice(["a", "b"], 2000).astype(object)
    bad = generator.random(2000) < np.where(words == "a", 0.1, 0.5)
    model, card = one_column(words, bad)
    assert card.characteristics[0].points("z") == card.characteristics[0].points("b") == 0
    assert model.predict_proba(pd.DataFrame({"a": ["z"]})) == pytest.approx(
        model.predict_proba(pd.DataFrame({"a": ["b"]}))
    )


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (np.zeros(300, dtype=bool), "all 300 rows are good: 50 bad ones are missing"),
        (np.ones(300, dtype=int), "all 300 rows are bad: 50 good ones are missing"),
        (np.full(300, "paid"), "all 300 rows are of the class paid: 50 of another are missing"),
        (np.arange(300) % 3, "the label has 3 values"),
    ],
)
def test_a_label_that_has_not_two_classes_is_refused_with_what_is_missing(
    label: np.ndarray, said: str
) -> None:
    with pytest.raises(DataProblem, match=said):
        PointsScorecard().fit(np.ones((300, 1)), label)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1.7e308])
def test_a_number_that_is_not_finite_is_refused_with_its_column_and_asked_it_is_at_its_end(
    value: float,
) -> None:
    X, bad = made_up(400)
    model = PointsScorecard().fit(X, bad)
    wrong = X.copy()
    wrong[[3, 7], 1] = value
    for table, name in ((wrong, "2"), (pd.DataFrame(wrong, columns=list("abcd")).astype(object), "b")):
        with pytest.raises(DataProblem, match=f"column {name}: 2 of 400 values are infinite"):
            PointsScorecard().fit(table, bad)
    ends = np.where(np.abs(wrong) > 1e300, np.copysign(1e6, wrong), wrong)
    assert model.predict_proba(wrong).tolist() == model.predict_proba(ends).tolist()


def test_chances_are_true_at_both_ends_also_beyond_the_ends_of_the_usual_scale() -> None:
    generator = np.random.default_rng(17)
    values = generator.choice([0.0, 1.0, 2.0, 3.0], (12_000, 2))
    truth = 1 / (1 + np.exp(9 - 3 * values.sum(axis=1)))
    bad = generator.random(12_000) < truth
    model = PointsScorecard().fit(values, bad)
    chance = model.predict_proba(values)[:, 1]
    scores = card_scores(model.card(["0", "1"]), dict(zip("01", values.T, strict=True)))
    assert scores.min() < LOWEST and scores.max() > HIGHEST
    for end in (values.sum(axis=1) == 0, values.sum(axis=1) == 6):
        assert chance[end].mean() == pytest.approx(truth[end].mean(), abs=0.002)


def test_weights_of_few_rows_and_many_columns_are_shrunk_to_what_left_out_rows_bear_out() -> None:
    generator = np.random.default_rng(18)
    X, asked = generator.normal(size=(2, 400, 30))
    bad, truth = (generator.random(400) < 1 / (1 + np.exp(1 - x[:, 0])) for x in (X, asked))
    chance = PointsScorecard().fit(X, bad).predict_proba(asked)[:, 1]
    high = np.argsort(chance)[-60:]
    assert chance[high].mean() < truth[high].mean() + 0.12
