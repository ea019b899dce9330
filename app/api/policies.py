"""Shows what another policy would change: for the customers of today, and for past answers whose outcome is
known.

Both use `decide.verdict`, the function that decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TypedDict

import duckdb

from app.api.answers import Answers
from app.api.policy_book import Book, State, Versions
from app.api.published import Published, read_published, relations, require
from app.api.receipts import Receipt, Receipts
from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import Settings
from goodstanding.decisions.decide import PARTIAL, YES, Answer, Question, Standing, Verdict, money, verdict
from goodstanding.decisions.policy import DECISIONS, EMI, Policy, Rules, in_effect, read_policies
from goodstanding.decisions.scorecard import Scorecard
from goodstanding.warehouse.returns import READ, RETURN_DAYS

BASKETS = ("50.00", "120.00", "300.00")
EXAMPLES = 10
OUTCOME_DAYS = 30


class DiffRow(TypedDict):
    """One decision and basket: how many customers gain or lose a yes, and both policies' sums.

    Cost and profit are expected ones, in the shop's currency.
    """

    decision: str
    basket: str
    gain: int
    lose: int
    yes_before: int
    partial_before: int
    cost_before: float
    profit_before: float
    yes_after: int
    partial_after: int
    cost_after: float
    profit_after: float


class DiffExample(TypedDict):
    """One customer (by pseudonym) to whom the policies give different answers; limits are money as text."""

    customer_id: str
    decision: str
    basket: str
    before: str
    after: str
    limit_before: str
    limit_after: str


class PolicyDiff(TypedDict):
    """What another policy would change for the customers of the last published day."""

    as_of: date
    simulated: bool
    # versions
    old: str
    new: str
    customers: int
    rows: list[DiffRow]
    # at most `EXAMPLES`, each of another customer
    examples: list[DiffExample]


class ShadowRow(TypedDict):
    """The live and the shadow policy on past answers of one decision; cost and profit are money as text."""

    decision: str
    receipts: int
    # receipts with a bad outcome, and on which both policies agree
    failed: int
    agree: int
    yes_live: int
    partial_live: int
    cost_live: str
    profit_live: str
    yes_shadow: int
    partial_shadow: int
    cost_shadow: str
    profit_shadow: str


class ShadowComparison(TypedDict):
    """The live and the shadow policy on past answers, by what happened within so many days."""

    days: int
    receipts: int
    # receipts whose outcome is not known yet
    waiting: int
    # the version, or several; None where no receipt has a shadow's answer
    shadow: str | None
    rows: list[ShadowRow]
    # what counts as a bad outcome, one per decision
    notes: list[str]


def last_published(settings: Settings, *named: str | Policy) -> Published:
    """The last publication, with the characteristics that the named policies ask for (see `policy_named`).

    Raises:
        DataProblem: there is none. WrongUse: a policy file cannot be used.
    """
    files = [file for name in named if (file := _file_of(name))]
    policies = [policy for file in files for policy in read_policies(file)]
    policies += [policy for policy in named if isinstance(policy, Policy)]
    cards = [rules.card for policy in policies for rules in policy.rules.values()]
    approved = Book(settings.policy).current.cards
    return require(read_published(settings.publication, cards=[*cards, *approved]))


def policy_named(
    name: str | Policy, published: Published, day: date, versions: Versions | None = None
) -> Policy:
    """A policy by its file (the version in effect on a day, else the newest), or by its version.

    Args:
        name: of the file or the version; a policy itself is returned as it is.
        published: has the versions of the file of policies.
        day: of the shop.
        versions: has those that officers approved, too.

    Raises:
        WrongUse: there is none; names the published versions.
    """
    if isinstance(name, Policy):
        return name
    file = _file_of(name)
    if file is not None:
        policies = read_policies(file)
        return in_effect(policies, day) or policies[-1]
    versions = versions or Versions(published.policies, State(), UTC)
    if policy := versions.named(name):
        return policy
    names = ", ".join(versions.names)
    raise WrongUse(f"there is no policy {name}: give a .csv file, or a published version ({names})")


def _file_of(name: str | Policy) -> Path | None:
    if isinstance(name, Policy):
        return None
    return Path(name).expanduser() if name.endswith(".csv") or "/" in name else None


def diff(settings: Settings, old: str | Policy, new: str | Policy, baskets: Sequence[Decimal]) -> PolicyDiff:
    """Compare two policies on the customers of the last published day: gains, losses, cost and profit.

    Each customer is asked alone, so no cap of the day is reached. Expected profit is the margin where the
    outcome is good, less the cost of failure where it is bad. Both policies are valued by the margins, costs
    and probabilities of the new one, so that only what they grant makes a difference.

    Raises:
        DataProblem: nothing is published. WrongUse: a policy cannot be used.
    """
    published = last_published(settings, old, new)
    answers = Answers(settings)
    today, versions = answers.today(), answers.versions_of(published)
    before, after = (policy_named(name, published, today, versions) for name in (old, new))
    rows: list[DiffRow] = []
    examples: list[DiffExample] = []
    for method in DECISIONS:
        standings = {
            customer: published.standing(customer, method, age_days=0)
            for customer in (key.decode() for key in published.keys)
        }
        rules_of_both = (before.rules[method], after.rules[method])
        card = published.cards.get(method)
        for basket in baskets:
            row, differing = _compare(Question(method, basket), standings, card, rules_of_both)
            rows.append(row)
            examples += differing
    return {
        "as_of": published.as_of,
        "simulated": published.simulated,
        "old": before.version,
        "new": after.version,
        "customers": len(published.keys),
        "rows": rows,
        "examples": list(_spread(examples)),
    }


@dataclass
class _Expected:
    """Sums over many answers: how many are a yes or partial, and the expected cost and profit."""

    yes: int = 0
    partial: int = 0
    cost: float = 0.0
    profit: float = 0.0

    def add(self, answer: Verdict, probability: float | None, rules: Rules, basket: Decimal) -> None:
        self.yes += answer.decision == YES
        self.partial += answer.decision == PARTIAL
        if answer.granted and probability is not None:
            lost = probability * float(rules.failure_cost_share * answer.granted)
            self.cost += lost
            self.profit += (1 - probability) * float(rules.margin_share * basket) - lost


def _compare(
    question: Question,
    standings: Mapping[str, Standing],
    card: Scorecard | None,
    rules: tuple[Rules, Rules],
) -> tuple[DiffRow, list[DiffExample]]:
    """The row of one question, and each customer to whom the old and the new rules give different answers."""
    sums = (_Expected(), _Expected())
    gain = lose = 0
    examples: list[DiffExample] = []
    for customer, standing in standings.items():
        before, after = (verdict(question, standing, card or version.card, version) for version in rules)
        for answer, total in zip((before, after), sums, strict=True):
            total.add(answer, after.probability, rules[1], question.basket)
        gain += before.decision != YES == after.decision
        lose += before.decision == YES != after.decision
        if before.decision != after.decision:
            examples.append(
                {
                    "customer_id": customer,
                    "decision": question.method,
                    "basket": money(question.basket),
                    "before": before.decision,
                    "after": after.decision,
                    "limit_before": money(before.limit),
                    "limit_after": money(after.limit),
                }
            )
    old, new = sums
    row: DiffRow = {
        "decision": question.method,
        "basket": money(question.basket),
        "gain": gain,
        "lose": lose,
        "yes_before": old.yes,
        "partial_before": old.partial,
        "cost_before": round(old.cost, 2),
        "profit_before": round(old.profit, 2),
        "yes_after": new.yes,
        "partial_after": new.partial,
        "cost_after": round(new.cost, 2),
        "profit_after": round(new.profit, 2),
    }
    return row, examples


def _spread(examples: Sequence[DiffExample]) -> Iterator[DiffExample]:
    """At most `EXAMPLES` of them, from all decisions and baskets, each of another customer."""
    seen: set[str] = set()
    step = max(1, len(examples) // EXAMPLES)
    for example in [*examples[::step], *examples]:
        if len(seen) < EXAMPLES and example["customer_id"] not in seen:
            seen.add(example["customer_id"])
            yield example


def compare_shadow(settings: Settings, days: int = OUTCOME_DAYS) -> ShadowComparison:
    """The live and the shadow policy on past answers, by what happened within so many days.

    Only the last answer to each question of a customer with an id counts, and only days so long ago that the
    outcome is published. Customers who were refused have outcomes too: they paid for what they bought
    otherwise.

    Raises:
        DataProblem: nothing is published.
    """
    published = last_published(settings)
    receipts = Receipts(settings.receipts, settings.receipt_months)
    past = _past_answers(receipts, last_day=published.as_of - timedelta(days=days))
    policies: dict[str, Policy] = {}
    rows, notes = [], []
    for method in DECISIONS:
        has_failed, note = _outcomes(published.file, method, days)
        notes.append(note)
        count = failed = agree = 0
        live, shadow = _Actual(), _Actual()
        for receipt in past.receipts:
            question = receipt["question"]
            if question["method"] != method or receipt["customer"] is None:
                continue
            is_failed = has_failed(receipt["customer"], date.fromisoformat(receipt["day"]))
            count, failed = count + 1, failed + is_failed
            agree += receipt["answer"]["decision"] == receipt["shadow"]["answer"]["decision"]
            for total, kept in ((live, receipt), (shadow, receipt["shadow"])):
                if kept["policy"] not in policies:
                    policies[kept["policy"]] = receipts.policy(kept["policy"])
                rules = policies[kept["policy"]].rules[method]
                total.add(kept["answer"], rules, Decimal(question["basket"]), is_failed)
        rows.append(_shadow_row(method, count, failed, agree, live, shadow))
    return {
        "days": days,
        "receipts": len(past.receipts),
        "waiting": past.waiting,
        "shadow": ", ".join(sorted(past.shadows)) or None,
        "rows": rows,
        "notes": notes,
    }


@dataclass
class _PastAnswers:
    """Answers with a shadow's beside them; `shadows` are the versions of the shadows."""

    # the last receipt of each question whose outcome is known, and how many receipts wait for theirs
    receipts: list[Receipt] = field(default_factory=list)
    waiting: int = 0
    shadows: set[str] = field(default_factory=set)


