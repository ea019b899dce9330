"""Answers whether a customer may pay a basket by a method: yes, a part of it, or no, with limit and reasons.

`decide` takes a question, what is known of the customer (the standing), a scorecard and a policy. It opens no
file and reads no clock: what is open of earlier commitments is part of the standing, so the answer can be
computed again from its receipt. An answer is a quote and takes nothing of any cap; what an order takes of it,
and when that ends, is kept beside the receipts (`app.api.commitments`).

- **yes**: the chance p of a bad outcome is within the threshold, and the basket within the room that the caps
  leave.
- **partial**: p is within the threshold and the basket above what the caps leave; or p is in the band above
  the threshold, where a share is to be paid beforehand. The rest is granted, as far as the caps allow.
- **no**: otherwise, also where the part would be less than the policy's smallest share of the basket. A
  little above the band a person may still grant it.

The chance is that of the scorecard, over the months of the plan (`Rules.chance_over`); of buyers without an
order that counts it is one share for all, where the policy prices them. What p and the basket are expected to
cost bounds what a customer may have open, too (`cap_loss`): the riskier the less, whatever the class.

The points of a scorecard never rise with the basket (`facts.in_stated_direction`), so no cap does, and there
is a largest basket that is answered yes, the limit, and every smaller basket is answered yes too. No larger
basket and no greater cost of failure ever improves an answer; the one exception is a basket of a single cent,
which cannot be split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import ROUND_DOWN, Decimal
from typing import NotRequired, TypedDict

from goodstanding.core.vocabulary import CLASSES
from goodstanding.decisions import apr
from goodstanding.decisions.due_dates import due_dates
from goodstanding.decisions.facts import Fact, Reason
from goodstanding.decisions.instalments import CENT, schedule
from goodstanding.decisions.policy import (
    BASKET,
    COD,
    EMI,
    FIRST_TIME_BUYER,
    NO_PUBLICATION,
    STALE_DATA,
    SWITCHED_OFF,
    UNKNOWN_CUSTOMER,
    Plan,
    Policy,
    Rules,
)
from goodstanding.decisions.reasons import (
    Borders,
    ClassMove,
    Loss,
    Measures,
    MonthEnd,
    PointsLost,
    class_move,
    grounds,
    losses,
    reasons_of,
)
from goodstanding.decisions.scorecard import Bin, Scorecard, Value

YES, PARTIAL, NO = "yes", "partial", "no"
PART_PAYMENT, PERSON = "ask for part payment", "send to a person"
PAY_NOW = "pay_now"
HOW = {COD: "on delivery", EMI: "by instalments"}
MOST_REASONS = 4
NOTHING, UNLIMITED = Decimal(0), Decimal("1e15")
HAND_SET = {
    COD: "No scorecard has been fitted to deliveries: the points are set by hand, and their odds assumed.",
    EMI: "No scorecard has been fitted to payments, so this rests on {grounds}: the points are set by hand, "
    "and their odds assumed.",
}
DEBT_UNKNOWN = (
    "What the customer owes already is not known, so no debt is taken off what a customer of the class "
    "may have open."
)
EMI_OFF = (
    "Instalments are off: no payments are known from which their risk could be told, and the policy does not "
    "offer them without."
)
EMI_OFF_FORMAL = "Payment by instalments is not offered at present"
ASSUMED_ODDS = "This rests on assumed odds, as no payments are known"
NO_PLAN, NO_PAYMENTS, CAP_CUSTOMER, CAP_LOSS = "no_plan", "no_payments", "cap_customer", "cap_loss"
CAP_DAY, CAP_GUESTS_DAY = "cap_day", "cap_guests_day"
ALL_IS_GRANTED = "What may be granted to all customers together on one day has been granted."
# What caps the sum as a letter says it, without classes.
FORMAL_CAPS = {
    UNKNOWN_CUSTOMER: "No earlier order was found under this customer number, so {} may be paid this way",
    FIRST_TIME_BUYER: "There is no earlier order that still counts, so {} may be paid this way",
    STALE_DATA: "Our records are not up to date at present, so {} may be paid this way",
    NO_PUBLICATION: "Our records cannot be read at present, so {} may be paid this way",
    SWITCHED_OFF: "This way to pay is not offered at present, so {} may be paid this way",
    CAP_CUSTOMER: "By the record of your orders {} may be open at a time",
    CAP_LOSS: "By the risk that we reckon with {} may be open at a time",
}
SITUATION_REASONS = {
    UNKNOWN_CUSTOMER: "Nothing is known of this customer",
    FIRST_TIME_BUYER: "The customer has no order yet that still counts",
    STALE_DATA: "The data are too old to rest on",
    NO_PUBLICATION: "Nothing has been published yet",
    SWITCHED_OFF: "This way to pay is switched off at present",
}


@dataclass(frozen=True)
class Question:
    """May a customer pay a basket by a method?

    `method` is one of `policy.DECISIONS`. `basket` is in whole cents, above 0. `months` is for instalments
    only; None asks for the shortest plan. `other_months` are those of more plans to compare with. `day` is
    that of the shop; None, as in receipts of earlier versions, leaves out when instalments are due.
    """

    method: str
    basket: Decimal
    months: int | None = None
    other_months: tuple[int, ...] = ()
    day: date | None = None


@dataclass(frozen=True)
class Standing:
    """What is known about a customer as of a day, and what is open of commitments.

    Attributes:
        situation: `policy.SWITCHED_OFF`, or one of `policy.SITUATIONS` where there is nothing to score; else
            None.
        as_of: the last day that the data cover, as ISO 8601; None where nothing is published.
        age_days: how old the data are.
        customer_class: one of `vocabulary.CLASSES`.
        benefits: what customers of the class get, in words.
        values: characteristics by name.
        measures: the RFM measures of `as_of`; with `before` and `borders` they explain a change of class.
        before: class and measures at the end of last month.
        borders: the borders between the classes on that day.
        outstanding: what the customer owes by `as_of`; None where the shop does not state it.
        granted_customer: what is open of this customer's commitments by this method.
        granted_day: the sum of today's commitments by this method: of all strangers where the customer is
            one, else of all others.
        simulated: whether the orders are made up.
        note: what is to be said of the scorecard of this method.
        is_stranger: whether nobody knows an order of theirs: such buyers share a budget per day.
        knows_payments: whether the shop's files tell how anybody pays instalments.
    """

    situation: str | None
    as_of: str | None = None
    age_days: int | None = None
    customer_class: str | None = None
    benefits: str | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    measures: Measures = field(default_factory=lambda: Measures())
    before: MonthEnd | None = None
    borders: Borders | None = None
    outstanding: Decimal | None = NOTHING
    granted_customer: Decimal = NOTHING
    granted_day: Decimal = NOTHING
    simulated: bool = False
    note: str | None = None
    is_stranger: bool = False
    knows_payments: bool = True


@dataclass(frozen=True)
class Verdict:
    """An answer without its reasons; money in whole cents.

    Attributes:
        decision: `YES`, `PARTIAL` or `NO`.
        limit: the largest basket that is answered yes.
        granted: what may be paid by the method: the basket, a part of it, or nothing.
        score: None where nothing was scored.
        probability: the chance of a bad outcome; None where there is none to reckon with.
        next_step: `PART_PAYMENT`, `PERSON` or None.
    """

    decision: str
    limit: Decimal
    granted: Decimal
    score: int | None
    probability: float | None
    next_step: str | None


class Payment(TypedDict):
    """One month of a plan (an `instalments.Instalment`), money as text; `due` as ISO 8601."""

    month: int
    due: NotRequired[str]
    instalment: str
    principal: str
    interest: str
    balance: str


class GrantedPlan(TypedDict):
    """The instalments of what is granted, money as text; `instalment` is the first one, `total` their sum.

    `cost` is what the credit costs: `total` - `amount`. Rates are shares: 0.12 is 12 % a year.
    """

    months: int
    # nominal
    yearly_rate: str
    # by `apr.apr_eu` and `apr.apr_us`
    apr_eu: NotRequired[str]
    apr_us: NotRequired[str]
    amount: str
    instalment: str
    total: str
    cost: NotRequired[str]
    schedule: list[Payment]


class Change(TypedDict):
    """What the customer can change to get a yes: one thing, the nearest there is.

    `characteristic` is `pay_now` (what is paid at once) or `basket`, whose values are money as text, or
    `months`.
    """

    characteristic: str
    value: str | int
    sentence: str


# `class` is a keyword, so this field cannot be written in a class.
_AnswerClass = TypedDict("_AnswerClass", {"class": str | None})


class Answer(_AnswerClass):
    """An answer with its reasons, in plain values for JSON; money as text with two decimals."""

    # `YES`, `PARTIAL` or `NO`
    decision: str
    # the largest basket that is answered yes
    limit: str
    # 300 to 850; with `model_id` None where nothing was scored
    score: int | None
    # of a bad outcome, by the stated odds and over the months of the plan, with four decimals
    probability: float | None
    # the probability up to which the margin covers the loss, with four decimals
    threshold: float
    summary: str
    # at most `MOST_REASONS`: what limits the sum, then what costs points
    reasons: list[Reason]
    points: list[PointsLost]
    next_step: str | None
    # what of the basket is to be paid at once, and what of it may be paid by the method
    pay_now: str
    granted: str
    # what the customer would have open by this method if an order took what is granted
    open_after: str
    # the first plan that was asked for, and all of them, in the order of the question
    plan: GrantedPlan | None
    plans: list[GrantedPlan]
    nearest_change: Change | None
    class_move: ClassMove | None
    benefits: str | None
    # one of `policy.SITUATIONS`, or `policy.SWITCHED_OFF`
    situation: str | None
    notes: list[str]
    policy_version: str
    model_id: str | None
    # the day and the age of the data
    as_of: str | None
    age_days: int | None
    simulated: bool


@dataclass(frozen=True)
class _Cap:
    """One upper bound on what may be granted: `left` of `limit`; `left` is below 0 where more was granted."""

    code: str
    text: str
    limit: Decimal
    owed: Decimal = NOTHING
    granted: Decimal = NOTHING
    shows_used: bool = True

    @property
    def left(self) -> Decimal:
        return self.limit - self.owed - self.granted

    def reason(self) -> Reason:
        fact: Fact = {"limit": money(self.limit)}
        if self.shows_used:
            fact |= {"owed": money(self.owed), "granted": money(self.granted)}
        # what all customers together may have is nobody's own matter, so a letter does not say it
        most = f"up to {money(self.limit)}" if self.limit else "nothing"
        of_all = self.code in (CAP_DAY, CAP_GUESTS_DAY)
        formal = ALL_IS_GRANTED if of_all else self._filled(FORMAL_CAPS[self.code], most)
        return {"code": self.code, "text": self.sentence(), "formal": formal, "fact": fact, "points": None}

    def sentence(self) -> str:
        return self._filled(self.text, money(self.limit))

    def _filled(self, text: str, most: str) -> str:
        used = []
        if self.owed and self.shows_used:
            used.append(f"{money(self.owed)} is owed")
        if self.granted and self.shows_used:
            used.append(f"{money(self.granted)} is granted already")
        end = f", of which {' and '.join(used)}." if used else "."
        return text.format(most) + end


@dataclass(frozen=True)
class _Case:
    """A question with all that its answer rests on, each looked up once."""

    question: Question
    standing: Standing
    card: Scorecard
    rules: Rules
    # what applies: the situation of the standing, or that its data are too old
    situation: str | None
    # the plans that are asked for; none for another method, or where there is none of so many months
    plans: tuple[Plan, ...]
    caps: tuple[_Cap, ...]
    # what the caps leave, not below 0
    room: Decimal
    threshold: float

    @classmethod
    def of(cls, question: Question, standing: Standing, card: Scorecard, assumed: Rules) -> _Case:
        rules = assumed.priced_by(card)
        is_stale = standing.age_days is not None and standing.age_days > rules.stale_after_days
        stale = STALE_DATA if is_stale else None
        caps = _caps(standing, rules, stale)
        return cls(
            question=question,
            standing=standing,
            card=card,
            rules=rules,
            situation=standing.situation or stale,
            plans=tuple(filter(None, map(rules.plan, (question.months, *question.other_months)))),
            caps=caps,
            room=max(NOTHING, min(cap.left for cap in caps)),
            threshold=rules.threshold(),
        )

    @property
    def has_no_plan(self) -> bool:
        """Whether instalments are asked for over a number of months that no plan has."""
        return self.question.method == EMI and not self.plans

    @property
    def is_off(self) -> bool:
        """Whether instalments are not offered, for want of payments to tell their risk from."""
        is_known = self.standing.knows_payments or self.rules.without_payments
        # whatever is switched off says so
        return self.question.method == EMI and not is_known and self.situation != SWITCHED_OFF

    @property
    def chance_of_all(self) -> float | None:
        """The chance that is reckoned with where no score tells one buyer from another; None: none is."""
        first = self.rules.chance_first
        is_new = self.standing.situation in (UNKNOWN_CUSTOMER, FIRST_TIME_BUYER)
        return self._over_plan(float(first)) if is_new and first is not None else None

    def chance(self, score: int) -> float:
        """The chance of a bad outcome at a score, over the months of the plan."""
        return self._over_plan(self.card.probability(score))

    def bears(self, plan: Plan, verdict: Verdict) -> bool:
        """Whether by this plan, too, no less is granted than by the first one, which has this verdict."""
        return replace(self, plans=(plan,)).verdict().granted >= verdict.granted

    def over_months(self) -> str:
        """`over 12 months` where the chance is another than that of the shortest plan, else nothing."""
        is_longer = self.rules.risk_growth and self.plans and self.plans[0] != self.rules.plans[0]
        return f" over {self.plans[0].months} months" if is_longer else ""

    def _over_plan(self, probability: float) -> float:
        return self.rules.chance_over(probability, self.plans[0].months if self.plans else None)

    def loss_cap(self, probability: float | None) -> _Cap | None:
        """What may be open at a chance by the loss that is to be expected; None where nothing bounds it."""
        budget = self.rules.cap_loss
        if budget is None or probability is None:
            return None
        lost = Decimal(repr(probability)) * self.rules.loss_share
        # no sum comes near what a chance next to none would allow
        limit = min(UNLIMITED, budget / lost).quantize(CENT, ROUND_DOWN) if lost else UNLIMITED
        text = f"At a chance of {probability:.1%} that {self.card.bad_outcome}, {{}} may be open"
        return _Cap(CAP_LOSS, text, limit, _owed(self.standing, self.rules), self.standing.granted_customer)

    def caps_at(self, probability: float | None) -> list[_Cap]:
        """All caps that hold at a chance, the tightest first."""
        cap = self.loss_cap(probability)
        return sorted([*self.caps, *([cap] if cap else [])], key=lambda cap: cap.left)

    def room_at(self, probability: float | None) -> Decimal:
        """What all caps leave at a chance, not below 0."""
        cap = self.loss_cap(probability)
        return max(NOTHING, min(self.room, cap.left)) if cap else self.room

    def verdict(self, basket: Decimal | None = None, values: Mapping[str, Value] | None = None) -> Verdict:
        """The answer, with another basket or other values of the customer where they are given."""
        basket = self.question.basket if basket is None else basket
        score = probability = None
        if self.is_off:
            return Verdict(NO, NOTHING, NOTHING, None, None, None)
        if self.standing.situation is None:
            values = self.standing.values if values is None else values
            points = self.card.points(_with_basket(values, basket))
            score = self.card.clamped(self.card.base_points + sum(points.values()))
            probability = self.chance(score)
            limit = self._limit_by_score(points)
        else:
            probability = self.chance_of_all
            is_within = probability is None or probability <= self.threshold
            limit = self.room_at(probability) if is_within else NOTHING
        if self.has_no_plan:
            return Verdict(NO, NOTHING, NOTHING, score, probability, None)
        decision, granted, next_step = self._granted(basket, limit, probability)
        return Verdict(decision, limit, granted, score, probability, next_step)

    def _limit_by_score(self, points: Mapping[str, int]) -> Decimal:
        """The largest basket whose chance of a bad outcome is within the threshold and which the caps leave.

        Neither the points nor what the caps leave rise with the basket, so its bins are tried in order until
        one fails.
        """
        others = self.card.base_points + sum(earned for name, earned in points.items() if name != BASKET)
        characteristic = next((one for one in self.card.characteristics if one.name == BASKET), None)
        bins = characteristic.bins if characteristic else (Bin(0),)
        limit = NOTHING
        for bin_ in bins:
            if bin_.is_missing:
                continue
            probability = self.chance(self.card.clamped(others + bin_.points))
            if probability > self.threshold:
                break
            end = UNLIMITED if bin_.up_to is None else Decimal(repr(bin_.up_to)).quantize(CENT, ROUND_DOWN)
            limit = max(limit, min(end, self.room_at(probability)))
            if limit < end:
                break
        return limit

    def _granted(
        self, basket: Decimal, limit: Decimal, probability: float | None
    ) -> tuple[str, Decimal, str | None]:
        """The decision, the sum granted and the next step."""
        rules, room = self.rules, self.room_at(probability)
        if basket <= limit:
            return YES, basket, None
        if probability is None or probability <= self.threshold:
            granted = room
        elif probability <= rules.threshold(rules.part_payment_share):
            unpaid = (basket * (1 - rules.part_payment_share)).quantize(CENT, ROUND_DOWN)
            # at least a cent where there are two, so that no larger basket gets a better answer
            granted = min(room, max(unpaid, CENT)) if basket > CENT else NOTHING
        else:
            is_for_person = probability <= rules.threshold(rules.person_share) and room > 0
            return NO, NOTHING, PERSON if is_for_person else None
        is_worth_it = granted > 0 and granted >= basket * rules.smallest_partial_share
        return (PARTIAL, granted, PART_PAYMENT) if is_worth_it else (NO, NOTHING, None)


def _with_basket(values: Mapping[str, Value], basket: Decimal) -> dict[str, Value]:
    return {**values, BASKET: float(basket)}


def decide(question: Question, standing: Standing, scorecard: Scorecard | None, policy: Policy) -> Answer:
    """Answer a question, with reasons.

    Args:
        question: what is asked.
        standing: of the customer; where its `situation` is set, no score is computed.
        scorecard: the fitted one, monotone in the basket; None: the policy's own, and the answer says so.
        policy: the one in effect.
    """
    rules = policy.rules[question.method]
    case = _Case.of(question, standing, scorecard or rules.card, rules)
    verdict, rules = case.verdict(), case.rules
    is_scored = verdict.score is not None
    points_lost = losses(case.card, _with_basket(standing.values, question.basket)) if is_scored else []
    plans = _plans(case, verdict)
    return {
        "decision": verdict.decision,
        "limit": money(verdict.limit),
        "score": verdict.score,
        "probability": None if verdict.probability is None else round(verdict.probability, 4),
        "threshold": round(case.threshold, 4),
        "summary": _summary(case, verdict),
        "reasons": _reasons(case, verdict, points_lost),
        "points": [loss.to_json() for loss in points_lost],
        "next_step": verdict.next_step,
        "pay_now": money(question.basket - verdict.granted),
        "granted": money(verdict.granted),
        "open_after": money(_owed(standing, rules) + standing.granted_customer + verdict.granted),
        "plan": plans[0] if plans else None,
        "plans": plans,
        "nearest_change": _nearest_change(case, verdict),
        "class": standing.customer_class,
        "class_move": class_move(
            standing.customer_class, standing.measures, standing.before, standing.borders
        ),
        "benefits": standing.benefits,
        "situation": case.situation,
        "notes": _notes(case, verdict, is_fitted=scorecard is not None),
        "policy_version": policy.version,
        "model_id": case.card.model_id if is_scored else None,
        "as_of": standing.as_of,
        "age_days": standing.age_days,
        "simulated": standing.simulated,
    }


def verdict(
    question: Question, standing: Standing, card: Scorecard, rules: Rules, cut_off: float | None = None
) -> Verdict:
    """Answer a question without reasons, for many customers at once; see the module.

    `cut_off` is a chance up to which to answer yes in place of the threshold that the rules have.
    """
    case = _Case.of(question, standing, card, rules)
    return (case if cut_off is None else replace(case, threshold=cut_off)).verdict()


def left_by_caps(
    question: Question, standing: Standing, scorecard: Scorecard | None, policy: Policy
) -> tuple[Decimal, str]:
    """What the caps leave, not below 0, and the sentence on the tightest; arguments are those of `decide`."""
    rules = policy.rules[question.method]
    case = _Case.of(question, standing, scorecard or rules.card, rules)
    caps = case.caps_at(case.verdict().probability)
    return max(NOTHING, caps[0].left), caps[0].sentence()


def _nearest_change(case: _Case, verdict: Verdict) -> Change | None:
    """What the customer can change to get a yes; None where the answer is yes, or nothing does.

    It is another plan where there is none of so many months, the part that is to be paid at once, or else a
    smaller basket. Plans and baskets are tried by deciding again.
    """
    if case.is_off:
        return None
    if case.has_no_plan:
        return _other_plan(case)
    if verdict.decision == PARTIAL:
        pay_now, by_method = money(case.question.basket - verdict.granted), money(verdict.granted)
        sentence = (
            f"With {pay_now} paid at once, the other {by_method} may be paid {HOW[case.question.method]}."
        )
        return {"characteristic": PAY_NOW, "value": pay_now, "sentence": sentence}
    if verdict.decision == NO and verdict.limit > 0 and case.verdict(verdict.limit).decision == YES:
        less = money(verdict.limit)
        sentence = f"A basket of {less} or less would be answered yes."
        return {"characteristic": BASKET, "value": less, "sentence": sentence}
    if verdict.decision == NO and case.plans:
        # the fewer months, the smaller the risk
        shorter = [plan for plan in case.rules.plans if plan.months < case.plans[0].months]
        return next(filter(None, (_by_plan(case, plan) for plan in shorter[::-1])), None)
    return None


def _other_plan(case: _Case) -> Change | None:
    """The plan whose months are nearest to those asked for, where it makes a yes."""
    months = case.question.months or 0
    nearest = min(case.rules.plans, key=lambda plan: abs(plan.months - months))
    return _by_plan(case, nearest)


def _by_plan(case: _Case, nearest: Plan) -> Change | None:
    """A plan as what makes a yes; None where it makes none."""
    if replace(case, plans=(nearest,)).verdict().decision != YES:
        return None
    sentence = f"In {nearest.months} months it would be a yes."
    return {"characteristic": "months", "value": nearest.months, "sentence": sentence}


def money(amount: Decimal) -> str:
    """An amount as the answers write it: two decimals, no separators."""
    return f"{amount:.2f}"


def _owed(standing: Standing, rules: Rules) -> Decimal:
    # on delivery everything is paid at the door: what a customer owes are instalments and accounts
    return (standing.outstanding or NOTHING) if rules.decision == EMI else NOTHING


def _caps(standing: Standing, rules: Rules, stale: str | None) -> tuple[_Cap, ...]:
    """The most that may be granted: by each situation that applies, by the customer's class, on one day."""
    granted = standing.granted_customer
    caps = []
    for situation in dict.fromkeys(filter(None, (standing.situation, stale))):
        text = f"{SITUATION_REASONS[situation]}: the policy then grants {{}} at most"
        limit = NOTHING if situation == SWITCHED_OFF else rules.limits[situation]
        if situation == UNKNOWN_CUSTOMER and standing.is_stranger:
            # who is refused for being new could ask without the id
            limit = max(limit, rules.limits[FIRST_TIME_BUYER])
        caps.append(_Cap(situation, text, limit, granted=granted, shows_used=False))
    if standing.situation is None:
        class_ = standing.customer_class or CLASSES[0]
        who = f"of class {class_}" if standing.customer_class else "without a class"
        text = f"A customer {who} may have {{}} open"
        caps.append(_Cap(CAP_CUSTOMER, text, rules.cap_customer[class_], _owed(standing, rules), granted))
    code, who, budget = (
        (CAP_GUESTS_DAY, "buyers who are not known", rules.cap_guests_day)
        if standing.is_stranger
        else (CAP_DAY, "customers", rules.cap_day)
    )
    caps.append(_Cap(code, f"All {who} together may have {{}} a day", budget, granted=standing.granted_day))
    return tuple(caps)


