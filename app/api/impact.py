"""Finds the decisions that a change of the SQL changes: both versions are asked about every customer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TypedDict

from app.api.answers import Answers
from app.api.published import Published, read_published
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import POLICY, Settings
from goodstanding.decisions.decide import YES, Question, Verdict, money, verdict
from goodstanding.decisions.policy import DECISIONS, Policy

EXAMPLES = 5


class DecisionExample(TypedDict):
    """A customer who gets another answer."""

    customer_id: str
    before: str
    after: str
    limit_before: str
    limit_after: str


class DecisionChange(TypedDict):
    """How the answers to one question change, where it is asked for every customer separately."""

    #: cod or emi
    decision: str
    #: money of the order, in whole cents
    basket: str
    customers: int
    #: who gets another answer
    changed: int
    #: who comes to a yes, and who loses it
    gain: int
    lose: int
    #: how many are answered yes
    yes_before: int
    yes_after: int
    #: the changed by both answers, like "yes to no"
    moves: dict[str, int]
    #: whose limit differs, with the same answer or another
    other_limit: int
    examples: list[DecisionExample]


def decision_changes(
    settings: Settings, before: Path, after: Path, baskets: Sequence[Decimal]
) -> list[DecisionChange]:
    """Ask both versions for every customer at stated baskets, each by its own policy in effect today.

    No cap of the day is reached, as in `app.api.policies.diff`.

    Args:
        settings: of the process.
        before: the file of the base, like a publication.
        after: the file of the working tree.
        baskets: in whole cents.

    Raises:
        DataProblem: a version has no policy in effect today.
    """
    today = Answers(settings).today()
    versions = [_read(path) for path in (before, after)]
    policies = [_policy(version, today) for version in versions]
    customers = sorted({key.decode() for version in versions for key in version.keys})
    changes = []
    for method in DECISIONS:
        standings = [
            [version.standing(customer, method, age_days=0) for customer in customers] for version in versions
        ]
        for basket in baskets:
            question = Question(method, basket)
            answers = [
                [
                    verdict(
                        question,
                        standing,
                        version.cards.get(method) or policy.rules[method].card,
                        policy.rules[method],
                    )
                    for standing in of_version
                ]
                for version, policy, of_version in zip(versions, policies, standings, strict=True)
            ]
            changes.append(_change(question, customers, *answers))
    return changes


def _change(
    question: Question, customers: Sequence[str], before: Sequence[Verdict], after: Sequence[Verdict]
) -> DecisionChange:
    pairs = list(zip(customers, before, after, strict=True))
    changed = [pair for pair in pairs if pair[1].decision != pair[2].decision]
    moves = Counter(f"{old.decision} to {new.decision}" for _, old, new in changed)
    return {
        "decision": question.method,
        "basket": money(question.basket),
        "customers": len(customers),
        "changed": len(changed),
        "gain": sum(new.decision == YES for _, _, new in changed),
        "lose": sum(old.decision == YES for _, old, _ in changed),
        "yes_before": sum(answer.decision == YES for answer in before),
        "yes_after": sum(answer.decision == YES for answer in after),
        "moves": dict(sorted(moves.items())),
        "other_limit": sum(old.limit != new.limit for _, old, new in pairs),
        "examples": [
            {
                "customer_id": customer,
                "before": old.decision,
                "after": new.decision,
                "limit_before": money(old.limit),
                "limit_after": money(new.limit),
            }
            for customer, old, new in changed[:EXAMPLES]
        ],
    }


def _read(path: Path) -> Published:
    version = read_published(path)
    if version is None:
        raise DataProblem(f"{path} is gone")
    return version


def _policy(version: Published, today: date) -> Policy:
    policy = version.policy(today)
    if policy is None:
        raise DataProblem(f"no policy is in effect on {today}; add a version to {POLICY.name}")
    return policy
