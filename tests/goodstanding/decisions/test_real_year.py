"""Over a whole year, each customer's reasons are true, nearest changes work, and class moves have a cause."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import duckdb
import pytest

from app.api.published import read_published
from goodstanding.decisions.decide import PARTIAL, YES, Question, decide
from goodstanding.decisions.policy import COD, EMI, Policy, in_effect
from goodstanding.decisions.reasons import losses
from goodstanding.decisions.scorecard import Bin


@pytest.fixture(scope="module")
def everybody(any_year):
    published = read_published(any_year.home / "published" / "current.duckdb")
    assert len(published.keys) == any_year.report["customers"] > 1000
    return published


def with_instalments(policy: Policy) -> Policy:
    """The policy with instalments turned on by name, as the year tells of no payments."""
    emi = replace(policy.rules[EMI], without_payments=True)
    return replace(policy, rules={**policy.rules, EMI: emi})


@pytest.mark.parametrize("method", [COD, EMI])
def test_flipping_a_reason_to_its_best_bin_raises_the_score_of_every_customer(everybody, method):
    policy = with_instalments(in_effect(everybody.policies, everybody.as_of))
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
            parts = [reason, *([reason["together_with"]] if "together_with" in reason else [])]
            flipped = {part["characteristic"]: _inside(Bin(0, **part["best"])) for part in parts}
            gained = card.score({**values, **flipped}) - answer["score"]
            lost = reason["best_points"] - reason["points"]
            assert gained == lost > 0 if card.is_open else lost >= gained > 0
        change = answer["nearest_change"]
        if change and change["characteristic"] == "basket":
            again = decide(replace(question, basket=Decimal(change["value"])), standing, fitted, policy)
            assert again["decision"] == YES != answer["decision"]
        elif change:
            assert change["characteristic"] == "pay_now" and answer["decision"] == PARTIAL
    assert len(decided) > 1, decided


# The facts of each customer, counted from lines and invoices, without the marts of behaviour.
FACTS = """
with
day as (select as_of from marts.publication),
lines as (select * from marts.order_lines where outcome != 'duplicate' and customer_id is not null),
orders as (
    select
        customer_id, invoice_no, event_day, count(*) as lines, sum(amount) as amount,
        event_day > (select as_of from day) - interval 6 month as is_late,
        bool_or(is_product and cancelled_quantity > 0 and unit_price > 0) as came_back
    from lines where invoice_kind = 'sale' group by all
),
invoices as (select * from marts.invoices where kind = 'sale'),
cancellations as (
    select customer_id, count(distinct (invoice_no, event_day)) as cancellations, count(*) as cancelled_lines,
        max(event_day) as last_day
    from lines where invoice_kind = 'cancellation' and is_product group by all
),
counted as (
    select
        customer_id, count(*) as orders, count(*) filter (is_late) as orders_6m,
        count(*) filter (came_back) as returned_orders,
        count(*) filter (came_back and is_late) as returned_orders_6m,
        sum(lines) / count(*) as mean_lines, sum(amount) / count(*) as mean_basket,
        max(amount) as largest_basket, arg_max(amount, (event_day, invoice_no)) as last_basket,
        (max(event_day) - min(event_day)) / nullif(count(*) - 1, 0) as mean_gap_days
    from orders group by all
),
kept as (
    select
        customer_id, count(*) filter (is_kept) as frequency,
        (select as_of from day) - max(event_day) filter (is_kept) as recency_days,
        (select as_of from day) - min(event_day) filter (is_kept) as tenure_days,
        coalesce(sum(net_amount) filter (is_kept), 0) as monetary,
        coalesce(sum(net_amount) filter (
            is_kept and event_day > (select as_of from day) - interval 6 month
        ), 0) as monetary_6m,
        count(*) filter (not is_kept and net_amount < gross_amount) as cancelled_orders,
        count(*) filter (
            not is_kept and net_amount < gross_amount
            and event_day > (select as_of from day) - interval 6 month
        ) as cancelled_orders_6m
    from invoices where customer_id is not null group by all
)
select
    counted.*, kept.* exclude (customer_id),
    coalesce(cancellations.cancellations, 0) as cancellations,
    coalesce(cancellations.cancelled_lines, 0) as cancelled_lines,
    (select as_of from day) - cancellations.last_day as days_since_cancellation,
    scores.r_score, scores.f_score, scores.m_score, scores.credit_score
