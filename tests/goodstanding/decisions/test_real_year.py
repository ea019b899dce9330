"""Over a whole year, each customer's reasons are true, nearest changes work, and class moves have a cause."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest

from app.api.published import read_published
from goodstanding.decisions.decide import YES, Question, decide
from goodstanding.decisions.policy import COD, EMI, in_effect


@pytest.fixture(scope="module")
def everybody(any_year):
    published = read_published(any_year.home / "published" / "current.duckdb")
    assert len(published.keys) == any_year.report["customers"] > 1000
    return published


@pytest.mark.parametrize("method", [COD, EMI])
def test_flipping_a_reason_to_its_best_bin_raises_the_score_of_every_customer(everybody, method):
    policy = in_effect(everybody.policies, everybody.as_of)
    fitted = everybody.cards.get(method)
    card = fitted or policy.rules[method].card
    question = Question(method, Decimal("120.00"))
    decided: Counter[str] = Counter()
    for key in everybody.keys:
        standing = everybody.standing(key.decode(), method, 0)
        answer = decide(question, standing, fitted, policy)
        decided[answer["decision"]] += 1
        assert len(answer["reasons"]) <= 4
        values = {**standing.values, "basket": 120.0}
        for reason in answer["points"]:
            best = next(
                characteristic
                for characteristic in card.characteristics
                if characteristic.name == reason["characteristic"]
            ).best
            flipped = _inside(best)
            assert best.holds(flipped)
            assert card.score({**values, reason["characteristic"]: flipped}) > answer["score"]
        change = answer["nearest_change"]
        if change and change["characteristic"] != "basket":
            changed = replace(standing, values={**standing.values, change["characteristic"]: change["value"]})
            assert decide(question, changed, fitted, policy)["decision"] == YES != answer["decision"]
        elif change:
            again = decide(replace(question, basket=Decimal(change["value"])), standing, fitted, policy)
            assert (again["decision"] == YES) != (answer["decision"] == YES)
    assert len(decided) > 1, decided


def test_every_move_of_a_class_since_the_last_month_has_a_cause(everybody, any_year):
    causes: Counter[str] = Counter()
    moved = dict(
        any_year.rows(
            f"""
            select now.customer_id, before.class || ' to ' || now.class
            from marts.customer_classes as now join marts.customer_classes as before using (customer_id)
            where now.as_of = '{everybody.as_of}' and before.as_of = '{everybody.before_day}'
                and now.class != before.class
            """
        )
    )
    policy = in_effect(everybody.policies, everybody.as_of)
    for key in everybody.keys:
        name = key.decode()
        standing = everybody.standing(name, COD, 0)
        move = decide(Question(COD, Decimal("1.00")), standing, None, policy)["class_move"]
        assert (f"{move['from']} to {move['to']}" if move else None) == moved.get(name)
        if move:
            causes[move["cause"]] += 1
    assert sum(causes.values()) == len(moved) > 100
    assert causes["own_behaviour"] > 0 and causes["borders"] > 0


def _inside(best):
    if best.is_missing:
        return None
    if best.up_to is not None:
        return best.up_to
    return 0.0 if best.above is None else best.above + 1
