"""Compares the live policy with one beside it, a shadow or a challenger, by what customers did afterwards.

One mechanism for both: past answers whose outcome is known are valued by what followed. Of a shadow each
receipt has both answers, so customers are compared with themselves. Of a challenger each customer got the
answer of one version, by lot, so its customers are compared with the others who drew. Intervals are over
customers, because what one customer asks again and again is no news.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import TypedDict

import duckdb
import numpy as np
from scipy import stats

from app.api.groups import FEWEST, Interval, rate_limits
from app.api.policies import last_published
from app.api.published import relations
from app.api.receipts import CHALLENGED, Receipt, Receipts
from goodstanding.core.settings import Settings
from goodstanding.decisions.decide import PARTIAL, YES, Answer, money
from goodstanding.decisions.policy import CHALLENGER, DECISIONS, EMI, SHADOW, SWITCHED_OFF, Policy, Rules
from goodstanding.warehouse.returns import READ, RETURN_DAYS

OUTCOME_DAYS = 30
# `policy.SHADOW` or `policy.CHALLENGER`.
Kind = str


class Side(TypedDict):
    """What one version answered and what followed; money as text, intervals of 95 %."""

    version: str
    # who asked, and what was asked: of the same question on a day the last answer
    customers: int
    questions: int
    yes: int
    partial: int
    # answers that granted something, and those of them with a bad outcome
    granted: int
    failed: int
    failed_interval: Interval | None
    cost: str
    profit: str


class Pair(TypedDict):
    """The live version and the one beside it, on one decision."""

    kind: Kind
    decision: str
    live: Side
    other: Side
    # of a shadow: how often both gave the same answer; None of a challenger
    agree: int | None
    # of the profit by customer: that of the other less that of the live version; None where nobody drew one
    # of them. Its interval of 95 % is None where fewer than `groups.FEWEST` customers did, or all are alike
    difference: float | None
    difference_interval: Interval | None


class Comparison(TypedDict):
    """The live policy and those beside it on past answers, by what happened within so many days."""

    days: int
    receipts: int
    # receipts whose outcome is not known yet
    waiting: int
    pairs: list[Pair]
    # what counts as a bad outcome, one per decision
    notes: list[str]


def compare(settings: Settings, days: int = OUTCOME_DAYS) -> Comparison:
    """Compare the live policy with each that stood beside it, by what happened within so many days.

    Only the last answer to each question of a customer with an id counts, and only days so long ago that the
    outcome is published. Customers who were refused have outcomes too: they paid for what they bought
    otherwise. Both are valued by the margins and costs of the live version, as what a shop earns does not
    follow from what a version assumes; each answer counts as if it had been taken.

    Raises:
        DataProblem: nothing is published.
    """
    published = last_published(settings)
    receipts = Receipts(settings.receipts, settings.receipt_months)
    past = _past_answers(receipts, last_day=published.as_of - timedelta(days=days))
    policies: dict[str, Policy] = {}
    pairs: list[Pair] = []
    notes = []
    for method in DECISIONS:
        has_failed, note = _outcomes(published.file, method, days)
        notes.append(note)
        compared: dict[tuple[Kind, str, str], _Compared] = {}
        for receipt in past.receipts:
            if receipt["question"]["method"] != method:
                continue
            is_failed = has_failed(str(receipt["customer"]), date.fromisoformat(receipt["day"]))
            live = _live_of(receipt)
            if live not in policies:
                policies[live] = receipts.policy(live)
            value = _Valued(receipt, policies[live].rules[method], is_failed)
            for kind, other, answers in _answers_of(receipt):
                names = (kind, policies[live].version, other)
                compared.setdefault(names, _Compared()).add(value, answers)
        pairs += [both.pair(*names, method) for names, both in sorted(compared.items())]
    return {
        "days": days,
        "receipts": len(past.receipts),
        "waiting": past.waiting,
        "pairs": pairs,
        "notes": notes,
    }


@dataclass
class _PastAnswers:
    """Answers beside which another version stood."""

    # the last receipt of each question whose outcome is known, and how many receipts wait for theirs
    receipts: list[Receipt] = field(default_factory=list)
    waiting: int = 0


def _past_answers(receipts: Receipts, last_day: date) -> _PastAnswers:
    past = _PastAnswers()
    last_answers: dict[tuple[str | int | None, ...], Receipt] = {}
    for receipt in receipts.since(date.min, date.max):
        is_compared = receipt["customer"] is not None and ("shadow" in receipt or "trial" in receipt)
        if not is_compared or receipt["standing"]["situation"] == SWITCHED_OFF:
            continue
        if receipt["day"] > last_day.isoformat():
            past.waiting += 1
            continue
        question = receipt["question"]
        basket_and_plan = (question["method"], question["basket"], question["months"])
        last_answers[receipt["day"], receipt["customer"], *basket_and_plan] = receipt
    past.receipts = list(last_answers.values())
    return past


def _live_of(receipt: Receipt) -> str:
    """The hash of the live policy, by whichever version the receipt was answered."""
    return receipt["trial"]["live"] if "trial" in receipt else receipt["policy"]


# the answers of the live version and of the other, where there is one of it
_Answers = tuple[Answer | None, Answer | None]


def _answers_of(receipt: Receipt) -> Iterable[tuple[Kind, str, _Answers]]:
    """What a receipt says of versions beside the live one: the kind and version of each, and the answers."""
    trial = receipt.get("trial")
    if trial:
        is_other = trial["arm"] == CHALLENGED
        answers = (None, receipt["answer"]) if is_other else (receipt["answer"], None)
        yield CHALLENGER, trial["challenger"], answers
    if "shadow" in receipt and not (trial and trial["arm"] == CHALLENGED):
        answer = receipt["shadow"]["answer"]
        yield SHADOW, answer["policy_version"], (receipt["answer"], answer)


@dataclass(frozen=True)
class _Valued:
    """A receipt with the rules by which it is valued, and whether its outcome was bad."""

    receipt: Receipt
    rules: Rules
    is_failed: bool


@dataclass
class _Sums:
    """Sums over the answers of one version."""

    questions: int = 0
    yes: int = 0
    partial: int = 0
    granted: int = 0
    failed: int = 0
    cost: Decimal = Decimal(0)
    # by customer
    profits: dict[str, Decimal] = field(default_factory=dict)

    def add(self, answer: Answer, valued: _Valued) -> None:
        self.questions += 1
        self.yes += answer["decision"] == YES
        self.partial += answer["decision"] == PARTIAL
        granted, profit = Decimal(answer["granted"]), Decimal(0)
        if granted:
            self.granted += 1
            self.failed += valued.is_failed
            lost = valued.rules.loss_share * granted if valued.is_failed else Decimal(0)
            self.cost += lost
            basket = Decimal(valued.receipt["question"]["basket"])
            profit = -lost if valued.is_failed else valued.rules.margin_share * basket
        customer = str(valued.receipt["customer"])
        self.profits[customer] = self.profits.get(customer, Decimal(0)) + profit

    def side(self, version: str) -> Side:
        return {
            "version": version,
            "customers": len(self.profits),
            "questions": self.questions,
            "yes": self.yes,
            "partial": self.partial,
            "granted": self.granted,
            "failed": self.failed,
            "failed_interval": rate_limits(self.failed, self.granted) if self.granted else None,
            "cost": money(self.cost),
            "profit": money(sum(self.profits.values(), Decimal(0))),
        }


@dataclass
class _Compared:
    """The sums of two versions beside each other."""

    live: _Sums = field(default_factory=_Sums)
    other: _Sums = field(default_factory=_Sums)
    agree: int = 0

    def add(self, valued: _Valued, answers: _Answers) -> None:
        for sums, answer in zip((self.live, self.other), answers, strict=True):
            if answer is not None:
                sums.add(answer, valued)
        first, second = answers
        self.agree += bool(first and second and first["decision"] == second["decision"])

    def pair(self, kind: Kind, live: str, other: str, method: str) -> Pair:
        if kind == SHADOW:
            difference, interval = _paired(self.live.profits, self.other.profits)
        else:
            difference, interval = _unpaired(self.live.profits, self.other.profits)
        return {
            "kind": kind,
            "decision": method,
            "live": self.live.side(live),
            "other": self.other.side(other),
            "agree": self.agree if kind == SHADOW else None,
            "difference": difference,
            "difference_interval": interval,
        }


_Difference = tuple[float | None, Interval | None]


def _paired(live: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> _Difference:
    """The mean difference by customer, and the interval of a paired t-test."""
    values = np.array([float(other[customer] - live[customer]) for customer in live])
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) >= FEWEST else 0.0
    return _with_interval(float(values.mean()), float(error), len(values) - 1)


def _unpaired(live: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> _Difference:
    """The difference of the means by customer, and the interval of Welch's t-test (1947, Biometrika 34)."""
    if not live or not other:
        return None, None
    sides = [np.array([float(profit) for profit in side.values()]) for side in (live, other)]
    difference = float(sides[1].mean() - sides[0].mean())
    if min(map(len, sides)) < FEWEST:
        return difference, None
    squares = [side.var(ddof=1) / len(side) for side in sides]
    total = sum(squares)
    parts = sum(square**2 / (len(side) - 1) for square, side in zip(squares, sides, strict=True))
    return _with_interval(difference, float(np.sqrt(total)), total**2 / parts if parts else 0.0)