from counted join kept using (customer_id) left join cancellations using (customer_id)
left join (
    select * from marts.customer_classes where as_of = (select as_of from day)
) as scores using (customer_id)
"""
# Numbers in a sentence that are none of its facts: the day of the data, and the ends of scales.
NOT_FACTS = re.compile(r"As of [0-9-]+,|of 12 points|group|of 4, where 4 is the best|6 months")


@pytest.fixture(scope="module")
def counted(any_year) -> dict[str, dict[str, float | None]]:
    with duckdb.connect(str(any_year.home / "published" / "current.duckdb"), read_only=True) as connection:
        rows = connection.execute(FACTS)
        names = [column[0] for column in rows.description]
        return {row[0]: dict(zip(names, row, strict=True)) for row in rows.fetchall()}


@pytest.mark.parametrize("basket", ["20.00", "120.00", "900.00"])
@pytest.mark.parametrize("method", [COD, EMI])
@pytest.mark.parametrize("is_fitted", [True, False])
def test_each_fact_told_to_each_customer_is_the_one_counted_from_the_lines(
    everybody, counted, method, basket, is_fitted
):
    policy = with_instalments(in_effect(everybody.policies, everybody.as_of))
    card = everybody.cards.get(method) if is_fitted else None
    families: Counter[str] = Counter()
    for key in everybody.keys:
        customer = key.decode()
        answer = decide(
            Question(method, Decimal(basket)), everybody.standing(customer, method, 0), card, policy
        )
        codes = [reason["code"] for reason in answer["reasons"]]
        assert len(set(codes)) == len(codes)
        lost = [reason["points"] for reason in answer["reasons"] if reason["points"] is not None]
        assert lost == sorted(lost, reverse=True) and all(points > 0 for points in lost)
        for reason in answer["reasons"]:
            if reason["points"] is None:
                continue
            families[reason["code"]] += 1
            expected = {**counted[customer], "basket": basket}
            for name, value in reason["fact"].items():
                assert value is not None and float(value) == pytest.approx(
                    float(expected[name]), abs=0.006
                ), (
                    customer,
                    reason,
                )
            if reason["code"] == "returns":
                assert any(reason["fact"][name] for name in reason["fact"] if name != "orders"), reason
            stated = [float(value) for value in reason["fact"].values()]
            for sentence in (reason["text"], reason["formal"]):
                for number in re.findall(r"\d[\d,]*(?:\.\d+)?", NOT_FACTS.sub("", sentence)):
                    told = float(number.replace(",", ""))
                    assert any(math.isclose(told, value, rel_tol=0.001) for value in stated), reason
    assert families


def test_who_never_gave_anything_back_loses_no_point_for_it(everybody, counted):
    """Neither by what never happened, nor by how long ago it was, nor by how many orders there were."""
    card = everybody.cards.get(COD) or in_effect(everybody.policies, everybody.as_of).rules[COD].card
    never = 0
    for key in everybody.keys:
        standing = everybody.standing(key.decode(), COD, 0)
        if standing.situation:
            continue
        facts = counted[key.decode()]
        if facts["cancellations"] or facts["returned_orders"]:
            continue
        never += 1
        for loss in losses(card, {**standing.values, "basket": 20.0}):
            assert "returns" not in loss.families, loss
    assert never > 100


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
    policy = with_instalments(in_effect(everybody.policies, everybody.as_of))
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
