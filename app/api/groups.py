"""Counts how often the policy approves the customers of each group, such as women and men.

Whether a policy treats groups alike cannot be seen without knowing the groups, and decisions must not know
them. So `goodstanding.ingest.groups` reads the groups only when this command asks; they are counted and not
kept. A group of fewer than `FEWEST` people has no rate, and no single person is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import TypedDict

import pandas as pd
from scipy.stats import binomtest
from scipy.stats.contingency import relative_risk

from app.api.policies import policy_asked_about
from goodstanding.core.settings import Settings
from goodstanding.decisions.decide import YES, Question, money, verdict
from goodstanding.decisions.policy import DECISIONS
from goodstanding.ingest.groups import read_groups

FEWEST = 20
# An enforcement agency takes a rate below four fifths of the most approved group's for evidence of adverse
# impact (29 CFR 1607.4(D), which is about hiring and is used as a yardstick elsewhere).
FOUR_FIFTHS = 0.80
# This product's own, earlier line of attention.
ATTENTION = 0.90
NOT_STATED = "not stated"
TOO_FEW = "too few to tell"
# The 95 % confidence interval of a rate or ratio: its lower and upper end.
Interval = tuple[float, float]


class GroupRates(TypedDict):
    """How often one group is approved; groups of fewer than `FEWEST` people are one row without rates."""

    # the group, or `TOO_FEW`
    value: str
    customers: int
    # the share that is answered yes
    rate: float | None
    rate_interval: Interval | None
    # of this rate to that of the most approved group of the column
    ratio: float | None
    ratio_interval: Interval | None
    # the line of attention that the ratio is below: `FOUR_FIFTHS`, `ATTENTION` or None
    below: float | None


class GroupRow(GroupRates):
    """The same for one decision and basket; `column` is the one of the mapping that names the groups."""

    decision: str
    basket: str
    column: str


class ApprovalRates(TypedDict):
    """How often one version of the policy approves each group, on the last published day."""

    as_of: date
    simulated: bool
    # its version
    policy: str
    # published customers
    customers: int
    # lines of the file of groups
    people: int
    # people of the file who are published customers, and who are not
    asked: int
    unmatched: int
    rows: list[GroupRow]


def approval_rates(
    settings: Settings, baskets: Sequence[Decimal], policy: str | None = None
) -> ApprovalRates:
    """Count the customers of each group who are approved at given baskets, on the last published day.

    Each customer is asked alone, as by `app.api.policies.diff`, and the policy is named in the same way;
    without a name it is the live one.

    Raises:
        DataProblem: nothing is published, no policy is in effect, or the file of groups cannot be read.
        WrongUse: the mapping names no such file, or there is no such file or policy.
    """
    published, asked_about = policy_asked_about(settings, policy)
    people = read_groups(settings)
    known = people[[published.find(customer) is not None for customer in people.index]]
    rows: list[GroupRow] = []
    for method in DECISIONS:
        standings = [published.standing(customer, method, age_days=0) for customer in known.index]
        rules = asked_about.rules[method]
        card = published.cards.get(method) or rules.card
        for basket in baskets:
            question = Question(method, basket)
            is_yes = pd.Series(
                [verdict(question, standing, card, rules).decision == YES for standing in standings],
                index=known.index,
                dtype=bool,
            )
            for column in known.columns:
                rows += [
                    {"decision": method, "basket": money(basket), "column": column, **rates}
                    for rates in by_group(known[column], is_yes)
                ]
    return {
        "as_of": published.as_of,
        "simulated": published.simulated,
        "policy": asked_about.version,
        "customers": len(published.keys),
        "people": len(people),
        "asked": len(known),
        "unmatched": len(people) - len(known),
        "rows": rows,
    }


def by_group(values: pd.Series, is_yes: pd.Series) -> list[GroupRates]:
    """The rates of each value of one column; both series are of shape (people,)."""
    counted = is_yes.groupby(values.fillna(NOT_STATED)).agg(["size", "sum"])
    large = counted[counted["size"] >= FEWEST].sort_index()
    groups = [(str(value), int(count), int(yes)) for value, count, yes in large.itertuples()]
    most = max(groups, key=lambda group: group[2] / group[1], default=None)
    rows: list[GroupRates] = []
    for value, count, yes in groups:
        ratio = limits = below = None
        if most is not None and most[2]:
            ratio = (yes / count) / (most[2] / most[1])
            below = next((line for line in (FOUR_FIFTHS, ATTENTION) if ratio < line), None)
            if value != most[0]:
                limits = ratio_limits(yes, count, most[2], most[1])
        rows.append(
            {
                "value": value,
                "customers": count,
                "rate": yes / count,
                "rate_interval": rate_limits(yes, count),
                "ratio": ratio,
                "ratio_interval": limits,
                "below": below,
            }
        )
    few = int(counted["size"].sum() - large["size"].sum())
    if few:
        rows.append(
            {
                "value": TOO_FEW,
                "customers": few,
                "rate": None,
                "rate_interval": None,
                "ratio": None,
                "ratio_interval": None,
                "below": None,
            }
        )
    return rows


def rate_limits(yes: int, count: int) -> Interval:
    """The 95 % confidence interval of a rate (Wilson 1927, "Probable inference, the law of succession, and
    statistical inference", JASA 22)."""
    limits = binomtest(yes, count).proportion_ci(method="wilson")
    return float(limits.low), float(limits.high)


def ratio_limits(yes: int, count: int, of_yes: int, of_count: int) -> Interval | None:
    """The 95 % confidence interval of the ratio of two rates, by its logarithm; None where one of them is 0.

    Katz et al. 1978, "Obtaining confidence intervals for the risk ratio in cohort studies", Biometrics 34. It
    does not account for the other group being the most approved of many: among many groups that are treated
    alike, ratios come out somewhat below 1.
    """
    if not yes or not of_yes:
        return None
    limits = relative_risk(yes, count, of_yes, of_count).confidence_interval()
    return float(limits.low), float(limits.high)
