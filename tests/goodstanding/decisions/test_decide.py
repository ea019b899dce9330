"""Decisions are monotone, the limit is the largest accepted basket, and each reason is true."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from goodstanding.decisions.decide import DEBT_UNKNOWN, NO, PARTIAL, YES, Question, Standing, decide, verdict
from goodstanding.decisions.instalments import CENT
from goodstanding.decisions.policy import COD, EMI, Policy, parse_policies
from goodstanding.decisions.reasons import grounds
from goodstanding.decisions.scorecard import Scorecard
from tests.goodstanding.decisions.conftest import cards, cents, questions, standings

RANK = {NO: 0, PARTIAL: 1, YES: 2}
# Rules by which an answer depends on more than the threshold and fixed caps.
credit = st.fixed_dictionaries(
    {
        "cap_loss": st.none() | st.sampled_from([Decimal("0.50"), Decimal("20.00"), Decimal("300.00")]),
        "recovery_share": st.sampled_from([Decimal(0), Decimal("0.4"), Decimal(1)]),
        "risk_growth": st.sampled_from([Decimal(0), Decimal("0.05"), Decimal(1)]),
        "chance_first": st.none() | st.sampled_from([Decimal("0.05"), Decimal("0.3"), Decimal("0.6")]),
    }
)


def fitted(card: Scorecard, question: Question) -> Scorecard:
    return replace(card, decision=question.method)


@given(questions, standings, cards(), cents, credit)
def test_a_smaller_basket_never_gets_a_worse_answer(policy, question, standing, card, other_basket, drawn):
    rules = replace(policy.rules[question.method], **drawn)
    small, large = sorted([question.basket, other_basket])
    assume(small > CENT)  # one cent cannot be paid in parts
    better = verdict(replace(question, basket=small), standing, card, rules)
    worse = verdict(replace(question, basket=large), standing, card, rules)
    assert RANK[better.decision] >= RANK[worse.decision]


@given(questions, standings, cards(), st.integers(0, 500), st.integers(0, 500), credit)
def test_a_greater_cost_of_failure_never_improves_an_answer(
    policy, question, standing, card, first, second, drawn
):
    cheap, dear = (Decimal(percent) / 100 for percent in sorted([first, second]))
    rules = replace(policy.rules[question.method], **drawn)
    better = verdict(question, standing, card, replace(rules, failure_cost_share=cheap))
    worse = verdict(question, standing, card, replace(rules, failure_cost_share=dear))
    assert RANK[better.decision] >= RANK[worse.decision]
    assert better.limit >= worse.limit


@given(questions, standings, cards(), credit)
def test_the_limit_is_the_largest_basket_with_the_answer_yes(policy, question, standing, card, drawn):
    question = replace(question, months=None)
    rules = replace(policy.rules[question.method], **drawn)
    limit = verdict(question, standing, card, rules).limit
    assert limit == limit.quantize(CENT)
    if limit > 0:
        assert verdict(replace(question, basket=limit), standing, card, rules).decision == YES
    assert verdict(replace(question, basket=limit + CENT), standing, card, rules).decision != YES


@given(questions, standings, cards(), credit)
def test_no_more_is_granted_than_caps_and_part_payment_allow(policy, question, standing, card, drawn):
    rules = replace(policy.rules[question.method], **drawn)
    decided = verdict(question, standing, card, rules)
    assert 0 <= decided.granted <= question.basket
    assert decided.granted <= max(0, rules.cap_day - standing.granted_day)
    if standing.situation is None:
        cap = rules.cap_customer[standing.customer_class]
        owed = (standing.outstanding or 0) if question.method == EMI else 0
        assert decided.granted <= max(0, cap - owed - standing.granted_customer)
        if rules.cap_loss is not None and decided.granted:
            is_open = owed + standing.granted_customer + decided.granted
            assert float(is_open * rules.loss_share) * decided.probability <= float(rules.cap_loss) + 1e-9
    if decided.decision == PARTIAL:
        assert 0 < decided.granted < question.basket
        if (
            decided.probability is not None
            and decided.probability > rules.threshold()
            and decided.granted > CENT
        ):
            assert question.basket - decided.granted >= rules.part_payment_share * question.basket
        assert decided.granted >= rules.smallest_partial_share * question.basket
    assert (decided.granted == question.basket) == (decided.decision == YES)
    assert (decided.granted == 0) == (decided.decision == NO)


@given(questions, standings, cards())
def test_each_reason_of_the_score_is_true_and_the_costliest_come_first(policy, question, standing, card):
    card = fitted(card, question)
    answer = decide(question, standing, card, policy)
    assert len(answer["reasons"]) <= 4
    assert len({reason["code"] for reason in answer["reasons"]}) == len(answer["reasons"])
    known = {**standing.values, "basket": float(question.basket)}
    lost = [row["best_points"] - row["points"] for row in answer["points"]]
    assert lost == sorted(lost, reverse=True)
    for row in answer["points"]:
        best = row["best"]
        inside = None if best["is_missing"] else best["up_to"]
        if inside is None and not best["is_missing"]:
            inside = 0.0 if best["above"] is None else best["above"] + 1
        assert card.score({**known, row["characteristic"]: inside}) > answer["score"]
    if standing.situation:
        assert answer["score"] is None and answer["points"] == []


@given(questions, standings, cards())
def test_the_nearest_change_is_one_that_the_customer_can_make(policy, question, standing, card):
    card = fitted(card, question)
    answer = decide(question, standing, card, policy)
    change = answer["nearest_change"]
    if answer["decision"] == YES:
        assert change is None
    elif change is None:
        assert answer["decision"] == NO and Decimal(answer["limit"]) == 0
    elif change["characteristic"] == "pay_now":
        assert answer["decision"] == PARTIAL and change["value"] == answer["pay_now"]
        assert Decimal(change["value"]) < question.basket
    else:
        key = "basket" if change["characteristic"] == "basket" else "months"
        value = Decimal(change["value"]) if key == "basket" else change["value"]
        assert decide(replace(question, **{key: value}), standing, card, policy)["decision"] == YES


@given(questions, standings, cards())
def test_an_answer_is_plain_json_and_the_same_each_time(policy, question, standing, card):
    card = fitted(card, question)
    answer = decide(question, standing, card, policy)
    assert json.loads(json.dumps(answer)) == answer == decide(question, standing, card, policy)


@given(questions, standings, cards())
def test_instalments_pay_what_is_granted(policy, question, standing, card):
    answer = decide(question, standing, fitted(card, question), policy)
    granted = Decimal(answer["granted"])
    assert Decimal(answer["pay_now"]) + granted == question.basket
    plan = answer["plan"]
    assert (plan is not None) == (question.method == EMI and granted > 0)
    if plan:
        assert plan["months"] == (question.months or 3)
        assert sum(Decimal(payment["principal"]) for payment in plan["schedule"]) == granted
        assert sum(Decimal(payment["instalment"]) for payment in plan["schedule"]) == Decimal(plan["total"])


def standing_of(**changes) -> Standing:
    known = Standing(None, "2011-12-09", 0, "Good", "free delivery", {"credit_score": 9, "return_rate": 0.1})
    return replace(known, **changes)


@pytest.mark.parametrize(
    ("standing", "decision", "limit", "text"),
    [
        (standing_of(), YES, "1000.00", "within the 33.3%"),
        (standing_of(situation="unknown_customer"), PARTIAL, "50.00", "Nothing is known of this customer"),
        (standing_of(situation="first_time_buyer"), PARTIAL, "50.00", "no order yet that still counts"),
        (standing_of(situation="no_publication", as_of=None), PARTIAL, "50.00", "Nothing has been published"),
        (standing_of(age_days=7), YES, "1000.00", "within the 33.3%"),
        (standing_of(age_days=8), PARTIAL, "50.00", "The data are too old"),
        (standing_of(situation="unknown_customer", age_days=8), PARTIAL, "50.00", "The data are too old"),
        (standing_of(granted_customer=Decimal("950.00")), PARTIAL, "50.00", "950.00 is granted already"),
        (standing_of(granted_day=Decimal("50000.00")), NO, "0.00", "50000.00 is granted already"),
    ],
)
def test_each_situation_has_its_own_answer(policy, standing, decision, limit, text):
    answer = decide(Question(COD, Decimal("120.00")), standing, None, policy)
    assert (answer["decision"], answer["limit"]) == (decision, limit)
    assert text in " ".join([answer["summary"], *(reason["text"] for reason in answer["reasons"])])


def test_a_debt_that_is_not_known_is_said_to_be_so_and_taken_off_nothing(policy):
    asked = Question(EMI, Decimal("100.00"), 3)
    unknown, nothing = (
        decide(asked, standing_of(outstanding=owed), None, policy) for owed in (None, Decimal(0))
    )
    assert unknown["limit"] == nothing["limit"]
    assert DEBT_UNKNOWN in unknown["notes"] and DEBT_UNKNOWN not in nothing["notes"]
    door = decide(Question(COD, Decimal("100.00")), standing_of(outstanding=None), None, policy)
    assert DEBT_UNKNOWN not in door["notes"]


def test_outstanding_debt_lowers_the_limit_for_instalments_but_not_for_delivery(policy):
    owing = standing_of(outstanding=Decimal("1300.00"), granted_customer=Decimal("150.00"))
    answer = decide(Question(EMI, Decimal("120.00"), 6), owing, None, policy)
    assert (answer["decision"], answer["limit"], answer["granted"]) == (PARTIAL, "50.00", "50.00")
    assert (
        "1500.00 open, of which 1300.00 is owed and 150.00 is granted already."
        in answer["reasons"][0]["text"]
    )
    at_the_door = decide(Question(COD, Decimal("120.00")), owing, None, policy)
    assert (at_the_door["decision"], at_the_door["limit"]) == (YES, "850.00")


def test_a_plan_says_when_its_instalments_are_due_and_what_the_credit_costs(policy):
    asked = Question(EMI, Decimal("100.00"), 12, day=date(2026, 1, 31))
    plan = decide(asked, standing_of(), None, policy)["plan"]
    assert [payment["due"] for payment in plan["schedule"][:3]] == ["2026-02-28", "2026-03-31", "2026-04-30"]
    assert (plan["total"], plan["cost"]) == ("106.63", "6.63")
    # 12 % a year is 1 % a month, 12.68 % where it is compounded; instalments are in whole cents
    assert plan["apr_us"] == "0.1201" and plan["apr_eu"] == "0.1270"
    free = decide(replace(asked, months=3), standing_of(), None, policy)["plan"]
    assert (free["cost"], free["apr_eu"], free["apr_us"]) == ("0.00", "0.0000", "0.0000")


def test_instalments_are_due_on_business_days_where_the_policy_names_a_country(policy):
    emi = replace(policy.rules[EMI], business_days="US")
    american = replace(policy, rules={**policy.rules, EMI: emi})
    asked = Question(EMI, Decimal("100.00"), 3, day=date(2026, 10, 25))
    plan = decide(asked, standing_of(), None, american)["plan"]
    # Christmas is a Friday, and 25 January a Monday
    assert [payment["due"] for payment in plan["schedule"]] == ["2026-11-25", "2026-12-28", "2027-01-25"]


def test_a_few_cents_are_paid_by_instalments_too(policy):
    asked = Question(EMI, Decimal("0.05"), 12, day=date(2026, 1, 31))
    assert decide(asked, standing_of(), None, policy)["plan"]["total"] == "0.05"


def test_an_answer_without_payments_says_which_data_it_uses(policy):
    known = decide(Question(EMI, Decimal("120.00"), 6), standing_of(), None, policy)
    assert "rests on the RFM credit score and return behaviour" in known["notes"][0]
    assert known["model_id"] == "hand-set-emi-1" and known["plan"]["months"] == 6
    by_payments = with_characteristics(policy, "worst_days_late", "basket", "return_rate", "frequency")
    note = decide(Question(EMI, Decimal("120.00"), 6), standing_of(), None, by_payments)["notes"][0]
    assert "rests on return behaviour, payment behaviour, the basket and earlier orders: the" in note
    unknown = decide(Question(EMI, Decimal("120.00"), 6), standing_of(values={}), None, policy)
    assert unknown["notes"][1] == "None of what the points rest on is known of this customer."
    # the policy's safe answer uses no card
    assert (
        decide(Question(EMI, Decimal("120.00"), 6), Standing("unknown_customer"), None, policy)["notes"] == []
    )
    fitted_card = replace(policy.rules[EMI].card, model_id="fitted")
    assert decide(Question(EMI, Decimal("120.00"), 6), standing_of(), fitted_card, policy)["notes"] == []


def with_characteristics(policy: Policy, *names: str) -> Policy:
    """The policy with its own EMI card on these characteristics."""
    rules = policy.rules[EMI]
    (characteristic, *_) = rules.card.characteristics
    card = replace(rules.card, characteristics=tuple(replace(characteristic, name=name) for name in names))
    return replace(policy, rules={**policy.rules, EMI: replace(rules, card=card)})


@pytest.mark.parametrize(
    ("names", "ground"),
    [
        (("credit_score", "m_score"), "the RFM credit score"),
        (("cancelled_orders_6m", "days_since_cancellation", "refusal_rate"), "return behaviour"),
        (
            ("orders_on_account_6m", "on_time_share", "overdue_instalments", "utilisation"),
            "payment behaviour",
        ),
        (("orders_6m", "mean_gap_days", "last_basket"), "earlier orders"),
    ],
)
def test_every_characteristic_belongs_to_one_ground(policy, names, ground):
    assert {grounds(with_characteristics(policy, name).rules[EMI].card) for name in names} == {ground}


def test_an_answer_from_simulated_orders_says_so(policy):
    answer = decide(Question(COD, Decimal("120.00")), standing_of(simulated=True), None, policy)
    assert answer["simulated"] and any("SIMULATED" in note for note in answer["notes"])


def with_value(policy: Policy, rule: str, value: str, decision: str = COD) -> Policy:
    rows = [
        {
            **row,
            "note": "",
            **({"value": value} if (row["rule"], row["decision"]) == (rule, decision) else {}),
        }
        for row in policy.rows
    ]
    return parse_policies(("here", row) for row in rows)[0]


def test_the_band_asks_for_part_payment_and_then_for_a_person(policy):
    """One customer at increasing costs of failure: yes, part payment, a person decides, no."""
    standing = standing_of(values={"credit_score": 3, "return_rate": 0.3}, customer_class="Worst")
    answers = [
        decide(
            Question(COD, Decimal("120.00")), standing, None, with_value(policy, "failure_cost_share", cost)
        )
        for cost in ("0.6", "0.95", "1.5", "2.5")
    ]
    assert [(each["decision"], each["next_step"]) for each in answers] == [
        (YES, None),
        (PARTIAL, "ask for part payment"),
        (NO, "send to a person"),
        (NO, None),
    ]
    assert answers[1]["pay_now"] == "36.00" and answers[1]["granted"] == "84.00"


def test_a_part_below_the_stated_share_of_the_basket_is_a_no(policy):
    few = standing_of(granted_customer=Decimal("970.00"))
    part = decide(Question(COD, Decimal("120.00")), few, None, policy)
    assert (part["decision"], part["granted"]) == (PARTIAL, "30.00")
    assert part["nearest_change"]["sentence"] == (
        "With 90.00 paid at once, the other 30.00 may be paid on delivery."
    )
    none = decide(Question(COD, Decimal("120.01")), few, None, policy)
    assert (none["decision"], none["granted"], none["limit"]) == (NO, "0.00", "30.00")
    assert none["nearest_change"]["sentence"] == "A basket of 30.00 or less would be answered yes."
    assert "which is less than 25% of the basket" in none["summary"]


def test_a_policy_that_states_no_smallest_part_has_none(policy):
    rows = [{**row, "note": ""} for row in policy.rows if row["rule"] != "smallest_partial_share"]
    (earlier,) = parse_policies(("here", row) for row in rows)
    few = standing_of(granted_customer=Decimal("999.00"))
    assert decide(Question(COD, Decimal("120.00")), few, None, earlier)["granted"] == "1.00"


def with_rules(policy: Policy, decision: str = EMI, **changes) -> Policy:
    return replace(policy, rules={**policy.rules, decision: replace(policy.rules[decision], **changes)})


def test_instalments_are_off_where_no_payments_are_known_unless_the_policy_turns_them_on(policy):
    asked, blind = Question(EMI, Decimal("120.00"), 3), standing_of(knows_payments=False)
    off = decide(asked, blind, None, with_rules(policy, without_payments=False))
    assert (off["decision"], off["limit"], off["granted"], off["score"]) == (NO, "0.00", "0.00", None)
    assert off["summary"].startswith("Instalments are off: no payments are known")
    assert [reason["code"] for reason in off["reasons"]] == ["no_payments"]
    assert off["nearest_change"] is None and off["plans"] == []
    on = decide(asked, blind, None, with_rules(policy, without_payments=True))
    assert on["decision"] == YES
    assert on["summary"].startswith("This rests on assumed odds, as no payments are known. The chance that ")
    known = decide(asked, standing_of(), None, with_rules(policy, without_payments=False))
    assert known["decision"] == YES and known["summary"].startswith("The chance that ")
    # on delivery nothing is owed, so nothing of payments need be known
    assert decide(Question(COD, Decimal("120.00")), blind, None, policy)["decision"] == YES
    # whatever is switched off says so
    switched = decide(asked, replace(blind, situation="switched_off"), None, policy)
    assert "switched off" in switched["summary"] and switched["decision"] == NO


def test_what_comes_back_of_late_debts_raises_the_chance_up_to_which_is_granted(policy):
    asked, weak = Question(EMI, Decimal("120.00"), 3), standing_of(values={"credit_score": 3})
    lost, back = (
        decide(asked, weak, None, with_rules(policy, recovery_share=Decimal(share))) for share in ("0", "0.9")
    )
    assert lost["threshold"] < back["threshold"] == pytest.approx(0.3 / (0.3 + 0.1), abs=1e-4)
    assert lost["decision"] != YES == back["decision"]
    assert "(90% of what is late comes back)" in back["summary"] and "comes back" not in lost["summary"]


def test_the_longer_the_plan_the_greater_the_chance_and_the_smaller_the_limit(policy):
    growing = with_rules(policy, risk_growth=Decimal("0.5"), cap_loss=Decimal("50.00"))
    by_months = {
        months: decide(Question(EMI, Decimal("120.00"), months), standing_of(), None, growing)
        for months in (3, 6, 12)
    }
    chances = [answer["probability"] for answer in by_months.values()]
    limits = [Decimal(answer["limit"]) for answer in by_months.values()]
    assert chances == sorted(chances) and len(set(chances)) == 3
    assert limits == sorted(limits, reverse=True) and len(set(limits)) == 3
    assert "over 12 months" in by_months[12]["summary"] and " months" not in by_months[3]["summary"]
    # a question that names several has only those by which all of the sum may be paid
    basket = limits[1]
    both = decide(Question(EMI, basket, 3, (6, 12)), standing_of(), None, growing)
    assert [plan["months"] for plan in both["plans"]] == [3, 6]
    assert "Over 12 months less may be granted; ask for that apart." in both["notes"]


def test_where_only_the_months_are_in_the_way_a_shorter_plan_is_the_nearest_change(policy):
    growing = with_rules(policy, risk_growth=Decimal(1), part_payment_share=Decimal(0))
    answer = decide(Question(EMI, Decimal("120.00"), 12), standing_of(), None, growing)
    assert (answer["decision"], answer["limit"]) == (NO, "0.00")
    assert answer["nearest_change"]["sentence"] == "In 6 months it would be a yes."
    assert answer["nearest_change"]["value"] == 6


def test_what_may_be_open_follows_the_loss_that_is_to_be_expected(policy):
    budgeted = with_rules(policy, cap_loss=Decimal("20.00"), recovery_share=Decimal("0.5"))
    good, weak = (
        decide(Question(EMI, Decimal("9000.00"), 3), standing_of(values=known), None, budgeted)
        for known in ({"credit_score": 9, "return_rate": 0.05}, {"credit_score": 5, "return_rate": 0.15})
    )
    for answer in (good, weak):
        assert float(answer["limit"]) == pytest.approx(20 / (answer["probability"] * 0.5), rel=0.01)
        assert "cap_loss" in [reason["code"] for reason in answer["reasons"]]
    assert good["probability"] < weak["probability"]
    owing = standing_of(outstanding=Decimal("100.00"), values={"credit_score": 9, "return_rate": 0.05})
    left = decide(Question(EMI, Decimal("9000.00"), 3), owing, None, budgeted)
    assert Decimal(left["limit"]) == Decimal(good["limit"]) - 100


@pytest.mark.parametrize("situation", ["first_time_buyer", "unknown_customer"])
def test_first_time_buyers_have_a_small_limit_and_a_price(policy, situation):
    new = standing_of(situation=situation, customer_class=None, values={}, is_stranger=True)
    limits = {**policy.rules[EMI].limits, "first_time_buyer": Decimal("80.00")}

    def asked(chance: str | None, **changes):
        first = None if chance is None else Decimal(chance)
        priced = with_rules(policy, limits=limits, chance_first=first, **changes)
        return decide(Question(EMI, Decimal("60.00"), 3), new, None, priced)

    fair, dear, unpriced = asked("0.1"), asked("0.9"), asked(None)
    assert (fair["decision"], fair["limit"], fair["probability"]) == (YES, "80.00", 0.1)
    assert fair["score"] is None and "of all such orders the chance that" in fair["summary"]
    assert (dear["decision"], dear["limit"]) == (NO, "0.00")
    assert (unpriced["decision"], unpriced["probability"]) == (YES, None)
    assert Decimal(asked("0.2", cap_loss=Decimal("5.00"), recovery_share=Decimal(0))["limit"]) == 25
    measured = replace(policy.rules[EMI].card, chance_first=0.2)
    priced = with_rules(policy, limits=limits, chance_first=Decimal("0.1"))
    assert decide(Question(EMI, Decimal("60.00"), 3), new, measured, priced)["probability"] == 0.2
