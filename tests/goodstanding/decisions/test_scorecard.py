"""A scorecard turns values into points, points into a score, and a score into odds."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from goodstanding.decisions.scorecard import HIGHEST, LOWEST, Bin, Characteristic, Pair, Scorecard

RATE = Characteristic("return_rate", (Bin(90, up_to=0.1), Bin(40, above=0.1, up_to=0.3), Bin(0, above=0.3)))
DAYS = Characteristic("days", (Bin(0, up_to=7.0), Bin(30, above=7.0), Bin(25, is_missing=True)))
CARD = Scorecard("cod-1", "cod", "the order comes back", 500, 600, 10.0, 50, (RATE, DAYS))


@pytest.mark.parametrize(
    ("value", "points"),
    [(-1, 90), (0.1, 90), (0.1000001, 40), (0.3, 40), (9, 0), (None, 0), (float("nan"), 0)],
)
def test_a_border_belongs_to_the_bin_below_and_a_missing_value_without_a_bin_gets_the_fewest_points(
    value: float | None, points: int
) -> None:
    assert RATE.points(value) == points


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_missing_value_has_its_own_bin(value: float | None) -> None:
    assert DAYS.points(value) == 25
    assert DAYS.best.points == 30


def test_a_score_is_the_sum_of_all_points_and_stays_within_its_ends() -> None:
    assert CARD.points({"return_rate": 0.2, "days": 9}) == {"return_rate": 40, "days": 30}
    assert CARD.score({"return_rate": 0.2, "days": 9}) == 570
    assert CARD.score({}) == 525
    for base, end in ((0, LOWEST), (9000, HIGHEST)):
        assert Scorecard("m", "cod", "x", base, 600, 10.0, 50, (RATE,)).score({}) == end


def test_the_odds_are_the_stated_ones_and_double_as_stated() -> None:
    assert CARD.probability(600) == pytest.approx(1 / 11)
    assert CARD.probability(650) == pytest.approx(1 / 21)
    assert CARD.probability(500) == pytest.approx(1 / 3.5)


def test_json_reads_back_to_an_equal_card_and_anything_else_is_refused() -> None:
    written = json.loads(json.dumps(CARD.to_json()))
    assert Scorecard.from_json(written) == CARD
    del written["base_points"]
    with pytest.raises(TypeError):
        Scorecard.from_json(written)


PURPOSE = Characteristic(
    "purpose",
    (Bin(20, levels=("car", "house")), Bin(5, levels=("boat",), is_other=True), Bin(0, is_missing=True)),
)
DEBT = Characteristic("debt", (Bin(0, exactly=-1.0), Bin(0, up_to=50.0), Bin(0, above=50.0)))
WHERE = replace(PURPOSE, bins=tuple(replace(bin_, points=0) for bin_ in PURPOSE.bins))
BOTH = Scorecard(
    "m",
    "emi",
    "x",
    500,
    600,
    10.0,
    50,
    (RATE,),
    (Pair(DEBT, WHERE, ((9, 3, 1), (30, 20, 0), (25, 4, 2))),),
    True,
)


@pytest.mark.parametrize(
    ("value", "points", "is_unseen"),
    [("car", 20, False), ("boat", 5, False), ("plane", 5, True), (None, 0, False), (float("nan"), 0, False)],
)
def test_a_level_that_no_bin_names_is_in_the_bin_of_all_others(
    value: str | float | None, points: int, is_unseen: bool
) -> None:
    assert (PURPOSE.points(value), PURPOSE.is_unseen(value)) == (points, is_unseen)


@pytest.mark.parametrize(
    ("debt", "purpose", "points"),
    [
        (-1.0, "car", 9),
        (-2.0, "car", 30),
        (60, "plane", 4),
        (60, None, 2),
        (None, "car", 9),
        (None, "boat", 3),
    ],
)
def test_a_pair_earns_the_points_of_its_cell_and_a_value_in_no_bin_the_fewest_beside_the_other(
    debt: float | None, purpose: str | None, points: int
) -> None:
    values = {"return_rate": 0.2, "debt": debt, "purpose": purpose}
    assert BOTH.points(values) == {"return_rate": 40, "debt and purpose": points}
    assert BOTH.score(values) == 540 + points
    assert BOTH.names == ("return_rate", "debt", "purpose")


def test_an_open_card_is_not_cut_off_and_its_json_reads_back() -> None:
    assert replace(BOTH, base_points=9000).score({"debt": 1.0}) == 9000
    assert Scorecard.from_json(json.loads(json.dumps(BOTH.to_json()))) == BOTH


def test_a_card_without_pairs_is_written_as_it_was_before_there_were_any() -> None:
    written = CARD.to_json()
    assert "pairs" not in written and "is_open" not in written
    assert set(written["characteristics"][0]["bins"][0]) == {"points", "above", "up_to", "is_missing"}
