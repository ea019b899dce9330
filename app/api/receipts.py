"""Keeps a receipt of every answer: what was asked, known and decided, so that it can be computed again.

Receipts lie in one SQLite file under the home, in WAL mode, which many worker processes write safely. An
answer is decided and kept in one transaction, so each grant is counted once and two workers together exceed
no cap. A worker's crash loses no receipt whose answer went out; a power cut may lose those of the last
moments (synchronous = normal), because a wait for the disk at each answer costs more than they are worth.

Policies and scorecards, on which many receipts rest, are kept once each, by the SHA-256 of their content. A
receipt has a pseudonym and never the shop's own customer id. Receipts are kept for some months (a setting)
and then dropped, which frees room in the file for new ones but does not make the file smaller.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from dateutil.relativedelta import relativedelta
from filelock import FileLock, Timeout

from app.api.sqlite import SqliteFile
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import RECEIPT_MONTHS
from goodstanding.core.version import folder_version
from goodstanding.core.vocabulary import now_utc
from goodstanding.decisions.decide import Answer, Question, Standing, decide
from goodstanding.decisions.policy import Policy, parse_policies
from goodstanding.decisions.reasons import Borders, Measures, MonthEnd
from goodstanding.decisions.scorecard import CardContent, Scorecard, Value

log = logging.getLogger(__name__)

FILE = "receipts.sqlite"
SCHEMA = """
create table if not exists receipts (
    receipt_id text primary key, at text not null, day text not null, content text not null
);
-- what the last answer to each question of a day grants, in cents
create table if not exists grants (
    day text not null, question text not null, method text not null, customer text, cents integer not null,
    primary key (day, question)
) without rowid;
create index if not exists grants_of_a_customer on grants (customer, day, method);
create table if not exists granted (
    day text not null, method text not null, cents integer not null, primary key (day, method)
) without rowid;
create table if not exists basis (hash text primary key, content text not null) without rowid;
create index if not exists receipts_by_day on receipts (day);
-- the last day with a receipt that rests on it; for files of before this table, the newest day at worst
create table if not exists basis_days (hash text primary key, last_day text not null) without rowid;
insert or ignore into basis_days
select hash, (select max(day) from receipts) from basis where hash not in (select hash from basis_days);
"""
# What is dropped, in this order, because receipts rest on the basis: table, key, where its days are.
DROPPED = (
    ("receipts", "rowid", "receipts where day"),
    ("basis", "hash", "basis natural join basis_days where last_day"),
    ("basis_days", "hash", "basis_days where last_day"),
    ("grants", "day, question", "grants where day"),
    ("granted", "day, method", "granted where day"),
)
# Rows dropped in one transaction, for which answers wait, and the pause after it. Dropping 20 of a million
# took 0.6 ms (100: 5 ms), and at this pace 30 million rows can be dropped in a day.
BATCH, PAUSE_SECONDS = 20, 0.05
# Caps are per day; grants are kept for a week in case a clock was wrong.
GRANT_DAYS = 7
# A day is over for good once receipts were made on so many later ones, whatever the clock says.
LATER_DAYS = 30
DAY_WITH_LATER_DAYS = """
with recursive days (day, later) as (
    select max(day), 0 from receipts
    union all
    select (select max(day) from receipts where day < days.day), later + 1 from days where later < ?
)
select day from days where later = ?
"""

# By the id of an object and the day: the object, and the hash under which its content is kept.
Kept = dict[tuple[int, str], tuple[Policy | Scorecard, str]]


@dataclass(frozen=True)
class Inquiry:
    """One question of a customer on a day, with what its answer rests on.

    Attributes:
        day: of the shop.
        customer: the pseudonym, or None for a first-time buyer without an id.
        question: what is asked.
        standing: of the customer; what was granted today is filled in from the receipts.
        card: the fitted scorecard, or None for the policy's own.
        policy: the one in effect.
        shadow: a policy whose answer is kept in the receipt and not shown.
    """

    day: date
    customer: str | None
    question: Question
    standing: Standing
    card: Scorecard | None
    policy: Policy
    shadow: Policy | None = None


class KeptAnswer(Answer):
    """An answer with its receipt: `at` is the time in UTC, as ISO 8601."""

    receipt_id: str
    at: str


class KeptQuestion(TypedDict):
    """A `Question` as a receipt keeps it, money as text."""

    method: str
    basket: str
    months: int | None


class KeptStanding(TypedDict):
    """A `Standing` as a receipt keeps it, with the same fields, money as text."""

    situation: str | None
    as_of: str | None
    age_days: int | None
    customer_class: str | None
    benefits: str | None
    values: dict[str, Value]
    measures: Measures
    before: MonthEnd | None
    borders: Borders | None
    # None where it was not known
    outstanding: str | None
    granted_customer: str
    granted_day: str
    simulated: bool
    note: str | None


class ShadowAnswer(TypedDict):
    """What a shadow policy would have answered: the hash of its content, and the answer."""

    policy: str
    answer: Answer


class Receipt(TypedDict):
    """A receipt as it is read: who asked what and when, what was known, and the answer.

    `policy` and `scorecard` are hashes of their content; `scorecard` is None where the policy's own was used.
    `code_version` is that of the code that decided.
    """

    receipt_id: str
    at: str
    day: str
    customer: str | None
    question: KeptQuestion
    standing: KeptStanding
    policy: str
    scorecard: str | None
    code_version: str
    answer: Answer
    shadow: NotRequired[ShadowAnswer]


class Verification(TypedDict):
    """Whether a receipt's answers, computed again, are equal to those that it keeps."""

    receipt_id: str
    equal: bool
    # the keys of the answers that differ, `shadow.` before those of the shadow's, or what is missing
    differences: list[str]
    # of the receipt, and whether the code that verifies is the same
    code_version: str
    same_code: bool


