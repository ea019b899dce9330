"""A letter names the decision, its principal reasons, the sources and the rights; nothing of the machine."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given

from goodstanding.core.errors import DataProblem
from goodstanding.decisions.decide import NO, PARTIAL, YES, Question, Standing, decide
from goodstanding.decisions.letter import Sender, letter
from goodstanding.decisions.policy import COD, EMI
from tests.goodstanding.decisions.conftest import cards, questions, standings

REFERENCE = "0123456789abcdef" * 2
GOOD = Standing(
    None,
    "2011-12-09",
    0,
    "Good",
    "free delivery",
    {"credit_score": 4, "return_rate": 0.45, "returned_orders": 4, "orders": 7},
)


def text_of(policy, question, standing, card=None):
    answer = decide(question, standing, card, policy)
    return answer, letter(question, answer, "2011-12-10", REFERENCE)


def test_a_refusal_has_its_reasons_in_order_and_what_the_customer_can_do(policy):
    answer, written = text_of(
        policy, Question(EMI, Decimal("500.00"), 6), replace(GOOD, customer_class="Worst")
    )
    assert answer["decision"] == NO
    text = written.text()
    assert "You asked to pay an order of 500.00 by instalments over 6 months." in text
    assert written.reasons == tuple(reason["formal"] for reason in answer["reasons"])
    assert "As of 2011-12-09, 4 of the 7 orders came back." in written.reasons
    for part in (
        "We cannot agree",
        "The principal reasons are:",
        "2011-12-09",
        REFERENCE,
        "a person",
        "a copy",
    ):
        assert part in text
    assert max(map(len, text.splitlines())) <= 78


def test_a_yes_and_a_part_say_what_is_paid_when(policy):
    clean = replace(GOOD, values={"credit_score": 12, "return_rate": 0.0, "returned_orders": 0, "orders": 7})
    answer, written = text_of(policy, Question(EMI, Decimal("120.00"), 6), clean)
    assert answer["decision"] == YES and written.reasons == ()
    text = written.text().replace("\n", " ")
    assert f"6 instalments of {answer['plan']['instalment']}" in text
    assert "yearly rate of 9%" in text and "reason" not in text
    few = replace(clean, granted_customer=Decimal("940.00"))
    answer, written = text_of(policy, Question(COD, Decimal("120.00")), few)
    assert answer["decision"] == PARTIAL
    assert "60.00 is to be paid at once, and 60.00 may be paid on delivery" in written.text().replace(
        "\n", " "
    )


@given(questions, standings, cards())
def test_no_letter_names_a_model_a_policy_a_class_or_a_percent_of_nothing(policy, question, standing, card):
    _, written = text_of(policy, question, standing, card)
    text = written.text()
    for word in ("drawn", "hand-set", "csv", "policy", "class", "None", "{", " 0%", "scorecard", "model"):
        assert word not in text, word


def test_an_answer_of_an_earlier_version_is_refused(policy):
    question = Question(COD, Decimal("120.00"))
    answer = decide(question, GOOD, None, policy)
    earlier = {**answer, "reasons": ["The return rate is 0.1667, which gives 50 points fewer."]}
    with pytest.raises(DataProblem, match="ask the question again"):
        letter(question, earlier, "2011-12-10", REFERENCE)


def test_words_of_files_are_written_as_text_that_nothing_obeys(policy):
    question, standing = Question(EMI, Decimal("500.00"), 6), replace(GOOD, customer_class="Worst")
    answer = decide(question, standing, None, policy)
    answer["reasons"][0]["formal"] = "The channel is \x1b[31mweb\u202e."
    written = letter(question, answer, "2011-12-10", REFERENCE, Sender(("Cafe\u0301",), "EUR"))
    assert "The channel is \\x1b[31mweb\\u202e." in written.text().replace("\n   ", " ")
    assert written.sender == ("Caf\xe9",) and written.head[-1] == "All amounts are in EUR."
