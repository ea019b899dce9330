"""Pairs are found where two characteristics tell more together, and only there; their points are exact."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodstanding.decisions.facts import AS_DATA_SAY, MORE_IS_WORSE, in_stated_direction
from goodstanding.decisions.reasons import losses
from goodstanding.decisions.scorecard import Scorecard
from ml.scorecards.bins import Stated, Woe
from ml.scorecards.fit import PointsScorecard, card_probability, card_scores
from ml.scorecards.pairs import PRIOR_ROWS, Cells

ROWS = 3000


def together(seed: int, joint: float) -> tuple[np.ndarray, np.ndarray]:
    """Four columns: three count, and that the first two are on the same side counts `joint`; one is noise."""
    generator = np.random.default_rng(seed)
    X = np.round(generator.normal(size=(ROWS, 4)), 1)
    alike = (X[:, 0] > 0) == (X[:, 1] > 0)
    log_odds = -1.5 + 0.5 * X[:, 0] + 0.5 * X[:, 1] + 0.5 * X[:, 2] + joint * alike
    X[generator.random(ROWS) < 0.1, 1] = np.nan
    return X, generator.random(ROWS) < 1 / (1 + np.exp(-log_odds))


def auc(bad: np.ndarray, chance: np.ndarray) -> float:
    ranks = chance.argsort().argsort()
    return float((ranks[bad].mean() - ranks[~bad].mean()) / len(bad) + 0.5)


def test_a_pair_enters_where_two_tell_more_together_and_predicts_other_rows_better() -> None:
    X, bad = together(1, 2.0)
    asked, truth = together(2, 2.0)
    with_pairs, without = PointsScorecard().fit(X, bad), PointsScorecard(most_pairs=0).fit(X, bad)
    (pair,) = with_pairs.card(list("abcd")).pairs
    assert sorted(pair.names) == ["a", "b"]
    assert not without.card(list("abcd")).pairs
    gained = [auc(truth, model.predict_proba(asked)[:, 1]) for model in (without, with_pairs)]
    assert gained[1] > gained[0] + 0.02


@pytest.mark.parametrize("seed", range(3))
def test_no_pair_enters_where_points_that_add_up_say_all(seed: int) -> None:
    X, bad = together(seed, 0.0)
    assert PointsScorecard().fit(X, bad).cells_ == []


@settings(max_examples=50, deadline=None)
@given(st.floats(-12, 12), st.integers(1, 5000), st.floats(0, 1))
def test_the_weight_of_a_cell_is_the_best_one_however_sure_and_wrong_the_sum_is(
    log_odds: float, rows: int, bad_share: float
) -> None:
    flag = Woe(np.array([0.0]), np.array([0.0, 0.0]), None, 0.0)
    columns = [np.repeat([0.0, 1.0], rows)] * 2
    bad = np.arange(2 * rows) % rows < round(bad_share * rows)
    cells = Cells.fitted((0, 1), [flag, flag], columns, np.full(2 * rows, log_odds), bad)
    for weight in cells.of(columns)[[0, -1]]:
        # at the best weight the bad rows that are expected are those that occurred, and the prior's pull
        expected = rows / (1 + np.exp(log_odds + weight))
        certainty = expected * (1 - expected / rows) + PRIOR_ROWS / 4
        assert abs(expected - bad[:rows].sum() - PRIOR_ROWS / 4 * weight) < 0.001 * certainty


@pytest.mark.parametrize(
    ("alone", "neither", "one", "both"),
    [(0.10, 0.2, 0.02, 0.6), (0.3, 0.3, 0.03, 0.5), (0.3, 0.02, 0.25, 0.02), (0.4, 0.3, 0.03, 0.9)],
)
def test_a_rare_cell_against_the_sum_gets_a_chance_between_what_is_true_and_what_is_usual(
    alone: float, neither: float, one: float, both: float
) -> None:
    generator = np.random.default_rng(1)
    kind = generator.choice(4, 20_000, p=[0.98 - 2 * alone, alone, alone, 0.02])
    flags = np.column_stack([kind % 2, kind // 2]).astype(float)
    bad = generator.random(len(kind)) < np.array([neither, one, one, both])[kind]
    model = PointsScorecard().fit(flags, bad)
    assert len(model.cells_) == 1
    of_neither, of_both = model.predict_proba(np.array([[0.0, 0.0], [1.0, 1.0]]))[:, 1]
    true = bad[kind == 3].mean()
    assert min(true, bad.mean()) < of_both < max(true, bad.mean()) and abs(of_both - true) < 0.2
    assert of_neither == pytest.approx(bad[kind == 0].mean(), abs=0.02)


@pytest.mark.parametrize("stated", [(-1, 1), (-1, 0), (0, 1), (1, 1)])
def test_chances_add_up_to_the_bad_rows_also_where_a_pair_is_held_to_its_stated_ways(stated) -> None:
    generator = np.random.default_rng(0)
    X = generator.integers(0, 5, (8000, 2)).astype(float)
    X[generator.random(8000) < 0.1, 1] = np.nan
    of_second = np.nan_to_num(X[:, 1], nan=2.0)
    log_odds = -2 + 0.7 * (X[:, 0] - 2) * np.where(of_second < 3, 1, -1.5) - 0.3 * (of_second - 2)
    bad = generator.random(8000) < 1 / (1 + np.exp(-log_odds))
    model = PointsScorecard(stated=tuple(map(Stated, stated))).fit(X, bad)
    assert model.predict_proba(X)[:, 1].mean() == pytest.approx(bad.mean(), abs=0.002)


def of_customers(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Orders of 150 customers, about 22 of each, whose columns are constant: each is bad as often as ever."""
    generator = np.random.default_rng(seed)
    customers = np.repeat(np.arange(150), generator.integers(5, 40, 150))
    columns = np.round(generator.normal(size=(150, 6)), 2)
    own = generator.normal(0, 1.2, 150) + 0.5 * columns[:, 0]
    bad = generator.random(len(customers)) < 1 / (1 + np.exp(1.5 + own[customers]))
    return columns[customers], bad, customers


