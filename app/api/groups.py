"""How often each group is granted: the live policy asked for everybody, told by groups that no score knows.

Whether a policy treats groups alike cannot be seen without knowing the groups, and decisions must not know
them. So they are read when this is asked for (`goodstanding.ingest.groups`), counted, and forgotten. Nothing
is told of a group of fewer than `FEWEST` people, and nothing of a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pandas as pd
from scipy.stats import binomtest
from scipy.stats.contingency import relative_risk

from app.api.answers import Answers
from app.api.policies import last_published, policy_named
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import POLICY, Settings
from goodstanding.decisions.decide import YES, Question, money, verdict
from goodstanding.decisions.policy import DECISIONS
from goodstanding.ingest.groups import read_groups

FEWEST = 20
# Below four fifths of the most approved group's rate an enforcement agency takes a rate for evidence of
# adverse impact (29 CFR 1607.4(D), which is about hiring and used as a yardstick elsewhere).
FOUR_FIFTHS = 0.80
# what the product looks at already
ATTENTION = 0.90
NOT_STATED = "not stated"
TOO_FEW = "too few to tell"
Interval = tuple[float, float]


def approval_rates(
    settings: Settings, baskets: Sequence[Decimal], policy: str | None = None
) -> dict[str, Any]:
    """Of each group of customers of the last published day: how many are answered yes at stated baskets.

    Each customer is asked alone, as by `app.api.policies.diff`, and so is a policy named. Default: the live
    one.

    Returns:
        {as_of, simulated, policy: version, customers: published, people: lines of the file, asked: who are
        both, unmatched: people who are no published customer, rows}. A row is one group at one decision and
        basket: {decision, basket, column, value, customers, rate, rate_interval, ratio (to the most approved
        group of the column), ratio_interval, below (the line that the ratio is under, else None)}. The groups
        with fewer than `FEWEST` people are one row, without rates. Intervals are of 95 %.

    Raises:
        DataProblem: nothing is published, no policy is in effect, or the file of groups cannot be read.
        WrongUse: the mapping names no such file, or it is not there; or there is no such policy.
    """
    published = last_published(settings, *([policy] if policy else []))
    today = Answers(settings).today()
    asked_of = published.policy(today) if policy is None else policy_named(policy, published, today)
    if asked_of is None:
        raise DataProblem(f"no policy is in effect on {today}; add a version to {POLICY.name}")
    people = read_groups(settings)
    known = people[[published.find(customer) is not None for customer in people.index]]
    rows = []
    for method in DECISIONS:
        standings = [published.standing(customer, method, age_days=0) for customer in known.index]
        rules = asked_of.rules[method]
        card = published.cards.get(method) or rules.card
        for basket in baskets:
            question = Question(method, basket)
            is_yes = pd.Series(
                [verdict(question, standing, card, rules).decision == YES for standing in standings],
                index=known.index,
                dtype=bool,
            )
            asked = {"decision": method, "basket": money(basket)}
            for column in known.columns:
                rows += [{**asked, "column": column, **row} for row in by_group(known[column], is_yes)]
    return {
        "as_of": published.as_of,
        "simulated": published.simulated,
        "policy": asked_of.version,
        "customers": len(published.keys),
        "people": len(people),
        "asked": len(known),
        "unmatched": len(people) - len(known),
        "rows": rows,
    }


def by_group(values: pd.Series, is_yes: pd.Series) -> list[dict[str, Any]]:
    """The rows of one column, by value: see `approval_rates`. Both series are of shape (people,)."""
    counted = is_yes.groupby(values.fillna(NOT_STATED)).agg(["size", "sum"])
    told = counted[counted["size"] >= FEWEST].sort_index()
    groups = [(str(value), int(count), int(yes)) for value, count, yes in told.itertuples()]
    most = max(groups, key=lambda group: group[2] / group[1], default=None)
    rows = []
    for value, count, yes in groups:
        ratio = ratio_interval = below = None
        if most is not None and most[2]:
            ratio = (yes / count) / (most[2] / most[1])
            below = next((line for line in (FOUR_FIFTHS, ATTENTION) if ratio < line), None)
            if value != most[0]:
                ratio_interval = ratio_limits(yes, count, most[2], most[1])
        rows.append(
            {
                "value": value,
                "customers": count,
                "rate": yes / count,
                "rate_interval": rate_limits(yes, count),
                "ratio": ratio,
                "ratio_interval": ratio_interval,
                "below": below,
            }
        )
    few = int(counted["size"].sum() - told["size"].sum())
    nothing = dict.fromkeys(("rate", "rate_interval", "ratio", "ratio_interval", "below"))
    return rows + ([{"value": TOO_FEW, "customers": few, **nothing}] if few else [])


def rate_limits(yes: int, count: int) -> Interval:
    """The 95 % interval of a rate (Wilson 1927, "Probable inference, the law of succession, and statistical
    inference", JASA 22)."""
    found = binomtest(yes, count).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def ratio_limits(yes: int, count: int, of_yes: int, of_count: int) -> Interval | None:
    """The 95 % interval of the ratio of two rates, by its logarithm (Katz et al. 1978, "Obtaining confidence
    intervals for the risk ratio in cohort studies", Biometrics 34); None where one of them is 0.

    The other group being the most approved one of many is not accounted for: with many groups alike, the
    ratios are somewhat below 1.
    """
    if not yes or not of_yes:
        return None
    found = relative_risk(yes, count, of_yes, of_count).confidence_interval()
    return float(found.low), float(found.high)
