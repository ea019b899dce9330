"""Reasons for a score are true as written, and class moves are attributed to the customer or the borders."""

from __future__ import annotations

from dataclasses import replace

import pytest

from goodstanding.decisions.reasons import class_by, class_move, losses, reasons_of
from goodstanding.decisions.scorecard import Bin, Characteristic, Pair, Scorecard

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


def test_a_reason_tells_the_plain_fact_and_not_the_rate_that_is_scored():
    rate = Characteristic("return_rate", (Bin(90, None, 0.1), Bin(30, 0.1), Bin(30, is_missing=True)))
    card = Scorecard("m", "cod", "x", 500, 600, 10.0, 20, (rate,))
    values = {"return_rate": 2.5 / 12, "returned_orders": 2, "orders": 9}
    assert reasons_of(losses(card, values), values, "2011-12-09") == [
        {
            "code": "returns",
            "text": "2 of your 9 orders came back.",
            "formal": "As of 2011-12-09, 2 of the 9 orders came back.",
            "fact": {"returned_orders": 2, "orders": 9},
            "points": 60,
        }
    ]
    (unknown,) = reasons_of(losses(card, {}), {})
    assert unknown["text"] == "How many of your orders came back is not known."
    assert unknown["fact"] == {"returned_orders": None, "orders": None}


def test_of_a_family_the_most_costly_is_told_alone_and_the_most_costly_family_first():
    cost = {"return_rate": 20, "cancellations": 50, "days_since_cancellation": 30, "recency_days": 40}
    card = Scorecard(
        "m",
        "cod",
        "x",
        500,
        600,
        10.0,
        20,
        tuple(
            Characteristic(name, (Bin(0, None, 10.0), Bin(points, 10.0)))
            if name == "days_since_cancellation"
            else Characteristic(name, (Bin(points, None, 0.1), Bin(0, 0.1)))
            for name, points in cost.items()
        ),
    )
    values = {name: 5 for name in cost}
    told = [(reason["code"], reason["points"]) for reason in reasons_of(losses(card, values), values)]
    assert told == [("returns", 50), ("recency", 40)]


def test_points_cut_off_by_the_ends_of_the_scale_are_no_reason():
    characteristic = Characteristic("return_rate", (Bin(0, None, 0.1), Bin(-50, 0.1)))
    assert losses(Scorecard("m", "cod", "x", 950, 600, 10.0, 20, (characteristic,)), {"return_rate": 1}) == []
    assert losses(Scorecard("m", "cod", "x", 250, 600, 10.0, 20, (characteristic,)), {"return_rate": 1}) == []
    assert losses(Scorecard("m", "cod", "x", 320, 600, 10.0, 20, (characteristic,)), {"return_rate": 1}) != []


def test_two_that_earn_their_points_together_are_one_reason_with_the_facts_of_both():
    rate = Characteristic("return_rate", (Bin(0, None, 0.1), Bin(0, 0.1)))
    recency = Characteristic("recency_days", (Bin(0, None, 60.0), Bin(0, 60.0)))
    pair = Pair(rate, recency, ((90, 70), (60, 0)))
    card = Scorecard("m", "cod", "x", 500, 600, 10.0, 20, (), (pair,), True)
    values = {"return_rate": 2.5 / 12, "returned_orders": 2, "orders": 9, "recency_days": 100}
    (loss,) = losses(card, values)
    assert reasons_of([loss], values, "2011-12-09") == [
        {
            "code": "returns_and_recency",
            "text": "2 of your 9 orders came back, and as of 2011-12-09, your last order was 100 days ago.",
            "formal": (
                "As of 2011-12-09, 2 of the 9 orders came back, and the last order with us was 100 days ago."
            ),
            "fact": {"returned_orders": 2, "orders": 9, "recency_days": 100},
            "points": 90,
        }
    ]
    assert loss.to_json() == {
        "characteristic": "return_rate",
        "value": 2.5 / 12,
        "points": 0,
        "best_points": 90,
        "best": {"above": None, "up_to": 0.1, "is_missing": False},
        "together_with": {
            "characteristic": "recency_days",
            "value": 100,
            "best": {"above": None, "up_to": 60.0, "is_missing": False},
        },
    }
    # who is as good as can be in one is told of the other alone
    never = values | {"return_rate": 0.05, "returned_orders": 0}
    (of_one,) = losses(card, never)
    assert (of_one.families, of_one.lost) == (("recency",), 20)
    assert of_one.to_json()["best"] == {"above": None, "up_to": 60.0, "is_missing": False}
    # the family of a pair is told: another of it is not
    assert len(reasons_of([loss, *losses(replace(card, characteristics=(LATER,)), values)], values)) == 1


LATER = Characteristic("days_since_return", (Bin(0, None, 10.0), Bin(10, 10.0), Bin(0, is_missing=True)))


def test_a_level_that_was_never_seen_is_told():
    purpose = Characteristic("purpose", (Bin(20, levels=("car",)), Bin(5, is_other=True)))
    card = Scorecard("m", "cod", "x", 500, 600, 10.0, 20, (purpose,), is_open=True)
    (reason,) = reasons_of(losses(card, {"purpose": "boat"}), {"purpose": "boat"})
    assert reason["text"] == "The purpose boat was never seen, or too rarely, when the scorecard was made."
    assert (reason["fact"], reason["points"]) == ({"purpose": "boat"}, 15)
    both = Pair(
        replace(purpose, bins=tuple(replace(bin_, points=0) for bin_ in purpose.bins)),
        LATER,
        ((9,) * 3, (0,) * 3),
    )
    (loss,) = losses(replace(card, characteristics=(), pairs=(both,)), {"purpose": "boat"})
    assert "boat was never seen" in loss.sentences({"purpose": "boat"}, None)[0]