def _reasons(case: _Case, verdict: Verdict, points_lost: list[Loss]) -> list[Reason]:
    """What keeps the basket from being granted, the tightest cap first, then what lowers the score."""
    reasons: list[Reason] = []
    if case.is_off:
        formal = f"{EMI_OFF_FORMAL}."
        return [{"code": NO_PAYMENTS, "text": EMI_OFF, "formal": formal, "fact": {}, "points": None}]
    if case.has_no_plan:
        months = case.question.months
        offered = ", ".join(str(plan.months) for plan in case.rules.plans)
        asked = " or ".join(map(str, (months, *case.question.other_months)))
        text = f"There is no plan of {asked} months; there are plans of {offered}."
        fact: Fact = {"months": months, "plans": offered}
        reasons.append({"code": NO_PLAN, "text": text, "formal": text, "fact": fact, "points": None})
    caps = case.caps_at(verdict.probability)
    reasons += [cap.reason() for cap in caps if cap.left < case.question.basket]
    values = _with_basket(case.standing.values, case.question.basket)
    return [*reasons, *reasons_of(points_lost, values, case.standing.as_of)][:MOST_REASONS]


def _summary(case: _Case, verdict: Verdict) -> str:
    """What decided, in one sentence; before it, for instalments, whether the odds are only assumed."""
    if case.is_off:
        return EMI_OFF
    is_assumed = case.question.method == EMI and not case.standing.knows_payments
    return (f"{ASSUMED_ODDS}. " if is_assumed else "") + _decided(case, verdict)