def _with_interval(difference: float, error: float, freedom: float) -> _Difference:
    if not error:
        return difference, None
    low, high = stats.t.interval(0.95, freedom, loc=difference, scale=error)
    return difference, (float(low), float(high))


def _outcomes(
    file: duckdb.DuckDBPyConnection, method: str, days: int
) -> tuple[Callable[[str, date], bool], str]:
    """A function that says whether a grant to a customer on a day failed, and a note on what that means."""
    if method == EMI:
        late = _by_customer(
            file,
            "select customer_id, as_of from marts.payment_behaviour where overdue_instalments > 0",
            # a shop that does not state how instalments are paid says of none that it failed
            "marts.payment_behaviour where overdue_instalments is not null and instalments > 0",
        )
        if late is not None:
            note = "emi: failed where an instalment is overdue as of a month end in the days after"
            return lambda customer, day: _is_within(late.get(customer, ()), day, days), note
    returns = _by_customer(file, RETURN_DAYS, *READ) or {}
    note = f"{method}: failed where the customer cancelled or returned a product in the days after"
    if method == EMI:
        note += ", for want of payments"
    return lambda customer, day: _is_within(returns.get(customer, ()), day, days), note


def _is_within(moments: Iterable[date], day: date, days: int) -> bool:
    return any(day < moment <= day + timedelta(days=days) for moment in moments)


def _by_customer(file: duckdb.DuckDBPyConnection, sql: str, *known: str) -> dict[str, list[date]] | None:
    """The days of each customer, from rows of customer and day; None where one of `known` is not there, or
    none of them has a row.

    `known` are published tables or views, and may have a condition: `marts.order_lines where is_product`.
    """
    if not {name.split()[0] for name in known} <= relations(file):
        return None
    of_publication = file.cursor()
    of_publication.execute("use published.marts")
    if not any(
        of_publication.execute(f"select exists(from {name})").fetchall() == [(True,)] for name in known
    ):
        return None
    days: dict[str, list[date]] = {}
    for customer, day in of_publication.execute(sql).fetchall():
        days.setdefault(customer, []).append(day)
    return days
