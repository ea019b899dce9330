"""Reads the shop's policy, the rules by which baskets are granted, from a CSV file with all its versions.

The file is `dbt_project/seeds/policy.csv`, with one row per rule and the days between which it is in effect.
It is read strictly: a policy with a rule that is unknown, given twice or missing is refused, with file, line
and key. Money and shares are decimals.

Whether to grant follows from costs. If a basket b has a bad outcome with probability p, the shop earns m b
where the outcome is good and loses c b where it is bad. Both are shares of the basket, so the threshold is
the same for every basket: the shop grants while p <= m / (m + c). If a share s is paid beforehand, only (1 -
s) c is at risk, so a part payment is asked for up to p = m / (m + (1 - s) c). Above that, up to the same
formula with a larger share, a person may still grant it.

What is late is not lost: where a share r of late debts comes back, c is c (1 - r). A longer plan has more
months in which a payment can fail, so its p is greater (`Rules.chance_over`).
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
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from goodstanding.core.errors import WrongUse
from goodstanding.core.vocabulary import CLASSES
from goodstanding.decisions.due_dates import require_country
from goodstanding.decisions.facts import in_stated_direction
from goodstanding.decisions.scorecard import Bin, Characteristic, Scorecard

COD, EMI = "cod", "emi"
DECISIONS = (COD, EMI)
BAD_OUTCOMES = {COD: "the order is refused or returned", EMI: "an instalment is not paid"}
UNKNOWN_CUSTOMER, FIRST_TIME_BUYER = "unknown_customer", "first_time_buyer"
STALE_DATA, NO_PUBLICATION = "stale_data", "no_publication"
# Nothing is granted then, and no rule of a policy can say otherwise, so it is none of its situations.
SWITCHED_OFF = "switched_off"
SITUATIONS = (UNKNOWN_CUSTOMER, FIRST_TIME_BUYER, STALE_DATA, NO_PUBLICATION)
LIVE, SHADOW, CHALLENGER = "live", "shadow", "challenger"
MODES = (LIVE, SHADOW, CHALLENGER)
# What holds where a version, like those of before commitments, does not say it.
DAYS = {"delivery_days": 7, "return_days": 14, "expires_after_days": 30}
GUESTS_SHARE = Decimal("0.1")
BASKET = "basket"
# Attributes on which no score may rest, under each name that a shop's files may have for them.
PROTECTED = frozenset(
    """
    age age_band age_group birth_date birth_year birthday children citizenship civil_status country_of_birth
    date_of_birth disability dob education ethnicity family_status gender language marital_status marriage
    married nationality origin political_opinion pregnancy race religion sex sexual_orientation
    """.split()  # noqa: SIM905 - a list with one name per line would fill a page
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
# A row of the file by column, without the note; and the same with where it stands, like `policy.csv:12`.
Row = Mapping[str, str]
PlacedRow = tuple[str, Row]


@dataclass(frozen=True)
class Plan:
    """Instalments over a number of months, at a nominal yearly rate that is a share: 0.12 is 12 % a year."""

    months: int
    yearly_rate: Decimal


@dataclass(frozen=True)
class Rules:
    """The rules of one decision (see the module for the shares); money is in the shop's currency.

    Attributes:
        decision: one of `DECISIONS`.
        margin_share: what is earned where the outcome is good, as a share of the basket.
        failure_cost_share: what is lost where it is bad, as a share of the basket.
        part_payment_share: the share to be paid beforehand above the threshold.
        person_share: the larger share up to whose threshold a person may still grant.
        smallest_partial_share: the share of the basket below which a part is no answer; 0 where not stated.
        recovery_share: the share of late debts that comes back in the end; 0 where not stated.
        risk_growth: by which the risk of a plan grows with each month beyond the shortest plan, as a share of
            the shortest one's.
        chance_first: of a bad outcome, assumed of buyers without an order that counts, where a scorecard has
            measured none; None: they are not priced.
        cap_loss: the loss that is to be expected of what a customer may have open; None: no such cap.
        walk_away_share: of those asked for a part payment, who leave instead; it decides nothing, profits are
            reckoned with it.
        without_payments: whether instalments are offered where no payments are known.
        cap_customer: what a customer may have open, by class.
        cap_day: what orders of one day may take, of all customers together.
        cap_guests_day: likewise, of all buyers who are not known, who take nothing of `cap_day`.
        delivery_days: within which an order is delivered, where no file tells when it was.
        return_days: within which an order may come back after its delivery.
        expires_after_days: the days after which a commitment ends whose order never came.
        stale_after_days: data older than this count as too old.
        limits: what is granted at most where there is nothing to score, by situation.
        plans: of instalments, the shortest first; none for other decisions.
        business_days: the country on whose business days instalments are due (`due_dates`); None: on any day.
        card: the scorecard that is set by hand, for as long as none is fitted.
    """

    decision: str
    margin_share: Decimal
    failure_cost_share: Decimal
    part_payment_share: Decimal
    person_share: Decimal
    smallest_partial_share: Decimal
    recovery_share: Decimal
    risk_growth: Decimal
    chance_first: Decimal | None
    cap_loss: Decimal | None
    walk_away_share: Decimal
    without_payments: bool
    cap_customer: Mapping[str, Decimal]
    cap_day: Decimal
    cap_guests_day: Decimal
    delivery_days: int
    return_days: int
    expires_after_days: int
    stale_after_days: int
    limits: Mapping[str, Decimal]
    plans: tuple[Plan, ...]
    business_days: str | None
    card: Scorecard

    def threshold(self, paid_share: Decimal = Decimal(0)) -> float:
        """The chance of a bad outcome up to which granting does not lose, with this share paid beforehand."""
        at_risk = self.loss_share * (1 - paid_share)
        return float(self.margin_share / (self.margin_share + at_risk))

    @property
    def loss_share(self) -> Decimal:
        """What is lost of a sum at risk in the end: the cost of failure, less what of it comes back."""
        return self.failure_cost_share * (1 - self.recovery_share)

    def priced_by(self, card: Scorecard) -> Rules:
        """These rules with what a scorecard has measured of first orders in place of what is assumed."""
        # measured or not, they are priced only where the policy says so
        if card.chance_first is None or self.chance_first is None:
            return self
        return replace(self, chance_first=Decimal(repr(card.chance_first)))

    def chance_over(self, probability: float, months: int | None) -> float:
        """The chance of a bad outcome over a plan of so many months, where the shortest plan has this one.

        Each month beyond the shortest plan adds `risk_growth` of the shortest one's risk, as more of the same
        risk would: 1 - (1 - p) ** (1 + growth * months beyond).
        """
        if months is None or not self.plans:
            return probability
        beyond = months - self.plans[0].months
        # so that a plan of the shortest term has exactly its chance
        if not beyond or not self.risk_growth:
            return probability
        return 1 - math.pow(1 - probability, 1 + float(self.risk_growth) * beyond)

    def plan(self, months: int | None) -> Plan | None:
        """The plan of so many months, or None; where `months` is None, the shortest plan."""
        if months is None:
            return self.plans[0] if self.plans else None
        return next((plan for plan in self.plans if plan.months == months), None)


@dataclass(frozen=True)
class Policy:
    """One version of the policy.

    Attributes:
        version: its name.
        mode: one of `MODES`; a shadow's answers are kept in receipts and not shown, and a challenger answers
            a share of the customers.
        effective_from: its first day.
        effective_to: its last day; None while it has no end.
        rules: by decision.
        rows: of the file, numbers in their shortest form, in a fixed order.
    """

    version: str
    mode: str
    effective_from: date
    effective_to: date | None
    rules: Mapping[str, Rules]
    rows: tuple[Row, ...]

    def is_in_effect(self, day: date) -> bool:
        """Whether a day lies between its first and last day, both included."""
        return self.effective_from <= day and (self.effective_to is None or day <= self.effective_to)

    @cached_property
    def content_hash(self) -> str:
        """The SHA-256 of its rows, without the notes."""
        return hashlib.sha256(json.dumps(self.rows, sort_keys=True).encode()).hexdigest()


def in_effect(policies: Iterable[Policy], day: date, mode: str = "live") -> Policy | None:
    """The one policy of a mode that is in effect on a day, or None."""
    return next((policy for policy in policies if policy.mode == mode and policy.is_in_effect(day)), None)


def placed_rows(path: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, str | None]]]:
    """The rows of a CSV file with these columns, each with where it stands; also as a spreadsheet saves it.

    Raises:
        WrongUse: there is no such file, or it is no CSV with these columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != tuple(columns):
                raise WrongUse(f"{path}:1: its columns must be {','.join(columns)}")
            return [(f"{path}:{reader.line_num}", row) for row in reader]
    except OSError as error:
        raise WrongUse(f"{path}: there is no such policy file ({error.strerror})") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise WrongUse(f"{path}: no readable CSV: {error}") from None