@pytest.mark.parametrize("seed", range(3))
def test_what_is_true_of_single_customers_alone_is_not_taken_for_what_is_true_of_all(seed: int) -> None:
    X, bad, customers = of_customers(seed)
    asked, truth, _ = of_customers(seed + 100)
    by_row, by_customer = PointsScorecard().fit(X, bad), PointsScorecard().fit(X, bad, groups=customers)
    assert by_row.cells_ and not by_customer.cells_
    chances = [model.predict_proba(asked)[:, 1] for model in (by_row, by_customer)]
    losses = [-np.log(np.where(truth, chance, 1 - chance)).mean() for chance in chances]
    assert losses[1] < losses[0] - 0.01


def test_a_pair_that_is_true_of_all_customers_is_found_whoever_ordered_and_whatever_their_ids_are() -> None:
    X, bad = together(1, 2.0)
    customers = np.random.default_rng(4).integers(0, 900, ROWS)
    ids = [f"{number * 7919 % 1000:03d}" for number in range(900)]
    first, other_key = (
        PointsScorecard().fit(X, bad, groups=of) for of in (customers, np.array(ids, dtype=object)[customers])
    )
    assert [cells.pair for cells in first.cells_] == [(0, 1)]
    assert first.card(list("abcd")) == other_key.card(list("abcd"))


def test_customers_of_one_order_each_are_as_rows_without_customers() -> None:
    X, bad = together(1, 2.0)
    cards = [
        PointsScorecard().fit(X, bad, groups=of).card(list("abcd")) for of in (None, np.arange(ROWS)[::-1])
    ]
    assert cards[0] == cards[1]


@pytest.mark.parametrize("customers", [1, 2])
def test_few_customers_who_are_all_that_is_bad_leave_a_card_without_pairs(customers: int) -> None:
    X, bad = together(1, 2.0)
    groups = np.where(bad, np.arange(ROWS) % customers, 10 + np.arange(ROWS) % 300)
    model = PointsScorecard().fit(X, bad, groups=groups)
    assert not model.cells_
    assert model.predict_proba(X)[:, 1].mean() == pytest.approx(bad.mean(), abs=0.005)