def _decided(case: _Case, verdict: Verdict) -> str:
    """The one sentence that says what decided."""
    if case.has_no_plan:
        return "There is no such plan of instalments."
    situation = SITUATION_REASONS[case.standing.situation or NO_PUBLICATION]
    if verdict.probability is None:
        return f"{situation}, so the policy's safe answer is given."
    is_within = verdict.probability <= case.threshold
    side = "within" if is_within else "above"
    of_all = "" if verdict.score is not None else f"{situation}; of all such orders "
    text = (
        f"{of_all}{'the' if of_all else 'The'} chance that {case.card.bad_outcome} is "
        f"{verdict.probability:.1%}{case.over_months()}, {side} the {case.threshold:.1%} up to which the "
        f"margin covers the loss"
    )
    if case.rules.recovery_share:
        text += f" ({case.rules.recovery_share:.0%} of what is late comes back)"
    if verdict.decision == PARTIAL and not is_within:
        text += f"; with {case.rules.part_payment_share:.0%} paid beforehand it does"
    elif verdict.decision != YES and is_within:
        text += ", but more is asked than may be granted"
    room = case.room_at(verdict.probability)
    if verdict.decision == NO and 0 < room < case.question.basket * case.rules.smallest_partial_share:
        text += f", which is less than {case.rules.smallest_partial_share:.0%} of the basket"
    return f"{text}."