def read_policies(path: Path) -> tuple[Policy, ...]:
    """All versions in a policy file, by their first day.

    Raises:
        WrongUse: there is no such file, or a row is wrong or missing; names file, line and key.
    """
    rows = placed_rows(path, COLUMNS)
    for where, row in rows:
        if row["mode"] == CHALLENGER:
            # no column says which share of the customers it answers
            raise WrongUse(f"{where}: mode: a challenger is made by `goodstanding policy new`")
    return parse_policies(rows)


def parse_policies(rows: Iterable[tuple[str, Mapping[str, str | None]]]) -> tuple[Policy, ...]:
    """All versions in rows, by their first day; each row comes with where it stands.

    Raises:
        WrongUse: a row is wrong or missing; names its place and key.
    """
    versions: dict[str, list[PlacedRow]] = {}
    for where, row in rows:
        if None in row or None in (row.get(name) for name in COLUMNS):
            raise WrongUse(f"{where}: must have {len(COLUMNS)} fields")
        plain = {name: str(row[name]).strip() for name in COLUMNS if name != "note"}
        if not plain["version"]:
            raise WrongUse(f"{where}: version: is missing")
        versions.setdefault(plain["version"], []).append((where, plain))
    if not versions:
        raise WrongUse("there is no row in the policy")
    policies = sorted(map(_policy, versions.values()), key=lambda policy: policy.effective_from)
    for mode in MODES:
        for earlier, later in pairwise(policy for policy in policies if policy.mode == mode):
            if earlier.effective_to is None or earlier.effective_to >= later.effective_from:
                where = versions[later.version][0][0]
                raise WrongUse(
                    f"{where}: effective_from: version {later.version} begins on "
                    f"{later.effective_from}, before version {earlier.version} has ended (effective_to)"
                )
    return tuple(policies)


