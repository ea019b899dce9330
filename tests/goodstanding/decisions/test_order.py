"""What is said of an order earns the points of a scorecard: numbers as they are, words each for itself."""

from __future__ import annotations

from decimal import Decimal

import pytest

from goodstanding.decisions.order import Order, column_and_word, is_of_order, word_name
from goodstanding.decisions.scorecard import Bin, Characteristic, Scorecard

WEB = word_name("channel", "web")
CARD = Scorecard(
    *("by-hand", "cod", "it comes back", 600, 600, 10.0, 50),
    (
        Characteristic(WEB, (Bin(-30, up_to=0.5), Bin(20, above=0.5), Bin(0, is_missing=True))),
        Characteristic("weight", (Bin(10, up_to=2), Bin(-10, above=2), Bin(0, is_missing=True))),
    ),
)


@pytest.mark.parametrize(
    ("order", "score"),
    [
        (Order(), 600),
        (Order(channel="web"), 620),
        (Order(channel="app"), 570),
        (Order(weight=Decimal("2.0")), 610),
        (Order(channel="web", weight=Decimal("2.5")), 610),
        (Order(payment_type="web"), 600),
    ],
)
def test_a_card_scores_an_order_by_its_channel_and_weight(order: Order, score: int) -> None:
    assert CARD.score(order.values([WEB, "weight"])) == score


def test_characteristics_of_orders_are_told_from_those_of_customers() -> None:
    assert all(map(is_of_order, (WEB, "weight", "payment_type: on: account")))
    assert column_and_word("payment_type: on: account") == ("payment_type", "on: account")
    assert not any(map(is_of_order, ("basket", "channel", "country: UK", "mean_lines")))
