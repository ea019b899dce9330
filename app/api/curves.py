"""Shows what each cut-off of a policy would grant, lose and earn, asked of every customer of today.

A cut-off is the chance of a bad outcome up to which the answer is yes. Everything else is as the policy has
it: its caps, what it costs and earns, and the band above in which a part payment is asked for. So the cut-off
that earns the most can be held against the threshold that the policy has by its margins and costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import TypedDict

from app.api.policies import Expected, policy_asked_about, standings_of_all
from goodstanding.core.settings import Settings
from goodstanding.decisions.decide import Question, Standing, money, verdict
from goodstanding.decisions.policy import DECISIONS, Rules
from goodstanding.decisions.scorecard import Scorecard

CUT_OFFS = tuple(Decimal(percent) / 100 for percent in (0, 2, 5, 10, 15, 20, 25, 30, 35, 40, 50, 70, 100))


class CurveRow(TypedDict):
    """One decision, basket and cut-off: the answers, and the expected loss and profit in money.

    `is_policy` marks the row with the policy's own threshold.
    """

    decision: str
    basket: str
    cut_off: float
    is_policy: bool
    yes: int
    partial: int
    no: int
    # the share of the customers who are answered yes
    approvals: float
    loss: float
    profit: float


class PolicyCurve(TypedDict):
    """What each cut-off would do to the customers of the last published day."""

    as_of: date
    simulated: bool
    # a version
    policy: str
    customers: int
    # by decision: of those asked for a part payment, the share who are reckoned to leave instead
    walk_away: dict[str, float]
    rows: list[CurveRow]


def curve(
    settings: Settings,
    policy: str | None,
    baskets: Sequence[Decimal],
    cut_offs: Sequence[Decimal] = CUT_OFFS,
    walk_away: Decimal | None = None,
) -> PolicyCurve:
    """The answers, expected loss and expected profit by cut-off.

    Args:
        settings: of the home.
        policy: as `policy_named` takes it; None: the live one.
        baskets: to ask of each customer, each of whom is asked alone.
        cut_offs: shares within 0 and 1; the policy's own threshold is added.
        walk_away: as of `policies.diff`.

    Raises:
        DataProblem: nothing is published, or no policy is in effect. WrongUse: the policy cannot be used.
    """
    published, chosen = policy_asked_about(settings, policy)
    rows: list[CurveRow] = []
    leaving: dict[str, float] = {}
    for method in DECISIONS:
        rules, card = chosen.rules[method], published.cards.get(method)
        if walk_away is not None:
            rules = replace(rules, walk_away_share=walk_away)
        leaving[method] = float(rules.walk_away_share)
        own = rules.priced_by(card or rules.card).threshold()
        standings = standings_of_all(published, method).values()
        for basket in baskets:
            for cut_off in sorted({*map(float, cut_offs), own}):
                asked = Question(method, basket)
                rows.append(_row(asked, standings, card or rules.card, rules, (cut_off, cut_off == own)))
    return {
        "as_of": published.as_of,
        "simulated": published.simulated,
        "policy": chosen.version,
        "customers": len(published.keys),
        "walk_away": leaving,
        "rows": rows,
    }


def _row(
    question: Question,
    standings: Iterable[Standing],
    card: Scorecard,
    rules: Rules,
    cut_off: tuple[float, bool],
) -> CurveRow:
    """The row of one cut-off, which comes with whether it is the policy's own."""
    total, asked, priced = Expected(), 0, rules.priced_by(card)
    for standing in standings:
        answer = verdict(question, standing, card, rules, cut_off[0])
        total.add(answer, answer.probability, priced, question.basket)
        asked += 1
    return {
        "decision": question.method,
        "basket": money(question.basket),
        "cut_off": round(cut_off[0], 4),
        "is_policy": cut_off[1],
        "yes": total.yes,
        "partial": total.partial,
        "no": asked - total.yes - total.partial,
        "approvals": round(total.yes / asked, 4) if asked else 0.0,
        "loss": round(total.cost, 2),
        "profit": round(total.profit, 2),
    }