def _plans(case: _Case, verdict: Verdict) -> list[GrantedPlan]:
    """The instalments of what is granted, by each plan that is asked for and over whose months as much is.

    There are none where nothing is granted.
    """
    if not verdict.granted:
        return []
    day, country = case.question.day, case.rules.business_days
    return [_plan(plan, verdict.granted, day, country) for plan in case.plans if case.bears(plan, verdict)]


def _plan(plan: Plan, granted: Decimal, day: date | None, country: str | None) -> GrantedPlan:
    payments = schedule(granted, plan.months, plan.yearly_rate)
    total = sum((payment.instalment for payment in payments), NOTHING)
    told: GrantedPlan = {
        "months": plan.months,
        "yearly_rate": f"{plan.yearly_rate.normalize():f}",
        "amount": money(granted),
        "instalment": money(payments[0].instalment),
        "total": money(total),
        "schedule": [
            {
                "month": payment.month,
                "instalment": money(payment.instalment),
                "principal": money(payment.principal),
                "interest": money(payment.interest),
                "balance": money(payment.balance),
            }
            for payment in payments
        ],
    }
    if day is not None:
        due = due_dates(day, plan.months, country)
        for told_payment, due_day in zip(told["schedule"], due, strict=True):
            told_payment["due"] = due_day.isoformat()
        paid = [
            apr.Payment(due_day, payment.instalment)
            for due_day, payment in zip(due, payments, strict=True)
            # a few cents are not spread over all months
            if payment.instalment
        ]
        told["apr_eu"] = f"{apr.apr_eu(granted, day, paid)}"
        told["apr_us"] = f"{apr.apr_us(granted, day, paid)}"
        told["cost"] = money(total - granted)
    return told


