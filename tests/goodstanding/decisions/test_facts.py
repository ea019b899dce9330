"""Every characteristic has a direction, and what is told of it is plain English, of counts and not rates."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodstanding.decisions.facts import (
    AS_DATA_SAY,
    MORE_IS_BETTER,
    MORE_IS_WORSE,
    facts_of,
    in_stated_direction,
    joint_sentences,
    part_of,
    sentences,
    share_of,
    told,
)
from goodstanding.decisions.scorecard import Bin, Characteristic, Scorecard
from ml.scorecards.orders import CHARACTERISTICS
from tests.goodstanding.decisions.conftest import characteristics

AS_OF = "2011-12-09"
# these alone say nothing about a customer by themselves
WITHOUT_DIRECTION = {"orders_on_delivery_6m", "orders_on_account_6m"}
# a number that does not agree with its noun, and a share of nothing
DISAGREES = re.compile(r"\b(0 (orders?|times|lines?)|1 (orders|days|lines|instalments)|0%)\b")


@pytest.mark.parametrize("name", CHARACTERISTICS)
def test_every_characteristic_of_a_scorecard_has_a_direction_and_a_sentence_of_its_own(name):
    stated = told(name)
    assert (stated.direction == AS_DATA_SAY) == (name in WITHOUT_DIRECTION)
    assert stated.facts and (stated.family.code != name or name == "basket")


@pytest.mark.parametrize("name", (*CHARACTERISTICS, "channel: web", "weight", "anything_12m"))
@pytest.mark.parametrize("count", [0, 1, 2, 7, 1234])
@pytest.mark.parametrize("orders", [1, 2, 9])
def test_a_sentence_reads_well_whatever_the_counts(name, count, orders):
    values = {**dict.fromkeys(told(name).facts, count), "orders": orders, "orders_6m": orders}
    text, formal, fact = sentences(name, values, AS_OF)
    assert set(fact) == set(told(name).facts)
    for sentence in (text, formal):
        assert re.fullmatch(r"[A-Z0-9].*[^ .]\.", sentence) and "  " not in sentence
        assert not DISAGREES.search(sentence), sentence
        assert "your" not in formal.lower(), formal


@pytest.mark.parametrize(
    ("name", "values", "text"),
    [
        ("return_rate", {"returned_orders": 2, "orders": 9}, "2 of your 9 orders came back."),
        ("return_rate", {"returned_orders": 1, "orders": 1}, "Your only order came back."),
        ("return_rate", {"returned_orders": 2, "orders": 2}, "Both of your orders came back."),
        (
            "return_rate_6m",
            {"returned_orders_6m": 3, "orders_6m": 3},
            "All 3 of your orders of the last 6 months came back.",
        ),
        ("refusal_rate", {"refused_orders": 1, "orders": 4}, "1 of your 4 orders was refused at the door."),
        ("refusal_rate", {"refused_orders": 3, "orders": 4}, "3 of your 4 orders were refused at the door."),
        ("cancellation_rate", {"cancellations": 1, "orders": 1}, "You cancelled once in 1 order."),
        ("recency_days", {"recency_days": 1}, "As of 2011-12-09, your last order was 1 day ago."),
        ("recency_days", {"recency_days": 0}, "As of 2011-12-09, your last order was on that day."),
        ("days_since_cancellation", {}, "There never was a cancellation."),
        ("mean_gap_days", {"mean_gap_days": None}, "You have placed only one order so far."),
        ("utilisation", {"utilisation": 0.4567}, "You use 45.7% of your credit limit."),
        ("on_time_share", {"on_time_share": 0.0}, "You paid none of your instalments on time."),
        ("basket", {"basket": 120.0}, "The basket is 120.00."),
    ],
)
def test_what_a_clerk_says(name, values, text):
    assert sentences(name, values, AS_OF)[0] == text


@pytest.mark.parametrize("unknown", [(), ("mean_gap_days",), ("recency_days",), ("returned_orders",)])
@pytest.mark.parametrize(
    "names", permutations(("return_rate", "recency_days", "tenure_days", "mean_gap_days", "basket"), 2)
)
def test_two_that_are_told_together_say_the_day_once_if_either_says_it_alone(names, unknown):
    facts = {"returned_orders": 2, "orders": 9, "recency_days": 40, "tenure_days": 0, "mean_gap_days": 3}
    values = {name: None if name in unknown else value for name, value in facts.items()} | {"basket": 12.0}
    alone = [sentences(name, values, AS_OF) for name in names]
    together = joint_sentences(names, values, AS_OF)
    for at in (0, 1):
        says_it = any(AS_OF in sentence[at] for sentence in alone)
        assert together[at].lower().count(f"as of {AS_OF}, ") == says_it
        assert together[at].count(AS_OF) == says_it
    assert together[2] == alone[0][2] | alone[1][2]


def test_a_second_clause_that_counts_days_says_from_which_day():
    values = {"returned_orders": 2, "orders": 9, "recency_days": 40, "mean_gap_days": None}
    assert joint_sentences(("return_rate", "recency_days"), values, AS_OF)[:2] == (
        "2 of your 9 orders came back, and as of 2011-12-09, your last order was 40 days ago.",
        "As of 2011-12-09, 2 of the 9 orders came back, and the last order with us was 40 days ago.",
    )
    assert joint_sentences(("mean_gap_days", "recency_days"), values, AS_OF)[1] == (
        "Only one order has been placed with us so far, and as of 2011-12-09, the last order with us was "
        "40 days ago."
    )


def test_small_and_nearly_whole_shares_are_not_rounded_away():
    assert [share_of(share) for share in (0, 0.0001, 0.5, 0.99999, 1, 1.2)] == [
        "none",
        "less than 0.1%",
        "50%",
        "more than 99.9%",
        "100%",
        "120%",
    ]
    assert part_of(3, 2, "order") == "3 orders"


def test_the_rates_of_a_card_bring_their_counts_with_them():
    assert facts_of(["return_rate_6m", "cancelled_lines_rate"]) == {
        "returned_orders_6m",
        "orders_6m",
        "cancelled_lines",
        "orders",
    }


@given(st.data())
def test_a_card_that_is_held_goes_the_stated_way_with_the_missing_values(data):
    name = data.draw(st.sampled_from([*CHARACTERISTICS, "channel: web", "weight"]))
    drawn = data.draw(characteristics(name))
    card = Scorecard("m", "cod", "x", 500, 600, 10.0, 20, (drawn,))
    (held,) = in_stated_direction(card).characteristics
    stated = told(name)
    known = [bin_ for bin_ in held.bins if not bin_.is_missing]
    points = [bin_.points for bin_ in known]
    assert [(bin_.above, bin_.up_to) for bin_ in known] == [
        (bin_.above, bin_.up_to) for bin_ in drawn.bins if not bin_.is_missing
    ]
    if stated.direction == MORE_IS_BETTER:
        assert all(low <= high for low, high in pairwise(points))
    if stated.direction == MORE_IS_WORSE:
        assert all(low >= high for low, high in pairwise(points))
    if stated.is_never:
        assert held.points(None) == held.best.points >= max(points)
    else:
        assert held.points(None) <= min(points)
    assert in_stated_direction(replace(card, characteristics=(held,))).characteristics == (held,)


def test_a_card_set_by_hand_gives_nobody_points_for_returns_or_for_saying_nothing(policy):
    for rules in policy.rules.values():
        by_name = {characteristic.name: characteristic for characteristic in rules.card.characteristics}
        rate = by_name["return_rate"]
        assert rate.points(0) == rate.best.points > rate.points(0.9) >= rate.points(None)
        assert by_name["credit_score"].points(None) <= by_name["credit_score"].points(3)
    # whoever cancelled last week does no better than who never cancelled
    backwards = Characteristic(
        "days_since_cancellation", (Bin(28, None, 13.0), Bin(9, 13.0), Bin(0, is_missing=True))
    )
    (held,) = in_stated_direction(
        replace(policy.rules["cod"].card, characteristics=(backwards,))
    ).characteristics
    assert held.points(5) <= held.points(40) <= held.points(None)
