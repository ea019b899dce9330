"""The arithmetic by which `bench.profit` reckons what ways to decide earn, and what the docs quote of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.profit import (
    ACCEPT,
    CARD,
    HALF,
    REFUSE,
    RULE,
    SHIPPED,
    Answers,
    answer,
    best_rule,
    hold_by_truth,
    profits,
    standings,
)
from bench.readme import RESULTS, measured_section
from goodstanding.core.settings import POLICY
from goodstanding.decisions.policy import COD, EMI, read_policies
from ml.features import Snapshot

DAY = date(2011, 9, 1)
RULES = read_policies(POLICY)[-1].rules


def orders(baskets: list[float], customers: list[str], **more: list[float]) -> Snapshot:
    columns = {"basket": baskets, "orders": [3.0] * len(baskets), "outstanding": [0.0] * len(baskets)}
    features = pd.DataFrame({**columns, "instalments": [0.0] * len(baskets), **more}, dtype=float)
    return Snapshot(DAY, np.array(customers, dtype=object), features, np.zeros(len(baskets), dtype=bool))


def test_an_order_earns_its_margin_and_loses_what_is_at_risk_by_its_chance() -> None:
    baskets, lost = np.array([100.0, 100.0, 100.0]), np.full(3, 0.2)
    answers = Answers(np.array([100.0, 40.0, 0.0]), np.array([False, True, False]))
    assert profits(baskets, answers, lost, 0.3, 0.6) == pytest.approx([24 - 12, 24 - 4.8, 0])
    assert profits(baskets, answers, lost, 0.3, 0.6, leaving=0.5) == pytest.approx([12, 9.6, 0])


def test_the_best_rule_is_the_one_by_which_most_was_earned() -> None:
    rate = [0.0, 0.1, 0.2, 0.8, 0.9, float("nan")]
    learnt = orders([100.0, 90.0, 110.0, 100.0, 105.0, 95.0], list("abcdef"), rate=rate)
    learnt = replace(learnt, outcome=np.array([False, False, False, True, True, False]))
    rule = best_rule(learnt, RULES[COD])
    assert rule.name == "rate" and rule.is_above and 0.2 <= rule.border < 0.8
    assert list(rule.refuses(np.array(rate))) == [False, False, False, True, True, False]


def test_what_was_granted_stays_open_until_it_may_come_back_no_longer() -> None:
    room = {class_: Decimal(150) for class_ in RULES[COD].cap_customer}
    rules = replace(RULES[COD], cap_customer=room, cap_loss=None)
    away = timedelta(days=rules.delivery_days + rules.return_days)
    values = {name: [50.0, 50.0, 50.0, 50.0] for name in ("credit_score", "return_rate")}
    asked = orders([100.0] * 4, ["a", "a", "b", "a"], **{**values, "return_rate": [0.0] * 4})
    days = [DAY, DAY + away, DAY + away, DAY + away + timedelta(days=1)]
    known = standings(asked, ["Best"] * 4, COD)
    assert list(answer(known, asked, days, rules.card, rules).granted) == [100, 50, 100, 100]


def test_who_has_no_order_is_a_stranger_unless_instalments_are_known() -> None:
    asked = orders([10.0, 10.0], ["a", "b"])
    asked.features["orders"] = 0.0
    asked.features["instalments"] = [0.0, 2.0]
    assert [known.is_stranger for known in standings(asked, ["Good"] * 2, EMI)] == [True, False]
    assert [known.is_stranger for known in standings(asked, ["Good"] * 2, COD)] == [True, True]


def held() -> dict[str, Any]:
    asked = orders([100.0, 100.0], ["a", "b"])
    every = Answers.of(np.array([100.0, 100.0]), np.array([True, True]))
    ways = {
        REFUSE: Answers.of(np.array([100.0, 100.0]), np.array([False, False])),
        ACCEPT: every,
        CARD: every,
        SHIPPED: Answers(np.array([100.0, 50.0]), np.array([False, True])),
    }
    return dict(hold_by_truth(asked, ways, np.array([0.0, 0.5]), RULES[COD], folds=50))


def test_the_policy_is_compared_order_by_order_with_those_who_leave_taken_off() -> None:
    by_truth = held()
    profit = {name: of["value"] for name, of in by_truth["profit"].items()}
    # 30 of the safe order; of the other 15 earned, and 30 lost of the whole or 15 of the half
    assert profit == {REFUSE: 0, ACCEPT: 15, CARD: 30 + 15 - 30, SHIPPED: 30, HALF: 30}
    assert by_truth["more_than"][SHIPPED][ACCEPT]["value"] == 15
    assert by_truth["more_than"][SHIPPED][REFUSE] == by_truth["profit"][SHIPPED]
    # drawn twice, the safe order gains nothing on accepting all, the other twice as much
    assert by_truth["more_than"][HALF][ACCEPT]["low"] == 0
    assert by_truth["more_than"][HALF][ACCEPT]["high"] == 30


def test_the_docs_quote_each_method_and_say_whose_card_decided() -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    method = {
        "orders": 2,
        "customers": 2,
        "card": None,
        "rule": "basket above 90",
        "answers": {name: {"yes": 0.5, "part": 0.25} for name in (REFUSE, ACCEPT, RULE, CARD, SHIPPED)},
        "truths": {"refused at the door": held()},
    }
    results.setdefault("apart", {})["profit"] = {
        "machine": {"load_before": 0.5},
        "customers": 900,
        "days": 374,
        "seed": 7,
        "cut": "2011-08-31",
        "refused": {"cod": "cod_refused: too few"},
        "methods": {"cod": method},
    }
    quoted = measured_section(results)
    assert "900 customers, 374 days, seed 7" in quoted and "`basket above 90`" in quoted
    assert "the card set by hand, as none shipped (cod_refused: too few)" in quoted
    assert "The policy: level with refuse all, accept all, card alone. The policy, half" in quoted
    assert "By itself the card earns +0 against accepting all." in quoted
    assert "| policy | 50.0% | 25.0% | 30 [" in quoted
    assert "| policy less accept all | | | 15 [0, 30] |" in quoted