def require_unprotected(card: Scorecard, where: str) -> None:
    """Refuse a scorecard that rests on a protected attribute.

    Raises:
        WrongUse: it does; names `where` and the attribute.
    """
    for name in card.names:
        if name.lower() in PROTECTED:
            raise WrongUse(f"{where}: {name} is a protected attribute: no score may rest on it")


def _start(bin_: Bin) -> float:
    """Where a bin begins, to sort bins by their values; that of missing values comes last."""
    if bin_.is_missing:
        return math.inf
    return -math.inf if bin_.above is None else bin_.above


class _Reader:
    """The rows of one version and decision; each rule is taken once, and `left` holds those not yet taken."""

    def __init__(self, version: str, decision: str, rows: Sequence[PlacedRow], first: str) -> None:
        self.version, self.decision, self.first = version, decision, first
        self.left: dict[tuple[str, str, str, str], PlacedRow] = {}
        for where, row in rows:
            key = (row["rule"], row["applies_to"], row["above"], row["up_to"])
            if key in self.left:
                _refuse(where, row, "is said twice")
            self.left[key] = (where, row)

    def take(self, rule: str, applies_to: str = "") -> PlacedRow:
        key = (rule, applies_to, "", "")
        if key not in self.left:
            name = " ".join(filter(None, (self.decision, rule, applies_to)))
            raise WrongUse(f"{self.first}: version {self.version}: {name}: is missing")
        return self.left.pop(key)

    def take_all(self, rule: str) -> list[PlacedRow]:
        return [self.left.pop(key) for key in list(self.left) if key[0] == rule]

    def share(self, rule: str, highest: str = "1", default: str | None = None) -> Decimal:
        if default is not None and (rule, "", "", "") not in self.left:
            return Decimal(default)
        return _number(*self.take(rule), lowest="0", highest=highest)

    def money(self, rule: str, applies_to: str = "") -> Decimal:
        where, row = self.take(rule, applies_to)
        amount = _number(where, row, lowest="0", highest="1e12")
        if amount != round(amount, 2):
            _refuse(where, row, f"'{row['value']}' is no sum of whole cents")
        return round(amount, 2)

    def chance_first(self) -> Decimal | None:
        if ("chance", FIRST_TIME_BUYER, "", "") not in self.left:
            return None
        return _number(*self.take("chance", FIRST_TIME_BUYER), lowest="0", highest="1")

    def is_on(self, rule: str) -> bool:
        if not self.has(rule):
            return False
        return _whole(*self.take(rule), lowest="0", highest="1") == 1

    def count(self, rule: str, lowest: str = "0") -> int:
        return _whole(*self.take(rule), lowest=lowest)

    def has(self, rule: str) -> bool:
        return (rule, "", "", "") in self.left

    def days(self, rule: str) -> int:
        return self.count(rule, "1") if self.has(rule) else DAYS[rule]


def _policy(rows: list[PlacedRow]) -> Policy:
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