@dataclass(frozen=True)
class _Grants:
    """The sums granted on the day by the method, in cents: by the last answer to this same question (`own`),
    to the customer, and to all customers."""

    own: int
    customer: int
    all: int


def code_version() -> str:
    """A hash of the code that decides, the package `goodstanding/decisions`."""
    return folder_version("goodstanding/decisions")


class Receipts:
    """The receipts of a home; each thread has its own connection to the file."""

    def __init__(self, folder: Path, months: int = RECEIPT_MONTHS) -> None:
        self._path, self._months = folder / FILE, months
        self._file = SqliteFile(self._path, SCHEMA, synchronous="normal")
        self._local = threading.local()
        self._kept: Kept = {}

    def decide(self, inquiries: Sequence[Inquiry]) -> list[KeptAnswer]:
        """Answer questions in turn, and keep the receipts, in one transaction; grants count for the next."""
        with self.transaction() as connection:
            return [self._decide(connection, inquiry) for inquiry in inquiries]

    def _decide(self, connection: sqlite3.Connection, inquiry: Inquiry) -> KeptAnswer:
        question, policy = inquiry.question, inquiry.policy
        day, receipt_id = inquiry.day.isoformat(), secrets.token_hex(16)
        plan = policy.rules[question.method].plan(question.months)
        asked = (inquiry.customer, question.method, str(question.basket), plan and plan.months)
        # without an id it is unknown whether the same buyer asks again
        key = _hash(json.dumps(asked)) if inquiry.customer else receipt_id
        grants = _grants(connection, day, key, inquiry)
        standing = replace(
            inquiry.standing,
            granted_customer=_money(grants.customer - grants.own),
            granted_day=_money(grants.all - grants.own),
        )
        answer = decide(question, standing, inquiry.card, policy)
        at = now_utc().isoformat(timespec="microseconds") + "Z"
        content: dict[str, Any] = {
            "day": day,
            "customer": inquiry.customer,
            "question": vars(question),
            "standing": vars(standing),
            "policy": self._keep_basis(connection, policy, day),
            "scorecard": self._keep_basis(connection, inquiry.card, day) if inquiry.card else None,
            "code_version": code_version(),
            "answer": answer,
        }
        if inquiry.shadow:
            content["shadow"] = ShadowAnswer(
                policy=self._keep_basis(connection, inquiry.shadow, day),
                answer=decide(question, standing, inquiry.card, inquiry.shadow),
            )
        connection.execute("insert into receipts values (?, ?, ?, ?)", (receipt_id, at, day, _json(content)))
        cents = int(Decimal(answer["granted"]) * 100)
        if cents != grants.own or not grants.own:
            _keep_grant(connection, day, key, inquiry, cents, grants.own)
        return {**answer, "receipt_id": receipt_id, "at": at}

    def read(self, receipt_id: str) -> Receipt:
        """A receipt as it is kept.

        Raises:
            DataProblem: there is none with this id.
        """
        sql = "select receipt_id, at, content from receipts where receipt_id = ?"
        row = self._file.connection.execute(sql, (receipt_id,)).fetchone()
        if row is None:
            raise DataProblem(
                f"there is no receipt {receipt_id}; it may be older than the {self._months} months for which "
                "receipts are kept"
            )
        return _receipt(*row)

    def since(self, first: date, last: date) -> Iterator[Receipt]:
        """The receipts of the shop's days from `first` to `last`, both included, in the order of time."""
        rows = self._file.connection.execute(
            "select receipt_id, at, content from receipts where day between ? and ? order by at, receipt_id",
            (first.isoformat(), last.isoformat()),
        )
        for row in rows:
            yield _receipt(*row)

    def verify(self, receipt_id: str) -> Verification:
        """Compute a receipt's answers again, from the receipts alone.

        Raises:
            DataProblem: there is none with this id.
        """
        receipt = self.read(receipt_id)
        differences = self._differences(receipt, receipt["policy"], receipt["answer"])
        if shadow := receipt.get("shadow"):
            of_shadow = self._differences(receipt, shadow["policy"], shadow["answer"])
            differences += [f"shadow.{key}" for key in of_shadow]
        return {
            "receipt_id": receipt_id,
            "equal": not differences,
            "differences": differences,
            "code_version": receipt["code_version"],
            "same_code": receipt["code_version"] == code_version(),
        }

    def _differences(self, receipt: Receipt, policy_hash: str, answer: Answer) -> list[str]:
        """The keys of an answer that differ from those of the answer computed again."""
        try:
            again = self._again(receipt, policy_hash)
        except _Altered as altered:
            return [str(altered)]
        return [key for key in {**answer, **again} if answer.get(key) != again.get(key)]

    def prune(
        self, today: date, data_day: date | None, has_ended: Callable[[float], bool | None] = time.sleep
    ) -> dict[str, int]:
        """Drop old receipts, what no receipt rests on any longer, and grants of past days.

        Age is counted from the day that has come without doubt (`_day_that_came`), as a clock may be wrong.
        It works in small transactions with a pause after each, so that answers get through. While another
        process does it, nothing is done here.

        Args:
            today: the day of the shop, by the clock.
            data_day: the day of what is published, `Published.data_day`; None where nothing is.
            has_ended: waits for so many seconds and says whether to stop.

        Returns:
            The number of rows dropped, by table.
        """
        dropped = {table: 0 for table, _, _ in DROPPED}
        came = self._day_that_came(today, data_day)
        if came is None:
            return dropped
        kept_from = months_before(came, self._months)
        granted_from = came - timedelta(days=GRANT_DAYS)
        try:
            with FileLock(self._path.with_suffix(".prune"), blocking=False):
                for table, count in self._drop(kept_from, granted_from):
                    dropped[table] += count
                    if count == BATCH and has_ended(PAUSE_SECONDS):
                        break
        except Timeout:
            log.debug("another process drops old receipts")
        return dropped

    def clock_doubt(self, today: date, data_day: date | None) -> str | None:
        """What to say where receipts are old by the clock alone, and so are kept; else None."""
        if not self._path.exists():
            return None
        sql = "select count(*) from receipts where day < ?"
        old_from = months_before(today, self._months).isoformat()
        (count,) = self._file.connection.execute(sql, (old_from,)).fetchone()
        came = self._day_that_came(today, data_day)
        if not count or came == today or (came and months_before(came, self._months).isoformat() > old_from):
            return None
        return (
            f"the clock says {today}, but the newest day known without it is {came or 'none'}: {count:,} "
            f"receipts that would be older than {self._months} months are kept; if the clock is right, "
            "`goodstanding receipt prune --clock-is-right` drops them"
        )

    def _day_that_came(self, today: date, data_day: date | None) -> date | None:
        """The newest day that has come without doubt, at most today; None where none is known.

        A clock that is wrong makes receipts of its wrong days. So either orders of the day are published, or
        receipts were made on `LATER_DAYS` later days.
        """
        if not self._path.exists():
            return None
        row = self._file.connection.execute(DAY_WITH_LATER_DAYS, (LATER_DAYS, LATER_DAYS)).fetchone()
        known = [data_day] if data_day else []
        if row and row[0]:
            known.append(date.fromisoformat(row[0]))
        return min(today, max(known)) if known else None

    def _drop(self, kept_from: date, granted_from: date) -> Iterator[tuple[str, int]]:
        """Drop rows of earlier days; each batch is one transaction, and yields its table and row count."""
        for table, key, source in DROPPED:
            first = granted_from if table in ("grants", "granted") else kept_from
            sql = f"delete from {table} where ({key}) in (select {key} from {source} < ? limit {BATCH})"
            count = BATCH
            while count == BATCH:
                with self.transaction() as connection:
                    count = connection.execute(sql, (first.isoformat(),)).rowcount
                yield table, count

    def policy(self, content_hash: str) -> Policy:
        """A policy on which receipts rest, by the hash of its content."""
        rows = self._basis("policy", content_hash)
        return parse_policies((f"policy {content_hash[:8]}", {**row, "note": ""}) for row in rows)[0]

    def _again(self, receipt: Receipt, policy_hash: str) -> Answer:
        card = None
        if receipt["scorecard"]:
            content: CardContent = self._basis("scorecard", receipt["scorecard"])
            card = Scorecard.from_json(content)
        question: dict[str, Any] = {**receipt["question"]}
        standing: dict[str, Any] = {**receipt["standing"]}
        question["basket"] = Decimal(question["basket"])
        for name in ("outstanding", "granted_customer", "granted_day"):
            if standing[name] is not None:
                standing[name] = Decimal(standing[name])
        return decide(Question(**question), Standing(**standing), card, self.policy(policy_hash))

    def _keep_basis(self, connection: sqlite3.Connection, basis: Policy | Scorecard, day: str) -> str:
        """Keep a policy or scorecard once, and return the hash of its content."""
        # the object is held, so that no other object can get its id
        kept = self._kept.get((id(basis), day))
        if kept:
            return kept[1]
        text = _json(basis.rows if isinstance(basis, Policy) else basis.to_json())
        content_hash = _hash(text)
        connection.execute("insert or ignore into basis values (?, ?)", (content_hash, text))
        connection.execute(
            "insert into basis_days values (?, ?) on conflict do update set last_day = max(last_day, ?)",
            (content_hash, day, day),
        )
        # other transactions may skip this only once this one is committed
        self._pending()[id(basis), day] = (basis, content_hash)
        return content_hash

    def _basis(self, name: str, content_hash: str) -> Any:
        sql = "select content from basis where hash = ?"
        row = self._file.connection.execute(sql, (content_hash,)).fetchone()
        if row is None or _hash(row[0]) != content_hash:
            raise _Altered(name)
        return json.loads(row[0])

    def _pending(self) -> Kept:
        if not hasattr(self._local, "pending"):
            self._local.pending = {}
        pending: Kept = self._local.pending
        return pending

    def hold(self, identity: str | None = None) -> str:
        """Answer from now on into one file and no other, and return its identity.

        Args:
            identity: of the file that another process holds; None: the one that is there, or a new one.
        """
        if identity is None:
            with self.transaction():
                identity = self._file.identity
        assert identity
        self._file.identity = identity
        return identity

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that excludes all other writers; if it fails, it leaves nothing."""
        connection = self._file.connection
        self._pending().clear()
        connection.execute("begin immediate")
        try:
            yield connection
        except BaseException:
            connection.execute("rollback")
            raise
        connection.execute("commit")
        # what was committed into a file that was moved meanwhile gives no answer
        self._file.require_in_place()
        self._kept |= self._pending()


def months_before(day: date, months: int) -> date:
    """The same day so many months earlier, or the last day of that month."""
    return day - relativedelta(months=months)


class _Altered(Exception):
    """A policy or scorecard that a receipt needs is missing, or was changed."""


def _grants(connection: sqlite3.Connection, day: str, key: str, inquiry: Inquiry) -> _Grants:
    method, customer = inquiry.question.method, inquiry.customer
    own = _cents(connection, "select cents from grants where day = ? and question = ?", day, key)
    all_ = _cents(connection, "select cents from granted where day = ? and method = ?", day, method)
    if not customer:
        return _Grants(own, 0, all_)
    sql = "select sum(cents) from grants where customer = ? and day = ? and method = ?"
    return _Grants(own, _cents(connection, sql, customer, day, method), all_)


def _keep_grant(
    connection: sqlite3.Connection, day: str, key: str, inquiry: Inquiry, cents: int, before: int
) -> None:
    """Keep what the last answer to a question grants, and the sum of the day."""
    method = inquiry.question.method
    connection.execute(
        "insert or replace into grants values (?, ?, ?, ?, ?)", (day, key, method, inquiry.customer, cents)
    )
    connection.execute(
        "insert into granted values (?, ?, ?) on conflict do update set cents = cents + ?",
        (day, method, cents, cents - before),
    )


def _receipt(receipt_id: str, at: str, content: str) -> Receipt:
    return cast(Receipt, {"receipt_id": receipt_id, "at": at, **json.loads(content)})


def _cents(connection: sqlite3.Connection, sql: str, *parameters: str) -> int:
    row = connection.execute(sql, parameters).fetchone()
    return int(row[0] or 0) if row else 0


def _money(cents: int) -> Decimal:
    return Decimal(cents) / 100


def _json(content: Any) -> str:
    return json.dumps(content, default=str, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
