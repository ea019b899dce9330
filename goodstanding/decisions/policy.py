"""Policy: what a shop grants to whom, as data in effect from a day to a day.

It is written in long form in `dbt_project/seeds/policy.csv`, one row per rule, and read strictly: a policy
that says something unknown, twice or not at all is refused, with file, line and key. Money and shares are
decimals.

Whether to grant follows from costs. Of a basket b that fails with probability p, a shop earns m b where it
does not and loses c b where it does (both shares of the basket, so that the threshold is the same for every
basket): it grants while p <= m / (m + c). Where a share s is paid beforehand only (1 - s) c is at risk, so
a part payment is asked for up to m / (m + (1 - s) c), and up to the same with a larger share a person may
still grant it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from goodstanding.core.errors import WrongUse
from goodstanding.core.vocabulary import CLASSES
from goodstanding.decisions.scorecard import Bin, Characteristic, Scorecard

COD, EMI = "cod", "emi"
DECISIONS = (COD, EMI)
BAD_OUTCOMES = {COD: "the order is refused or returned", EMI: "an instalment is not paid"}
UNKNOWN_CUSTOMER, FIRST_TIME_BUYER = "unknown_customer", "first_time_buyer"
STALE_DATA, NO_PUBLICATION = "stale_data", "no_publication"
SITUATIONS = (UNKNOWN_CUSTOMER, FIRST_TIME_BUYER, STALE_DATA, NO_PUBLICATION)
MODES = ("live", "shadow")
BASKET = "basket"
# what no score may rest on, by whatever name a shop's files have for it
PROTECTED = frozenset(
    """
    age age_band age_group birth_date birth_year birthday children citizenship civil_status country_of_birth
    date_of_birth disability dob education ethnicity family_status gender language marital_status marriage
    married nationality origin political_opinion pregnancy race religion sex sexual_orientation
    """.split()  # noqa: SIM905 - one name a line would be a page of them
)
COLUMNS = (
    "version",
    "mode",
    "effective_from",
    "effective_to",
    "decision",
    "rule",
    "applies_to",
    "above",
    "up_to",
    "value",
    "note",
)
Row = Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """Instalments over so many months at a nominal yearly rate, as a share."""

    months: int
    yearly_rate: Decimal


@dataclass(frozen=True)
class Rules:
    """What a policy says of one decision. Money in the shop's currency; see the module for the shares."""

    decision: str
    margin_share: Decimal
    failure_cost_share: Decimal
    part_payment_share: Decimal
    person_share: Decimal
    cap_customer: Mapping[str, Decimal]
    cap_day: Decimal
    stale_after_days: int
    limits: Mapping[str, Decimal]
    plans: tuple[Plan, ...]
    card: Scorecard

    def threshold(self, paid_share: Decimal = Decimal(0)) -> float:
        """The greatest chance of failure at which granting does not lose, with so much paid beforehand."""
        at_risk = self.failure_cost_share * (1 - paid_share)
        return float(self.margin_share / (self.margin_share + at_risk))

    def plan(self, months: int | None) -> Plan | None:
        """The plan of so many months, or None; without months, the shortest one."""
        if months is None:
            return self.plans[0] if self.plans else None
        return next((plan for plan in self.plans if plan.months == months), None)


@dataclass(frozen=True)
class Policy:
    """One version: its rules of each decision, and the rows that say so, in plain text."""

    version: str
    mode: str
    effective_from: date
    effective_to: date | None
    rules: Mapping[str, Rules]
    rows: tuple[Row, ...]

    def is_in_effect(self, day: date) -> bool:
        """Whether the day lies between the first and the last day, both included."""
        return self.effective_from <= day and (self.effective_to is None or day <= self.effective_to)

    @property
    def content_hash(self) -> str:
        """The SHA-256 of what it says, without its notes."""
        return hashlib.sha256(json.dumps(self.rows, sort_keys=True).encode()).hexdigest()


def in_effect(policies: Iterable[Policy], day: date, mode: str = "live") -> Policy | None:
    """The one policy of a mode that is in effect on a day, or None."""
    return next((each for each in policies if each.mode == mode and each.is_in_effect(day)), None)