def test_a_column_that_may_not_pair_keeps_points_of_its_own() -> None:
    X, bad = together(1, 2.0)
    stated = (Stated(may_pair=False), Stated(), Stated(), Stated())
    card = PointsScorecard(stated=stated).fit(X, bad).card(list("abcd"))
    assert "a" in {characteristic.name for characteristic in card.characteristics}
    assert not any("a" in pair.names for pair in card.pairs)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([-1.5, 2.0]))
def test_the_points_of_a_card_add_up_to_its_answer_and_what_a_reason_costs_is_gained(
    seed: int, joint: float
) -> None:
    X, bad = together(seed, joint)
    names = list("abcd")
    card = PointsScorecard().fit(X, bad).card(names)
    card = Scorecard.from_json(json.loads(json.dumps(card.to_json())))
    rows = np.vstack([X[:40], np.full(4, np.nan)])
    scores = card_scores(card, dict(zip(names, rows.T, strict=True)))
    chances = card_probability(card, dict(zip(names, rows.T, strict=True)))
    best = card.base_points + sum(one.best.points for one in card.characteristics)
    best += sum(pair.best[0] for pair in card.pairs)
    for row, score, chance in zip(rows, scores, chances, strict=True):
        values = dict(zip(names, map(float, row), strict=True))
        assert card.base_points + sum(card.points(values).values()) == card.score(values) == score
        assert card.probability(int(score)) == chance
        points_lost = losses(card, values)
        assert score + sum(loss.lost for loss in points_lost) == best
        for loss in points_lost:
            mended = values | {part.name: value_in(part.best) for part in loss.parts}
            assert card.score(mended) == score + loss.lost


def value_in(bin_) -> float | None:
    if bin_.is_missing:
        return None
    return bin_.up_to if bin_.up_to is not None else (bin_.above or 0.0) + 1


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([-2.0, 1.0, 2.0]), st.booleans())
def test_a_pair_goes_the_stated_ways_beside_every_value_of_the_other(
    seed: int, joint: float, is_never: bool
) -> None:
    X, bad = together(seed, joint)
    stated = (Stated(MORE_IS_WORSE), Stated(MORE_IS_WORSE, is_never), Stated(AS_DATA_SAY), Stated())
    card = PointsScorecard(stated=stated).fit(X, bad).card(["returns_30d", "b", "c", "d"])
    line = np.round(np.linspace(-4, 4, 41), 1)
    for of_b in (-3.0, -0.5, 0.5, 3.0, None):
        scores = [card.score({"returns_30d": value, "b": of_b, "c": 0.0, "d": 0.0}) for value in line]
        assert scores == sorted(scores, reverse=True)
        assert card.score({"returns_30d": None, "b": of_b, "c": 0.0, "d": 0.0}) <= scores[-1]
    for of_a in (-3.0, 0.5, 3.0):
        scores = [card.score({"returns_30d": of_a, "b": value, "c": 0.0, "d": 0.0}) for value in line]
        missing = card.score({"returns_30d": of_a, "b": None, "c": 0.0, "d": 0.0})
        assert scores == sorted(scores, reverse=True)
        assert missing >= scores[0] if is_never else missing <= scores[-1]


def test_a_pair_of_before_a_direction_was_stated_is_lowered_until_it_goes_that_way() -> None:
    X, bad = together(1, 2.0)
    # the second earns more with more: stated of the basket is the opposite
    card = PointsScorecard().fit(X * np.array([1, -1, 1, 1]), bad).card(["a", "basket", "c", "d"])
    (pair,) = card.pairs
    held = in_stated_direction(card).pairs[0]
    line = np.round(np.linspace(-4, 4, 41), 1)
    for of_a in (-3.0, 0.5, 3.0):

        def points(of_pair, value, of_a=of_a):
            values = {"a": of_a, "basket": value}
            return of_pair.points_of(*map(values.get, of_pair.names))

        assert sorted(points(pair, value) for value in line) != [points(pair, value) for value in line[::-1]]
        earned = [points(held, value) for value in line]
        assert earned == sorted(earned, reverse=True)
        assert all(points(held, value) <= points(pair, value) for value in line)
    assert in_stated_direction(PointsScorecard().fit(X, bad).card(["a", "b", "c", "d"])).pairs
