"""One decision: from a question, a customer's standing, a scorecard and a policy to an answer.

Pure: no file, no clock. What is granted today already is part of the standing, so the answer can be
computed again from its receipt.

- **yes**: the chance of failure p is within the threshold, and the basket within the room that caps leave.
- **partial**: p is within the threshold, and the basket above the room; or p is in the band above, where
  a share is to be paid beforehand. What is left is granted, within the room.
- **no**: else; a little above the band a person may still grant it.

The points of a card never rise with the basket (`policy.monotone_in_basket`) and caps do not depend on it,
so there is a greatest basket that is answered yes, the limit, and every smaller one is. An answer never gets
better by a larger basket, but for a single cent that cannot be split, or by a greater cost of failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import ROUND_DOWN, Decimal
from typing import Any

from goodstanding.decisions.instalments import CENT, schedule
from goodstanding.decisions.policy import (
    BASKET,
    COD,
    EMI,
    FIRST_TIME_BUYER,
    NO_PUBLICATION,
    STALE_DATA,
    UNKNOWN_CUSTOMER,
    Policy,
    Rules,
)
from goodstanding.decisions.reasons import bin_text, changes, class_move, grounds, label, losses
from goodstanding.decisions.scorecard import Scorecard, Value

YES, PARTIAL, NO = "yes", "partial", "no"
PART_PAYMENT, PERSON = "ask for part payment", "send to a person"
MOST_REASONS = 4
UNLIMITED = Decimal("1e15")
HAND_SET = {
    COD: "No scorecard has been fitted to deliveries: the points are set by hand, and their odds assumed.",
    EMI: "No scorecard has been fitted to payments, so this rests on {grounds}: the points are set by hand, "
    "and their odds assumed.",
}
SITUATION_REASONS = {
    UNKNOWN_CUSTOMER: "Nothing is known of this customer",
    FIRST_TIME_BUYER: "The customer has no order yet that still counts",
    STALE_DATA: "The data are too old to rest on",
    NO_PUBLICATION: "Nothing has been published yet",
}


@dataclass(frozen=True)
class Question:
    """Whether a customer may pay a basket by a method.

    `basket` is in whole cents, above 0; `months` is for instalments only: None is the shortest plan.
    """

    method: str
    basket: Decimal
    months: int | None = None


@dataclass(frozen=True)
class Standing:
    """What is known of a customer as of a day, and what was granted today.

    `values` are the characteristics by name. `situation` is one of `policy.SITUATIONS` where there is
    nothing to score, else None. `measures` (recency, frequency, monetary), `before` (the same at the end of
    the last month, with class and as_of) and `borders` (of that day) tell why a class moved.
    `outstanding` is what the customer owes by as_of; `granted_customer` and `granted_day` are the sums
    granted today by other answers.
    """

    situation: str | None
    as_of: str | None = None
    age_days: int | None = None
    customer_class: str | None = None
    benefits: str | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    measures: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] | None = None
    borders: Mapping[str, Sequence[float]] | None = None
    outstanding: Decimal = Decimal(0)
    granted_customer: Decimal = Decimal(0)
    granted_day: Decimal = Decimal(0)
    simulated: bool = False
    note: str | None = None


@dataclass(frozen=True)
class Verdict:
    """The bare answer. `score` and `probability` are None where nothing was scored; money in whole cents.

    `granted` is what may be paid by the method: the basket, a part of it, or nothing.
    """

    decision: str
    limit: Decimal
    granted: Decimal
    score: int | None
    probability: float | None
    next_step: str | None


def decide(
    question: Question, standing: Standing, scorecard: Scorecard | None, policy: Policy
) -> dict[str, Any]:
    """The answer with its reasons.

    Args:
        question: what is asked.
        standing: of the customer; with situation set, no score is computed.
        scorecard: the fitted one, monotone in the basket, or None: then the policy's own is used, and the
            answer says so.
        policy: the one in effect.

    Returns:
        Plain values, money as text: decision, limit, score, probability, threshold, summary, reasons, points,
        next_step, pay_now, granted, plan, nearest_change, class, class_move, benefits, situation, notes,
        policy_version, model_id, as_of, age_days, simulated.
    """
    rules = policy.rules[question.method]
    card = scorecard or rules.card
    found = verdict(question, standing, card, rules)
    lost = losses(card, _values(question, standing)) if found.score is not None else []
    limiting = _limiting(question, standing, rules)
    move = class_move(
        {"class": standing.customer_class, **standing.measures}, standing.before, standing.borders
    )
    return {
        "decision": found.decision,
        "limit": money(found.limit),
        "score": found.score,
        "probability": None if found.probability is None else round(found.probability, 4),
        "threshold": round(rules.threshold(), 4),
        "summary": _summary(question, standing, card, rules, found),
        "reasons": [*limiting, *(loss.sentence() for loss in lost)][:MOST_REASONS],
        "points": [loss.to_json() for loss in lost],
        "next_step": found.next_step,
        "pay_now": money(question.basket - found.granted),
        "granted": money(found.granted),
        "plan": _plan(question, rules, found),
        "nearest_change": nearest_change(question, standing, card, rules, found),
        "class": standing.customer_class,
        "class_move": move,
        "benefits": standing.benefits,
        "situation": _situation(standing, rules),
        "notes": _notes(question, standing, card if found.score is not None else None, scorecard),
        "policy_version": policy.version,
        "model_id": card.model_id if found.score is not None else None,
        "as_of": standing.as_of,
        "age_days": standing.age_days,
        "simulated": standing.simulated,
    }


def verdict(question: Question, standing: Standing, card: Scorecard, rules: Rules) -> Verdict:
    """Yes, partial or no, and the limit; see the module."""
    room = max(Decimal(0), min(left for left, _ in _caps(standing, rules)))
    score = probability = None
    limit = room
    if standing.situation is None:
        values = _values(question, standing)
        score = card.score(values)
        probability = card.probability(score)
        limit = min(room, _limit_by_score(card, values, rules.threshold()))
    if question.method == EMI and rules.plan(question.months) is None:
        return Verdict(NO, limit, Decimal(0), score, probability, None)
    if question.basket <= limit:
        return Verdict(YES, limit, question.basket, score, probability, None)
    if probability is None or probability <= rules.threshold():
        granted = room
    elif probability <= rules.threshold(rules.part_payment_share):
        unpaid = (question.basket * (1 - rules.part_payment_share)).quantize(CENT, ROUND_DOWN)
        # at least a cent where there are two, so that no larger basket fares better
        granted = min(room, max(unpaid, CENT)) if question.basket > CENT else Decimal(0)
    else:
        may_be = probability <= rules.threshold(rules.person_share) and room > 0
        return Verdict(NO, limit, Decimal(0), score, probability, PERSON if may_be else None)
    if granted > 0:
        return Verdict(PARTIAL, limit, granted, score, probability, PART_PAYMENT)
    return Verdict(NO, limit, Decimal(0), score, probability, None)


def nearest_change(
    question: Question, standing: Standing, card: Scorecard, rules: Rules, found: Verdict
) -> dict[str, Any] | None:
    """The smallest change of one thing by which a yes would be none, or another answer a yes.

    A smaller basket, where one would do; else the characteristic with the fewest bins to go, by the fewest
    points. Each is tried by deciding again. None where no single change flips the answer.
    """
    if question.method == EMI and rules.plan(question.months) is None:
        nearest = min(rules.plans, key=lambda plan: abs(plan.months - (question.months or 0)))
        if verdict(replace(question, months=nearest.months), standing, card, rules).decision == YES:
            sentence = f"In {nearest.months} months it would be a yes."
            return {"characteristic": "months", "value": nearest.months, "sentence": sentence}
    elif found.decision == YES:
        more = replace(question, basket=found.limit + CENT)
        if verdict(more, standing, card, rules).decision != YES:
            sentence = f"A basket above {money(found.limit)} would not be answered yes."
            return {"characteristic": BASKET, "value": money(more.basket), "sentence": sentence}
    elif found.limit > 0:
        less = replace(question, basket=found.limit)
        if verdict(less, standing, card, rules).decision == YES:
            sentence = f"A basket of {money(found.limit)} or less would be answered yes."
            return {"characteristic": BASKET, "value": money(less.basket), "sentence": sentence}
    elif found.score is not None:
        tries = [
            (away, one.points - each.points(standing.values.get(each.name)), order, each, value, one)
            for order, each in enumerate(card.characteristics)
            if each.name != BASKET
            for away, value, one in changes(each, standing.values.get(each.name))
        ]
        for _, _, _, each, value, one in sorted(tries, key=lambda found: found[:3]):
            changed = replace(standing, values={**standing.values, each.name: value})
            if verdict(question, changed, card, rules).decision == YES:
                sentence = f"With {label(each.name).removeprefix('the ')} {bin_text(one)} it would be a yes."
                return {"characteristic": each.name, "value": value, "sentence": sentence}
    return None


def money(amount: Decimal) -> str:
    """An amount as the answers write it: two decimals, no separators."""
    return f"{amount:.2f}"


def _values(question: Question, standing: Standing) -> dict[str, Value]:
    return {**standing.values, BASKET: float(question.basket)}


def _caps(standing: Standing, rules: Rules) -> list[tuple[Decimal, str]]:
    """What each cap leaves, below 0 where more was granted, and the sentence that says so."""
    caps = []
    for situation in dict.fromkeys(filter(None, (standing.situation, _stale(standing, rules)))):
        limit = rules.limits[situation]
        text = f"{SITUATION_REASONS[situation]}: the policy then grants {money(limit)} at most"
        caps.append((limit - standing.granted_customer, f"{text}."))
    if standing.situation is None:
        class_ = standing.customer_class or "Worst"
        cap = rules.cap_customer[class_]
        # a parcel on delivery is paid at the door: what is owed are instalments and accounts
        owed = standing.outstanding if rules.decision == EMI else Decimal(0)
        who = f"of class {class_}" if standing.customer_class else "without a class"
        text = f"A customer {who} may have {money(cap)} open"
        caps.append((cap - owed - standing.granted_customer, text + _used(standing.granted_customer, owed)))
    text = f"All customers together may have {money(rules.cap_day)} a day"
    caps.append((rules.cap_day - standing.granted_day, text + _used(standing.granted_day)))
    return caps


def _used(granted: Decimal, owed: Decimal = Decimal(0)) -> str:
    parts = [f"{money(owed)} is owed"] if owed else []
    parts += [f"{money(granted)} is granted already"] if granted else []
    return f", of which {' and '.join(parts)}." if parts else "."


def _stale(standing: Standing, rules: Rules) -> str | None:
    is_stale = standing.age_days is not None and standing.age_days > rules.stale_after_days
    return STALE_DATA if is_stale else None


def _situation(standing: Standing, rules: Rules) -> str | None:
    return standing.situation or _stale(standing, rules)


def _limit_by_score(card: Scorecard, values: Mapping[str, Value], threshold: float) -> Decimal:
    """The largest basket whose chance of failure is within the threshold; without end as 1e15.

    The points never rise with the basket, so the bins are gone through until one fails.
    """
    others = card.base_points + sum(points for name, points in card.points(values).items() if name != BASKET)
    basket = next((each for each in card.characteristics if each.name == BASKET), None)
    if basket is None:
        return UNLIMITED if card.probability(card.clamped(others)) <= threshold else Decimal(0)
    limit = Decimal(0)
    for one in (each for each in basket.bins if not each.is_missing):
        if card.probability(card.clamped(others + one.points)) > threshold:
            break
        limit = UNLIMITED if one.up_to is None else Decimal(repr(one.up_to)).quantize(CENT, ROUND_DOWN)
    return limit


def _limiting(question: Question, standing: Standing, rules: Rules) -> list[str]:
    """What keeps the basket from being granted besides the score, the tightest first."""
    reasons = []
    if question.method == EMI and rules.plan(question.months) is None:
        offered = ", ".join(str(plan.months) for plan in rules.plans)
        reasons.append(f"There is no plan of {question.months} months; there are plans of {offered}.")
    caps = sorted(_caps(standing, rules), key=lambda cap: cap[0])
    return reasons + [text for left, text in caps if left < question.basket]


def _summary(question: Question, standing: Standing, card: Scorecard, rules: Rules, found: Verdict) -> str:
    """The one sentence that says what decided."""
    if question.method == EMI and rules.plan(question.months) is None:
        return "There is no such plan of instalments."
    if found.probability is None:
        situation = SITUATION_REASONS[standing.situation or NO_PUBLICATION]
        return f"{situation}, so the policy's safe answer is given."
    threshold = rules.threshold()
    side = "within" if found.probability <= threshold else "above"
    text = (
        f"The chance that {card.feared} is {found.probability:.1%}, {side} the {threshold:.1%} up to which "
        "the margin covers the loss"
    )
    if found.decision == PARTIAL and found.probability > threshold:
        text += f"; with {rules.part_payment_share:.0%} paid beforehand it does"
    elif found.decision != YES and found.probability <= threshold:
        text += ", but more is asked than may be granted"
    return f"{text}."


def _plan(question: Question, rules: Rules, found: Verdict) -> dict[str, Any] | None:
    """The instalments of what is granted; None where nothing is, or for another method."""
    plan = rules.plan(question.months)
    if plan is None or not found.granted:
        return None
    payments = schedule(found.granted, plan.months, plan.yearly_rate)
    return {
        "months": plan.months,
        "yearly_rate": f"{plan.yearly_rate.normalize():f}",
        "amount": money(found.granted),
        "instalment": money(payments[0].instalment),
        "total": money(sum((each.instalment for each in payments), Decimal(0))),
        "schedule": [
            {name: value if name == "month" else money(value) for name, value in asdict(each).items()}
            for each in payments
        ],
    }


def _notes(
    question: Question, standing: Standing, used: Scorecard | None, fitted: Scorecard | None
) -> list[str]:
    """What an answer rests on; `used` is None where the policy's safe answer was given."""
    notes = []
    if used and not fitted:
        notes.append(HAND_SET[question.method].format(grounds=grounds(used)))
    asked = [each.name for each in used.characteristics if each.name != BASKET] if used else []
    if asked and all(standing.values.get(name) is None for name in asked):
        notes.append("None of what the points rest on is known of this customer.")
    if standing.note:
        notes.append(standing.note)
    if standing.simulated:
        notes.append("SIMULATED: the orders are made up.")
    return notes