def _notes(case: _Case, verdict: Verdict, is_fitted: bool) -> list[str]:
    """Notes on the data and rules behind the answer; on a scorecard only where something was scored."""
    notes = []
    is_scored = verdict.score is not None
    standing = case.standing
    if is_scored and not is_fitted:
        notes.append(HAND_SET[case.question.method].format(grounds=grounds(case.card)))
    names = [name for name in case.card.names if name != BASKET] if is_scored else []
    if names and all(standing.values.get(name) is None for name in names):
        notes.append("None of what the points rest on is known of this customer.")
    if case.question.method == EMI and standing.outstanding is None:
        notes.append(DEBT_UNKNOWN)
    asked = case.question.other_months
    if case.plans and case.question.months is not None:
        # where there is none of all that were asked for, the reasons say so
        asked = (case.question.months, *asked)
    if missing := [str(months) for months in asked if not case.rules.plan(months)]:
        notes.append(f"There is no plan of {', '.join(missing)} months.")
    if verdict.granted and (less := [str(one.months) for one in case.plans if not case.bears(one, verdict)]):
        notes.append(f"Over {' or '.join(less)} months less may be granted; ask for that apart.")
    if standing.note:
        notes.append(standing.note)
    if standing.simulated:
        notes.append("SIMULATED: the orders are made up.")
    return notes
