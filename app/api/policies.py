"""Shows what another policy would change for the customers of today, by `decide.verdict`, which decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TypedDict

from app.api.answers import Answers
from app.api.policy_book import Book, Versions
from app.api.published import Published, read_published, require
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import POLICY, Settings
from goodstanding.decisions.decide import PARTIAL, YES, Question, Standing, Verdict, money, verdict
from goodstanding.decisions.policy import DECISIONS, Policy, Rules, in_effect, read_policies
from goodstanding.decisions.scorecard import Scorecard

BASKETS = ("50.00", "120.00", "300.00")
EXAMPLES = 10


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
    # by decision: of those asked for a part payment, the share who are reckoned to leave instead
    walk_away: dict[str, float]
    rows: list[DiffRow]
    # at most `EXAMPLES`, each of another customer
    examples: list[DiffExample]


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


def policy_asked_about(settings: Settings, name: str | None) -> tuple[Published, Policy]:
    """The last publication, and a policy by its name (`policy_named`); None: the live one.

    Raises:
        DataProblem: nothing is published, or no policy is in effect. WrongUse: the policy cannot be used.
    """
    published = last_published(settings, *([name] if name else []))
    answers = Answers(settings)
    today, versions = answers.today(), answers.versions_of(published)
    if name is not None:
        return published, policy_named(name, published, today, versions)
    live = versions.live(today, versions.state.now)
    if live is None:
        raise DataProblem(f"no policy is in effect on {today}; add a version to {POLICY.name}")
    return published, live


def policy_named(name: str | Policy, published: Published, day: date, versions: Versions) -> Policy:
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
    if policy := versions.named(name):
        return policy
    names = ", ".join(versions.names)
    raise WrongUse(f"there is no policy {name}: give a .csv file, or a published version ({names})")


def _file_of(name: str | Policy) -> Path | None:
    if isinstance(name, Policy):
        return None
    return Path(name).expanduser() if name.endswith(".csv") or "/" in name else None


def diff(
    settings: Settings,
    old: str | Policy,
    new: str | Policy,
    baskets: Sequence[Decimal],
    walk_away: Decimal | None = None,
) -> PolicyDiff:
    """Compare two policies on the customers of the last published day: gains, losses, cost and profit.

    Each customer is asked alone, so no cap of the day is reached. Expected profit is the margin where the
    outcome is good, less the cost of failure where it is bad. Both policies are valued by the margins, costs
    and probabilities of the new one, so that only what they grant makes a difference.

    Args:
        settings: of the home.
        old: a policy (`policy_named`).
        new: likewise.
        baskets: to ask of each customer.
        walk_away: of those asked for a part payment, the share who leave instead and buy nothing; None: as
            the new policy has it.

    Raises:
        DataProblem: nothing is published. WrongUse: a policy cannot be used.
    """
    published = last_published(settings, old, new)
    answers = Answers(settings)
    today, versions = answers.today(), answers.versions_of(published)
    before, after = (policy_named(name, published, today, versions) for name in (old, new))
    rows: list[DiffRow] = []
    examples: list[DiffExample] = []
    leaving: dict[str, Decimal] = {}
    for method in DECISIONS:
        standings = standings_of_all(published, method)
        leaving[method] = after.rules[method].walk_away_share if walk_away is None else walk_away
        rules_of_both = (
            before.rules[method],
            replace(after.rules[method], walk_away_share=leaving[method]),
        )
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
        "walk_away": {method: float(share) for method, share in leaving.items()},
        "rows": rows,
        "examples": list(_spread(examples)),
    }


def standings_of_all(published: Published, method: str) -> dict[str, Standing]:
    """The standing of each published customer, by pseudonym, as of the day of the data."""
    names = (key.decode() for key in published.keys)
    return {name: published.standing(name, method, age_days=0) for name in names}


@dataclass
class Expected:
    """Sums over many answers: how many are a yes or partial, and the expected cost and profit.

    Who is asked for a part payment leaves with the chance that the rules state, and then earns and costs
    nothing.
    """

    yes: int = 0
    partial: int = 0
    cost: float = 0.0
    profit: float = 0.0

    def add(self, answer: Verdict, probability: float | None, rules: Rules, basket: Decimal) -> None:
        """Count an answer.

        Args:
            answer: to the question of the basket.
            probability: of a bad outcome; None: it is not known, and neither earns nor costs.
            rules: whose margin and losses (`Rules.priced_by` a card) are reckoned with.
            basket: what was asked for.
        """
        self.yes += answer.decision == YES
        self.partial += answer.decision == PARTIAL
        if answer.granted and probability is not None:
            stay = 1 - float(rules.walk_away_share) if answer.decision == PARTIAL else 1.0
            lost = probability * float(rules.loss_share * answer.granted)
            self.cost += stay * lost
            self.profit += stay * ((1 - probability) * float(rules.margin_share * basket) - lost)


def _compare(
    question: Question,
    standings: Mapping[str, Standing],
    card: Scorecard | None,
    rules: tuple[Rules, Rules],
) -> tuple[DiffRow, list[DiffExample]]:
    """The row of one question, and each customer to whom the old and the new rules give different answers."""
    sums = (Expected(), Expected())
    gain = lose = 0
    examples: list[DiffExample] = []
    priced = rules[1].priced_by(card or rules[1].card)
    for customer, standing in standings.items():
        before, after = (verdict(question, standing, card or version.card, version) for version in rules)
        for answer, total in zip((before, after), sums, strict=True):
            total.add(answer, after.probability, priced, question.basket)
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