def read_policies(path: Path) -> tuple[Policy, ...]:
    """All versions of a policy file.

    Raises:
        WrongUse: there is no such file, or it says something that is no policy; names file, line and key.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise WrongUse(f"{path}:1: its columns must be {','.join(COLUMNS)}")
            rows = [(f"{path}:{reader.line_num}", row) for row in reader]
    except OSError as error:
        raise WrongUse(f"{path}: there is no such policy file ({error.strerror})") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise WrongUse(f"{path}: no readable CSV: {error}") from None
    return parse_policies(rows)


def parse_policies(rows: Iterable[tuple[str, Mapping[str, str | None]]]) -> tuple[Policy, ...]:
    """Policies of rows, each with where it stands, in the order of their days.

    Raises:
        WrongUse: a row is none of a policy, or one is missing; names where and which key.
    """
    versions: dict[str, list[tuple[str, Row]]] = {}
    for where, row in rows:
        if None in row or None in (row.get(name) for name in COLUMNS):
            raise WrongUse(f"{where}: must have {len(COLUMNS)} fields")
        plain = {name: str(row[name]).strip() for name in COLUMNS if name != "note"}
        if not plain["version"]:
            raise WrongUse(f"{where}: version: is missing")
        versions.setdefault(plain["version"], []).append((where, plain))
    if not versions:
        raise WrongUse("there is no row in the policy")
    found = sorted((_policy(each) for each in versions.values()), key=lambda each: each.effective_from)
    for mode in MODES:
        for one, next_one in pairwise(each for each in found if each.mode == mode):
            if one.effective_to is None or one.effective_to >= next_one.effective_from:
                where = versions[next_one.version][0][0]
                raise WrongUse(
                    f"{where}: effective_from: version {next_one.version} begins on "
                    f"{next_one.effective_from}, before version {one.version} has ended (effective_to)"
                )
    return tuple(found)


def require_unprotected(card: Scorecard, where: str) -> None:
    """See that a scorecard rests on no protected attribute.

    Raises:
        WrongUse: it does; names which.
    """
    for each in card.characteristics:
        if each.name.lower() in PROTECTED:
            raise WrongUse(f"{where}: {each.name} is a protected attribute: no score may rest on it")


def monotone_in_basket(card: Scorecard) -> Scorecard:
    """The card with the points of each basket lowered to the fewest of all smaller baskets.

    So whoever is granted a basket is granted every smaller one, and there is a greatest one. A card whose
    points fall with the basket anyway is given back as it is.
    """
    changed = []
    for each in card.characteristics:
        if each.name == BASKET:
            fewest, bins = None, []
            for one in sorted(each.bins, key=_start):
                if not one.is_missing:
                    fewest = one.points if fewest is None else min(fewest, one.points)
                    one = Bin(fewest, one.above, one.up_to)
                bins.append(one)
            each = Characteristic(each.name, tuple(bins))
        changed.append(each)
    return replace(card, characteristics=tuple(changed))


def _start(one: Bin) -> float:
    """Where a bin begins, to put bins in the order of their values; what is missing comes last."""
    if one.is_missing:
        return math.inf
    return -math.inf if one.above is None else one.above


class _Reader:
    """The rows of one version and decision, from which each rule is taken once."""

    def __init__(self, version: str, decision: str, rows: Sequence[tuple[str, Row]], first: str) -> None:
        self.version, self.decision, self.first = version, decision, first
        self.left: dict[tuple[str, str, str, str], tuple[str, Row]] = {}
        for where, row in rows:
            key = (row["rule"], row["applies_to"], row["above"], row["up_to"])
            if key in self.left:
                _refuse(where, row, "is said twice")
            self.left[key] = (where, row)

    def take(self, rule: str, applies_to: str = "") -> tuple[str, Row]:
        key = (rule, applies_to, "", "")
        if key not in self.left:
            name = " ".join(filter(None, (self.decision, rule, applies_to)))
            raise WrongUse(f"{self.first}: version {self.version}: {name}: is missing")
        return self.left.pop(key)

    def take_all(self, rule: str) -> list[tuple[str, Row]]:
        return [self.left.pop(key) for key in list(self.left) if key[0] == rule]

    def share(self, rule: str, highest: str = "1") -> Decimal:
        return _number(*self.take(rule), lowest="0", highest=highest)

    def money(self, rule: str, applies_to: str = "") -> Decimal:
        where, row = self.take(rule, applies_to)
        amount = _number(where, row, lowest="0", highest="1e12")
        if amount != round(amount, 2):
            _refuse(where, row, f"'{row['value']}' is no sum of whole cents")
        return round(amount, 2)

    def count(self, rule: str, lowest: str = "0") -> int:
        return _whole(*self.take(rule), lowest=lowest)


def _policy(rows: list[tuple[str, Row]]) -> Policy:
    first, head = rows[0]
    version, mode = head["version"], head["mode"]
    if mode not in MODES:
        _refuse(first, head, f"mode is '{mode}'; it must be {' or '.join(MODES)}")
    for where, row in rows:
        for name in ("mode", "effective_from", "effective_to"):
            if row[name] != head[name]:
                _refuse(where, row, f"{name} is '{row[name]}', and '{head[name]}' at {first}")
        if row["decision"] not in DECISIONS:
            _refuse(where, row, f"decision is '{row['decision']}'; it must be {' or '.join(DECISIONS)}")
    begins = _day(first, head, "effective_from")
    ends = _day(first, head, "effective_to") if head["effective_to"] else None
    if ends and ends < begins:
        _refuse(first, head, f"effective_to is before effective_from ({begins})")
    return Policy(
        version=version,
        mode=mode,
        effective_from=begins,
        effective_to=ends,
        rules={decision: _rules(version, decision, rows) for decision in DECISIONS},
        rows=tuple(sorted((_canonical(row) for _, row in rows), key=lambda row: tuple(row.values()))),
    )


def _rules(version: str, decision: str, rows: list[tuple[str, Row]]) -> Rules:
    own = [(where, row) for where, row in rows if row["decision"] == decision]
    reader = _Reader(version, decision, own, rows[0][0])
    plans = sorted(
        (
            Plan(_whole(where, row, lowest="1", of="applies_to"), _number(where, row, "0", "10"))
            for where, row in reader.take_all("plan")
        ),
        key=lambda plan: plan.months,
    )
    if decision == COD and plans:
        raise WrongUse(f"{rows[0][0]}: version {version}: cod plan: only emi has instalment plans")
    if decision == EMI and not plans:
        raise WrongUse(f"{rows[0][0]}: version {version}: emi plan: is missing")
    card = Scorecard(
        model_id=f"hand-set-{decision}-{version}",
        decision=decision,
        bad_outcome=BAD_OUTCOMES[decision],
        base_points=reader.count("card_base_points", lowest="-10000"),
        anchor_score=reader.count("card_anchor_score"),
        anchor_odds=float(_number(*reader.take("card_anchor_odds"), lowest="0.000001", highest="1e9")),
        points_to_double=reader.count("card_points_to_double", lowest="1"),
        characteristics=_characteristics(reader),
    )
    require_unprotected(card, f"{rows[0][0]}: version {version}: {decision} points")
    rules = Rules(
        decision=decision,
        margin_share=_number(*reader.take("margin_share"), lowest="0.0001", highest="1"),
        failure_cost_share=_number(*reader.take("failure_cost_share"), lowest="0", highest="100"),
        part_payment_share=reader.share("part_payment_share", "0.9999"),
        person_share=reader.share("person_share"),
        cap_customer={each: reader.money("cap_customer", each) for each in reversed(CLASSES)},
        cap_day=reader.money("cap_day"),
        stale_after_days=reader.count("stale_after_days"),
        limits={each: reader.money("limit", each) for each in SITUATIONS},
        plans=tuple(plans),
        card=monotone_in_basket(card),
    )
    if rules.person_share < rules.part_payment_share:
        raise WrongUse(
            f"{rows[0][0]}: version {version}: {decision} person_share: must not be below part_payment_share"
        )
    for where, row in reader.left.values():
        _refuse(where, row, "there is no such rule")
    return rules


def _characteristics(reader: _Reader) -> tuple[Characteristic, ...]:
    bins: dict[str, list[tuple[str, Bin]]] = {}
    for where, row in reader.take_all("points"):
        above = float(_number(where, row, of="above")) if row["above"] else None
        up_to = float(_number(where, row, of="up_to")) if row["up_to"] else None
        each = Bin(_whole(where, row, lowest="-10000"), above, up_to)
        bins.setdefault(row["applies_to"], []).append((where, each))
    if not bins:
        raise WrongUse(f"{reader.first}: version {reader.version}: {reader.decision} points: is missing")
    found = []
    for name, placed in sorted(bins.items()):
        placed.sort(key=lambda pair: _start(pair[1]))
        key = f"{reader.decision} points {name}"
        if placed[0][1].above is not None or placed[-1][1].up_to is not None:
            raise WrongUse(f"{placed[0][0]}: {key}: the first bin has no above and the last no up_to")
        for (_, one), (where, other) in pairwise(placed):
            if one.up_to is None or one.up_to != other.above:
                raise WrongUse(f"{where}: {key}: must begin where another ends ({one.up_to})")
        missing = []
        if name != BASKET:
            missing = [
                Bin(_whole(*reader.take("points_missing", name), lowest="-10000"), is_missing=True),
            ]
        found.append(Characteristic(name, (*(each for _, each in placed), *missing)))
    return tuple(found)


def _canonical(row: Row) -> Row:
    """The row with each number written in the one shortest way, so that equal policies have equal hashes."""
    numbers = {
        name: row[name] and f"{Decimal(row[name]).normalize():f}" for name in ("above", "up_to", "value")
    }
    return {**row, **numbers}


def _number(
    where: str, row: Row, lowest: str | None = None, highest: str | None = None, of: str = "value"
) -> Decimal:
    try:
        number = Decimal(row[of])
    except InvalidOperation:
        _refuse(where, row, f"{of} '{row[of]}' is no number")
    if not number.is_finite():
        _refuse(where, row, f"{of} '{row[of]}' is no number")
    if (lowest is not None and number < Decimal(lowest)) or (
        highest is not None and number > Decimal(highest)
    ):
        _refuse(where, row, f"{of} {row[of]} is not within {lowest} and {highest or 'any more'}")
    return number


def _whole(where: str, row: Row, lowest: str, of: str = "value") -> int:
    number = _number(where, row, lowest, "1e6", of)
    if number != int(number):
        _refuse(where, row, f"{of} {row[of]} is no whole number")
    return int(number)


def _day(where: str, row: Row, name: str) -> date:
    try:
        return date.fromisoformat(row[name])
    except ValueError:
        _refuse(where, row, f"{name} '{row[name]}' is no day; write it like 2026-01-31")


def _refuse(where: str, row: Row, reason: str) -> NoReturn:
    key = " ".join(filter(None, (row["decision"], row["rule"], row["applies_to"])))
    raise WrongUse(f"{where}: {key}: {reason}")
