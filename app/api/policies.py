"""What another policy would change: on the last published day, and on past answers as they turned out.

Both go by the very function that decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from app.api.answers import Answers
from app.api.published import Published, read_published
from app.api.receipts import Receipts
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import Settings
from goodstanding.decisions.decide import PARTIAL, YES, Question, Verdict, money, verdict
from goodstanding.decisions.policy import DECISIONS, EMI, Policy, Rules, in_effect, read_policies

BASKETS = ("50.00", "120.00", "300.00")
EXAMPLES = 10
OUTCOME_DAYS = 30


def last_published(settings: Settings, *named: str) -> Published:
    """The last publication with everybody in it, and what the policies named (as for `policy_named`) ask for.

    Raises:
        DataProblem: there is none. WrongUse: a policy file cannot be used.
    """
    files = [each for name in named if (each := _file_of(name))]
    cards = [
        rules.card for each in files for policy in read_policies(each) for rules in policy.rules.values()
    ]
    published = read_published(settings.publication, cards=cards)
    if published is None:
        raise DataProblem("nothing is published yet; run `goodstanding run` first")
    return published


def policy_named(name: str, published: Published, day: date) -> Policy:
    """A policy by its file (the version in effect on a day, else the newest) or as a published version.

    Raises:
        WrongUse: there is none; names what there is.
    """
    file = _file_of(name)
    if file is not None:
        found = read_policies(file)
        return in_effect(found, day) or found[-1]
    for each in published.policies:
        if each.version == name:
            return each
    versions = ", ".join(each.version for each in published.policies)
    raise WrongUse(f"there is no policy {name}: give a .csv file, or a published version ({versions})")


def _file_of(name: str) -> Path | None:
    return Path(name).expanduser() if name.endswith(".csv") or "/" in name else None


def diff(settings: Settings, old: str, new: str, baskets: Sequence[Decimal]) -> dict[str, Any]:
    """How many customers of the last published day gain or lose what, at stated baskets; cost and profit.

    Each customer is asked alone, so no cap of the day is reached. Expected profit: the margin where it goes
    well, less the cost of failure where it does not. Both policies are valued by the margins, costs and
    probabilities of the new one, so what differs is what they grant.

    Returns:
        {as_of, old, new: versions, customers, simulated, rows: per decision and basket {gain, lose, and each
        before and after: yes, partial, cost, profit}, examples}. Gain and lose count who comes to a yes or
        leaves it; an example is a pseudonym with both answers.

    Raises:
        DataProblem: nothing is published. WrongUse: a policy cannot be used.
    """
    published = last_published(settings, old, new)
    today = Answers(settings).today()
    policies = [policy_named(name, published, today) for name in (old, new)]
    rows, examples = [], []
    for method in DECISIONS:
        standings = [published.standing(key.decode(), method, age_days=0) for key in published.keys]
        card = published.cards.get(method)
        for basket in baskets:
            question = Question(method, basket)
            row: dict[str, Any] = {"decision": method, "basket": money(basket), "gain": 0, "lose": 0}
            sums = [_Sums(), _Sums()]
            for key, standing in zip(published.keys, standings, strict=True):
                told = [
                    verdict(question, standing, card or rules.card, rules)
                    for rules in (policy.rules[method] for policy in policies)
                ]
                for answer, total in zip(told, sums, strict=True):
                    total.add(answer, told[1].probability, policies[1].rules[method], basket)
                before, after = (answer.decision for answer in told)
                row["gain"] += before != YES == after
                row["lose"] += before == YES != after
                if before != after:
                    examples.append(
                        {
                            "customer_id": key.decode(),
                            "decision": method,
                            "basket": money(basket),
                            "before": before,
                            "after": after,
                            "limit_before": money(told[0].limit),
                            "limit_after": money(told[1].limit),
                        }
                    )
            for when, total in zip(("before", "after"), sums, strict=True):
                row |= {f"{name}_{when}": value for name, value in total.figures().items()}
            rows.append(row)
    return {
        "as_of": published.as_of,
        "simulated": published.simulated,
        "old": policies[0].version,
        "new": policies[1].version,
        "customers": len(published.keys),
        "rows": rows,
        "examples": list(_spread(examples)),
    }


@dataclass
class _Sums:
    """Of many answers: how many a yes or a part, and what is expected of them."""

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

    def figures(self) -> dict[str, Any]:
        return {
            "yes": self.yes,
            "partial": self.partial,
            "cost": round(self.cost, 2),
            "profit": round(self.profit, 2),
        }


def _spread(examples: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Ten of them from all decisions and baskets; each customer once."""
    seen: set[str] = set()
    step = max(1, len(examples) // EXAMPLES)
    for each in [*examples[::step], *examples]:
        if len(seen) < EXAMPLES and each["customer_id"] not in seen:
            seen.add(each["customer_id"])
            yield each


def compare_shadow(settings: Settings, days: int = OUTCOME_DAYS) -> dict[str, Any]:
    """The live and the shadow policy on past answers, by what came of them within so many days.

    Counted is the last answer to each question of a customer with an id, of days that lie so far back that
    the outcome is published. Who was refused has outcomes, too: what they bought was paid otherwise.

    Returns:
        {days, receipts, waiting: receipts whose outcome is not known yet, shadow: version or None, rows: per
        decision {receipts, failed, agree, and per policy yes, partial, cost, profit}, notes: on outcomes}.

    Raises:
        DataProblem: nothing is published.
    """
    published = last_published(settings)
    receipts = Receipts(settings.receipts, settings.receipt_months)
    last = published.as_of - timedelta(days=days)
    questions: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    waiting, shadows = 0, set()
    for receipt in receipts.since(date.min, date.max):
        if "shadow" not in receipt or receipt["customer"] is None:
            continue
        shadows.add(receipt["shadow"]["answer"]["policy_version"])
        if receipt["day"] > last.isoformat():
            waiting += 1
            continue
        asked = receipt["question"]
        key = (receipt["day"], receipt["customer"], asked["method"], asked["basket"], asked["months"])
        questions[key] = receipt
    known: dict[str, Policy] = {}
    rows, notes = [], []
    for method in DECISIONS:
        has_failed, note = _outcomes(published.file, method, days)
        notes.append(note)
        sums = {"live": _Outcomes(), "shadow": _Outcomes()}
        count = failed = agree = 0
        for each in questions.values():
            asked = each["question"]
            if asked["method"] != method:
                continue
            is_failed = has_failed(each["customer"], date.fromisoformat(each["day"]))
            count, failed = count + 1, failed + is_failed
            agree += each["answer"]["decision"] == each["shadow"]["answer"]["decision"]
            told: dict[str, Mapping[str, Any]] = {"live": each, "shadow": each["shadow"]}
            for mode, kept in told.items():
                if kept["policy"] not in known:
                    known[kept["policy"]] = receipts.policy(kept["policy"])
                rules = known[kept["policy"]].rules[method]
                sums[mode].add(kept["answer"], rules, Decimal(asked["basket"]), is_failed)
        row = {"decision": method, "receipts": count, "failed": failed, "agree": agree}
        for mode, total in sums.items():
            row |= {f"{name}_{mode}": value for name, value in total.figures().items()}
        rows.append(row)
    return {
        "days": days,
        "receipts": len(questions),
        "waiting": waiting,
        "shadow": ", ".join(sorted(shadows)) or None,
        "rows": rows,
        "notes": notes,
    }


@dataclass
class _Outcomes:
    """What the answers of a policy came to: with what the customers then did, not with probabilities."""

    yes: int = 0
    partial: int = 0
    cost: Decimal = Decimal(0)
    profit: Decimal = Decimal(0)

    def add(self, answer: Mapping[str, Any], rules: Rules, basket: Decimal, is_failed: bool) -> None:
        self.yes += answer["decision"] == YES
        self.partial += answer["decision"] == PARTIAL
        granted = Decimal(answer["granted"])
        if granted and is_failed:
            self.cost += rules.failure_cost_share * granted
            self.profit -= rules.failure_cost_share * granted
        elif granted:
            self.profit += rules.margin_share * basket

    def figures(self) -> dict[str, Any]:
        return {
            "yes": self.yes,
            "partial": self.partial,
            "cost": money(self.cost),
            "profit": money(self.profit),
        }


def _outcomes(
    file: duckdb.DuckDBPyConnection, method: str, days: int
) -> tuple[Callable[[str, date], bool], str]:
    """Whether what was granted to a customer on a day failed within so many days, and what that means."""
    if method == EMI:
        late = _by_customer(
            file,
            "select customer_id, as_of from published.marts.payment_behaviour where overdue_instalments > 0",
            "payment_behaviour where instalments > 0",
        )
        if late is not None:
            note = "emi: failed where an instalment is overdue as of a month end in the days after"
            return lambda customer, day: _is_within(late.get(customer, ()), day, days), note
    returned = _by_customer(
        file,
        """
        select distinct customer_id, event_day from published.marts.order_lines
        where invoice_kind = 'cancellation' and is_product and customer_id is not null
        """,
        "order_lines",
    )
    found = returned or {}
    note = f"{method}: failed where the customer cancelled or returned a product in the days after"
    if method == EMI:
        note += ", for want of payments"
    return lambda customer, day: _is_within(found.get(customer, ()), day, days), note


def _is_within(moments: Iterable[date], day: date, days: int) -> bool:
    return any(day < each <= day + timedelta(days=days) for each in moments)


def _by_customer(file: duckdb.DuckDBPyConnection, sql: str, known: str) -> dict[str, list[date]] | None:
    """The days of each customer; None where there is no such table, or no row of what must be known."""
    table = known.split()[0]
    there = file.execute(
        "select count(*) from duckdb_tables() where database_name = 'published' and table_name = ?", [table]
    ).fetchall()
    if there == [(0,)] or file.execute(f"select count(*) from published.marts.{known}").fetchall() == [(0,)]:
        return None
    found: dict[str, list[date]] = {}
    for customer, day in file.execute(sql).fetchall():
        found.setdefault(customer, []).append(day)
    return found