def _rules(version: str, decision: str, rows: list[PlacedRow]) -> Rules:
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
    cap_day = reader.money("cap_day")
    rules = Rules(
        decision=decision,
        margin_share=_number(*reader.take("margin_share"), lowest="0.0001", highest="1"),
        failure_cost_share=_number(*reader.take("failure_cost_share"), lowest="0", highest="100"),
        part_payment_share=reader.share("part_payment_share", "0.9999"),
        person_share=reader.share("person_share"),
        smallest_partial_share=reader.share("smallest_partial_share", default="0"),
        recovery_share=reader.share("recovery_share", default="0") if decision == EMI else Decimal(0),
        risk_growth=reader.share("risk_growth", default="0") if decision == EMI else Decimal(0),
        chance_first=reader.chance_first(),
        cap_loss=reader.money("cap_loss") if reader.has("cap_loss") else None,
        walk_away_share=reader.share("walk_away_share", default="0"),
        without_payments=decision == EMI and reader.is_on("without_payments"),
        cap_customer={class_: reader.money("cap_customer", class_) for class_ in reversed(CLASSES)},
        cap_day=cap_day,
        cap_guests_day=(
            reader.money("cap_guests_day")
            if reader.has("cap_guests_day")
            else round(cap_day * GUESTS_SHARE, 2)
        ),
        delivery_days=reader.days("delivery_days") if decision == COD else 0,
        return_days=reader.days("return_days") if decision == COD else 0,
        expires_after_days=reader.days("expires_after_days"),
        stale_after_days=reader.count("stale_after_days"),
        limits={situation: reader.money("limit", situation) for situation in SITUATIONS},
        plans=tuple(plans),
        business_days=_country(reader),
        card=in_stated_direction(card),
    )
    if rules.person_share < rules.part_payment_share:
        raise WrongUse(
            f"{rows[0][0]}: version {version}: {decision} person_share: must not be below part_payment_share"
        )
    if rules.smallest_partial_share > 1 - rules.part_payment_share:
        raise WrongUse(
            f"{rows[0][0]}: version {version}: {decision} smallest_partial_share: must not be above what a "
            "part payment leaves (1 - part_payment_share)"
        )
    for where, row in reader.left.values():
        _refuse(where, row, "there is no such rule")
    return rules


def _country(reader: _Reader) -> str | None:
    """The country whose business days count, which is what the rule applies to; None without the rule."""
    rows = reader.take_all("business_days")
    for where, row in rows:
        _whole(where, row, lowest="1")
        if reader.decision != EMI or len(rows) > 1:
            _refuse(where, row, "one country may be named, for emi")
        try:
            require_country(row["applies_to"])
        except WrongUse as error:
            _refuse(where, row, str(error))
    return rows[0][1]["applies_to"] if rows else None


def _characteristics(reader: _Reader) -> tuple[Characteristic, ...]:
    """The characteristics of a scorecard; the bins of each must cover all values without a gap."""
    bins: dict[str, list[tuple[str, Bin]]] = {}
    for where, row in reader.take_all("points"):
        above = float(_number(where, row, of="above")) if row["above"] else None
        up_to = float(_number(where, row, of="up_to")) if row["up_to"] else None
        bin_ = Bin(_whole(where, row, lowest="-10000"), above, up_to)
        bins.setdefault(row["applies_to"], []).append((where, bin_))
    if not bins:
        raise WrongUse(f"{reader.first}: version {reader.version}: {reader.decision} points: is missing")
    characteristics = []
    for name, placed in sorted(bins.items()):
        placed.sort(key=lambda pair: _start(pair[1]))
        key = f"{reader.decision} points {name}"
        if placed[0][1].above is not None or placed[-1][1].up_to is not None:
            raise WrongUse(f"{placed[0][0]}: {key}: the first bin has no above and the last no up_to")
        for (_, lower), (where, higher) in pairwise(placed):
            if lower.up_to is None or lower.up_to != higher.above:
                raise WrongUse(f"{where}: {key}: must begin where another ends ({lower.up_to})")
        own_bins = [bin_ for _, bin_ in placed]
        if name != BASKET:
            missing = _whole(*reader.take("points_missing", name), lowest="-10000")
            own_bins.append(Bin(missing, is_missing=True))
        characteristics.append(Characteristic(name, tuple(own_bins)))
    return tuple(characteristics)


def _canonical(row: Row) -> Row:
    """The row with each number in its shortest form, so that equal policies have equal hashes."""
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


def _whole(where: str, row: Row, lowest: str, of: str = "value", highest: str = "1e6") -> int:
    number = _number(where, row, lowest, highest, of)
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