def _past_answers(receipts: Receipts, last_day: date) -> _PastAnswers:
    past = _PastAnswers()
    last_answers: dict[tuple[str | int | None, ...], Receipt] = {}
    for receipt in receipts.since(date.min, date.max):
        if "shadow" not in receipt or receipt["customer"] is None:
            continue
        past.shadows.add(receipt["shadow"]["answer"]["policy_version"])
        if receipt["day"] > last_day.isoformat():
            past.waiting += 1
            continue
        question = receipt["question"]
        basket_and_plan = (question["method"], question["basket"], question["months"])
        last_answers[receipt["day"], receipt["customer"], *basket_and_plan] = receipt
    past.receipts = list(last_answers.values())
    return past


@dataclass
class _Actual:
    """Sums over many answers: how many are a yes or partial, and the cost and profit that followed."""

    yes: int = 0
    partial: int = 0
    cost: Decimal = Decimal(0)
    profit: Decimal = Decimal(0)

    def add(self, answer: Answer, rules: Rules, basket: Decimal, is_failed: bool) -> None:
        self.yes += answer["decision"] == YES
        self.partial += answer["decision"] == PARTIAL
        granted = Decimal(answer["granted"])
        if granted and is_failed:
            self.cost += rules.failure_cost_share * granted
            self.profit -= rules.failure_cost_share * granted
        elif granted:
            self.profit += rules.margin_share * basket


def _shadow_row(
    method: str, receipts: int, failed: int, agree: int, live: _Actual, shadow: _Actual
) -> ShadowRow:
    return {
        "decision": method,
        "receipts": receipts,
        "failed": failed,
        "agree": agree,
        "yes_live": live.yes,
        "partial_live": live.partial,
        "cost_live": money(live.cost),
        "profit_live": money(live.profit),
        "yes_shadow": shadow.yes,
        "partial_shadow": shadow.partial,
        "cost_shadow": money(shadow.cost),
        "profit_shadow": money(shadow.profit),
    }


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
