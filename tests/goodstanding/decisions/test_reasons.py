"""Reasons for a score are true as written, and class moves are attributed to the customer or the borders."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from goodstanding.decisions.reasons import bin_text, changes, class_by, class_move, label, losses, shown
from goodstanding.decisions.scorecard import Bin, Characteristic, Scorecard

BORDERS = {
    "recency": (10.0, 20.0, 30.0),
    "frequency": (1.0, 2.0, 3.0),
    "monetary": (100.0, 200.0, 300.0),
    "credit_score": (5.0, 7.0, 9.0),
}


def measures(recency: int | None, frequency: int, monetary: float, class_: str) -> dict:
    measured = {"recency": recency, "frequency": frequency, "monetary": monetary}
    assert class_ in ("Worst", "Average", "Good", "Best")
    return measured | {"class": class_}


def move_of(now: dict, before: dict | None, borders: dict | None) -> dict | None:
    return class_move(now["class"], now, before, borders)


@pytest.mark.parametrize(
    ("recency", "frequency", "monetary", "class_"),
    [
        (10, 4, 301, "Best"),
        (11, 3, 300, "Good"),
        (30, 1, 100, "Worst"),
        (31, 4, 301, "Good"),
        (20, 1, 200, "Average"),
        # the score sum 4 + 4 + 1 equals a border, so it belongs to the quarter below
        (10, 4, 100, "Good"),
    ],
)
def test_a_class_by_borders_equals_that_of_the_marts(recency, frequency, monetary, class_):
    assert class_by({"recency": recency, "frequency": frequency, "monetary": monetary}, BORDERS) == class_


@pytest.mark.parametrize(
    ("now", "before", "cause"),
    [
        (measures(31, 1, 100, "Worst"), measures(5, 4, 400, "Best"), "own_behaviour"),
        (measures(5, 4, 400, "Good"), measures(5, 4, 400, "Best"), "borders"),
        (measures(20, 1, 200, "Worst"), measures(5, 4, 400, "Best"), "both"),
        # every order was cancelled, so there is no recency and the rule gives Worst
        (measures(None, 0, 0, "Worst"), measures(5, 4, 400, "Best"), "own_behaviour"),
    ],
)
def test_a_move_is_attributed_to_the_customer_or_to_the_borders(now, before, cause):
    move = move_of(now, before | {"as_of": "2011-11-30"}, BORDERS)
    assert move is not None and move["cause"] == cause
    assert (move["from"], move["to"], move["since"]) == (before["class"], now["class"], "2011-11-30")
    assert f"from {before['class']} to {now['class']} since 2011-11-30" in move["sentence"]
    assert ("borders" in move["sentence"]) == (cause != "own_behaviour")


def test_a_customer_who_kept_the_class_or_had_none_has_not_moved():
    now = measures(5, 4, 400, "Best")
    assert move_of(now, now | {"as_of": "2011-11-30"}, BORDERS) is None
    assert move_of(now, None, BORDERS) is None
    assert move_of(now, now | {"as_of": "2011-11-30", "class": "Good"}, None) is None


def test_a_sentence_names_value_points_and_the_best_values():
    rate = Characteristic("return_rate", (Bin(90, None, 0.1), Bin(30, 0.1), Bin(50, is_missing=True)))
    never = Characteristic("days_since_return", (Bin(-10, None, 30.0), Bin(40, is_missing=True)))
    card = Scorecard("m", "cod", "x", 500, 600, 10.0, 20, (rate, never))
    sentences = [loss.sentence() for loss in losses(card, {"return_rate": 0.375, "days_since_return": 5})]
    assert sentences == [
        "The return rate is 0.375, which gives 60 points fewer than 0.1 or less would.",
        "The time since the last return in days is 5, which gives 50 points fewer than none known would.",
    ]
    (unknown,) = losses(card, {})
    assert unknown.sentence().startswith("The return rate is not known, which gives 40 points")


@given(
    st.floats(0.001, 5000) | st.integers(0, 50),
    st.integers(-3, 3).filter(bool) | st.floats(-100, 100).filter(bool),
    st.sampled_from([1.0, 0.01, 1e-5, 1e-9]),
)
def test_a_sentence_is_true_as_it_is_written(border, steps, size):
    """However close a value is to the border, the written number lies on the right side of it."""
    value = border + steps * size
    assume(value != border and value >= 0)
    low, high = Bin(50, None, float(border)), Bin(50, float(border))
    best = low if value > border else high
    worse = replace(high if best is low else low, points=0)
    card = Scorecard("m", "cod", "x", 500, 600, 10.0, 20, (Characteristic("rate", (best, worse)),))
    (loss,) = losses(card, {"rate": value})
    number = r"([\d.,e-]+)"
    best_bin = f"(?:more than {number}|{number} or less)"
    pattern = rf"The rate is {number}, which gives 50 points fewer than {best_bin} would\."
    match = re.fullmatch(pattern, loss.sentence())
    assert match
    written, above, up_to = (text and float(text.replace(",", "")) for text in match.groups())
    assert written <= above if up_to is None else written > up_to


def test_points_cut_off_by_the_ends_of_the_scale_are_no_reason():
    characteristic = Characteristic("return_rate", (Bin(0, None, 0.1), Bin(-50, 0.1)))
    assert losses(Scorecard("m", "cod", "x", 950, 600, 10.0, 20, (characteristic,)), {"return_rate": 1}) == []
    assert losses(Scorecard("m", "cod", "x", 250, 600, 10.0, 20, (characteristic,)), {"return_rate": 1}) == []
    assert losses(Scorecard("m", "cod", "x", 320, 600, 10.0, 20, (characteristic,)), {"return_rate": 1}) != []


def test_changes_begin_with_the_nearest_bin_and_end_inside_it():
    characteristic = Characteristic(
        "frequency", (Bin(0, None, 2.0), Bin(10, 2.0, 2.5), Bin(20, 2.5, 9.0), Bin(30, 9.0))
    )
    tried = changes(characteristic, 8)
    assert [(away, value) for away, value, _ in tried][0:1] == [(1, 2.5)]
    assert all(bin_.holds(value) for _, value, bin_ in tried)
    assert {value for _, value, _ in tried} == {2.5, 10.0, 2.0}
    assert all(bin_.holds(value) for _, value, bin_ in changes(characteristic, None))


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (3.0, "3"), (0.12345, "0.1235"), (1234.5, "1,234.50"), (12345, "12,345"), ("x", "x")],
)
def test_numbers_are_written_as_people_do(value, text):
    assert shown(value) == text


def test_names_are_shown_in_words():
    names = ("return_rate", "return_rate_6m", "orders_30d", "credit_score")
    assert [label(name) for name in names] == [
        "the return rate",
        "the return rate of 6 months",
        "the orders of 30 days",
        "the RFM credit score",
    ]


def test_bins_are_shown_in_words():
    assert [bin_text(bin_) for bin_ in (Bin(1), Bin(1, 2.0), Bin(1, None, 2.0), Bin(1, 1.0, 2.0))] == [
        "any other",
        "more than 2",
        "2 or less",
        "more than 1 and up to 2",
    ]
    assert bin_text(Bin(1, is_missing=True)) == "none known"
