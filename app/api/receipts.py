"""Receipts: what was asked, known, decided and by what, so that each answer can be computed again.

One SQLite file under the home, in WAL mode, which many worker processes write safely: an answer is decided
and kept in one transaction, so what is granted is counted once and no cap is broken between two workers. A
worker's crash loses no receipt whose answer went out; a power cut may lose those of the last moments
(synchronous = normal), for a wait for the disk at each answer costs more than they are worth.

What many receipts rest on, policies and scorecards, is kept once, by the SHA-256 of its content. A receipt
has a pseudonym and never the shop's own customer id. Receipts are kept for some months (a setting) and then
dropped, which frees room in the file for new ones and leaves it as large as it was.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import secrets
import sqlite3
import threading
import time
from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from app.api.sqlite import open_sqlite
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import RECEIPT_MONTHS
from goodstanding.core.version import room_version
from goodstanding.core.vocabulary import now_utc
from goodstanding.decisions.decide import Question, Standing, decide
from goodstanding.decisions.policy import Policy, parse_policies
from goodstanding.decisions.scorecard import Scorecard

FILE = "receipts.sqlite"
SCHEMA = """
create table if not exists receipts (
    receipt_id text primary key, at text not null, day text not null, content text not null
);
-- what is granted on a day, by the last answer to each question; amounts in cents
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
-- the last day on which a receipt rested on it; of files that did not say so, at worst the newest
create table if not exists basis_days (hash text primary key, last_day text not null) without rowid;
insert or ignore into basis_days
select hash, (select max(day) from receipts) from basis where hash not in (select hash from basis_days);
"""
# What is dropped, in this order, as receipts rest on the basis: table, key, where its days stand.
DROPPED = (
    ("receipts", "rowid", "receipts where day"),
    ("basis", "hash", "basis natural join basis_days where last_day"),
    ("basis_days", "hash", "basis_days where last_day"),
    ("grants", "day, question", "grants where day"),
    ("granted", "day, method", "granted where day"),
)
# So many rows in one transaction, for which answers wait, and the pause after it. 20 of a million took 0.6 ms
# (100: 5 ms), and 30 million can be dropped in a day.
BATCH, PAUSE_SECONDS = 20, 0.05
# Caps are of a day; a week is for clocks that were wrong.
GRANT_DAYS = 7

Kept = dict[tuple[int, str], tuple[Policy | Scorecard, str]]


def code_version() -> str:
    """A hash of the code that decides."""
    return room_version("goodstanding/decisions")


class Receipts:
    """The file of receipts, which are kept for some months; each thread has a connection of its own."""

    def __init__(self, folder: Path, months: int = RECEIPT_MONTHS) -> None:
        self._path, self._months = folder / FILE, months
        self._local = threading.local()
        self._kept: Kept = {}

    def decide(
        self,
        day: date,
        customer: str | None,
        question: Question,
        standing: Standing,
        card: Scorecard | None,
        policy: Policy,
        shadow: Policy | None = None,
    ) -> dict[str, Any]:
        """Decide with what is granted on the day, and keep the receipt, in one transaction.

        Args:
            day: of the shop.
            customer: the pseudonym, or None for a first-time buyer without an id.
            question, standing, card, policy: as `goodstanding.decisions.decide.decide` takes them.
            shadow: a policy whose answer is kept beside and not shown.

        Returns:
            The answer with receipt_id and at.
        """
        with self.transaction() as connection:
            return self.decide_within(connection, day, customer, question, standing, card, policy, shadow)

    def decide_within(
        self,
        connection: sqlite3.Connection,
        day: date,
        customer: str | None,
        question: Question,
        standing: Standing,
        card: Scorecard | None,
        policy: Policy,
        shadow: Policy | None = None,
    ) -> dict[str, Any]:
        """The same within a transaction that is open, for several answers at once."""
        receipt_id = secrets.token_hex(16)
        plan = policy.rules[question.method].plan(question.months)
        asked = (customer, question.method, str(question.basket), plan and plan.months)
        # without an id nobody can tell whether it is the same buyer who asks again
        key = _hash(json.dumps(asked)) if customer else receipt_id
        at = (day.isoformat(), question.method)
        before = _cents(connection, "select cents from grants where day = ? and question = ?", at[0], key)
        whole = _cents(connection, "select cents from granted where day = ? and method = ?", *at)
        own = 0
        if customer:
            own = _cents(
                connection,
                "select sum(cents) from grants where customer = ? and day = ? and method = ?",
                customer,
                *at,
            )
        standing = replace(
            standing, granted_customer=_money(own - before), granted_day=_money(whole - before)
        )
        answer = decide(question, standing, card, policy)
        cents = int(Decimal(answer["granted"]) * 100)
        moment = now_utc().isoformat(timespec="microseconds") + "Z"
        content = {
            "day": at[0],
            "customer": customer,
            "question": vars(question),
            "standing": vars(standing),
            "policy": self._keep_basis(connection, policy, at[0]),
            "scorecard": self._keep_basis(connection, card, at[0]) if card else None,
            "code_version": code_version(),
            "answer": answer,
        }
        if shadow:
            other = decide(question, standing, card, shadow)
            content["shadow"] = {"policy": self._keep_basis(connection, shadow, at[0]), "answer": other}
        connection.execute(
            "insert into receipts values (?, ?, ?, ?)", (receipt_id, moment, at[0], _json(content))
        )
        if cents != before or not before:
            connection.execute(
                "insert or replace into grants values (?, ?, ?, ?, ?)", (at[0], key, at[1], customer, cents)
            )
            connection.execute(
                "insert into granted values (?, ?, ?) on conflict do update set cents = cents + ?",
                (*at, cents, cents - before),
            )
        return {**answer, "receipt_id": receipt_id, "at": moment}

    def read(self, receipt_id: str) -> dict[str, Any]:
        """A receipt as it was kept, with its id and time.

        Raises:
            DataProblem: there is none with this id.
        """
        row = (
            self._connection()
            .execute("select at, content from receipts where receipt_id = ?", (receipt_id,))
            .fetchone()
        )
        if row is None:
            raise DataProblem(
                f"there is no receipt {receipt_id}; it may be older than the {self._months} months for which "
                "receipts are kept"
            )
        return {"receipt_id": receipt_id, "at": row[0], **json.loads(row[1])}

    def since(self, first: date, last: date) -> Iterator[dict[str, Any]]:
        """The receipts of days of the shop, both included, in the order of time."""
        rows = self._connection().execute(
            "select receipt_id, at, content from receipts where day between ? and ? order by at, receipt_id",
            (first.isoformat(), last.isoformat()),
        )
        for receipt_id, at, content in rows:
            yield {"receipt_id": receipt_id, "at": at, **json.loads(content)}

    def verify(self, receipt_id: str) -> dict[str, Any]:
        """Compute a receipt's answers again from the receipts alone.

        Returns:
            {receipt_id, equal, differences: the keys of the answers that differ, code_version: of the
            receipt, same_code: whether it is this one}.

        Raises:
            DataProblem: there is none with this id.
        """
        receipt = self.read(receipt_id)
        differences = []
        for name, kept in {"": receipt, "shadow.": receipt.get("shadow")}.items():
            if kept is None:
                continue
            try:
                again = self._again(receipt, kept["policy"])
            except _Altered as altered:
                differences.append(f"{name}{altered}")
                continue
            told = kept["answer"]
            differences += [f"{name}{key}" for key in {**told, **again} if told.get(key) != again.get(key)]
        return {
            "receipt_id": receipt_id,
            "equal": not differences,
            "differences": differences,
            "code_version": receipt["code_version"],
            "same_code": receipt["code_version"] == code_version(),
        }

    def prune(self, today: date, has_ended: Callable[[float], bool | None] = time.sleep) -> dict[str, int]:
        """Drop old receipts, what no receipt rests on any more, and grants of past days.

        It goes in small transactions with a pause after each, so that answers get through.
        While another process is at it, nothing is done here.

        Args:
            today: the day of the shop.
            has_ended: waits for so many seconds, and says whether to stop.

        Returns:
            How many rows of each table were dropped.
        """
        dropped = {table: 0 for table, _, _ in DROPPED}
        if not self._path.exists():
            return dropped
        kept_from = months_before(today, self._months)
        granted_from = today - timedelta(days=GRANT_DAYS)
        with self._path.with_suffix(".prune").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return dropped
            for table, key, source in DROPPED:
                first = granted_from if table in ("grants", "granted") else kept_from
                sql = f"delete from {table} where ({key}) in (select {key} from {source} < ? limit {BATCH})"
                while True:
                    with self.transaction() as connection:
                        count = connection.execute(sql, (first.isoformat(),)).rowcount
                    dropped[table] += count
                    if count < BATCH:
                        break
                    if has_ended(PAUSE_SECONDS):
                        return dropped
        return dropped

    def policy(self, content_hash: str) -> Policy:
        """A policy on which a receipt rests."""
        rows = self._basis("policy", content_hash)
        return parse_policies((f"policy {content_hash[:8]}", {**row, "note": ""}) for row in rows)[0]

    def _again(self, receipt: Mapping[str, Any], policy_hash: str) -> dict[str, Any]:
        card = None
        if receipt["scorecard"]:
            card = Scorecard.from_json(self._basis("scorecard", receipt["scorecard"]))
        question, standing = dict(receipt["question"]), dict(receipt["standing"])
        question["basket"] = Decimal(question["basket"])
        for name in ("outstanding", "granted_customer", "granted_day"):
            standing[name] = Decimal(standing[name])
        return decide(Question(**question), Standing(**standing), card, self.policy(policy_hash))

    def _keep_basis(self, connection: sqlite3.Connection, basis: Policy | Scorecard, day: str) -> str:
        # the object is held, so that no other can get its id
        known = self._kept.get((id(basis), day))
        if known:
            return known[1]
        text = _json(basis.rows if isinstance(basis, Policy) else basis.to_json())
        found = _hash(text)
        connection.execute("insert or ignore into basis values (?, ?)", (found, text))
        connection.execute(
            "insert into basis_days values (?, ?) on conflict do update set last_day = max(last_day, ?)",
            (found, day, day),
        )
        # others may leave it out only once this very transaction is through
        self._pending()[id(basis), day] = (basis, found)
        return found

    def _basis(self, name: str, content_hash: str) -> Any:
        sql = "select content from basis where hash = ?"
        row = self._connection().execute(sql, (content_hash,)).fetchone()
        if row is None or _hash(row[0]) != content_hash:
            raise _Altered(name)
        return json.loads(row[0])

    def _pending(self) -> Kept:
        if not hasattr(self._local, "pending"):
            self._local.pending = {}
        pending: Kept = self._local.pending
        return pending

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else can write beside; what fails leaves nothing."""
        connection = self._connection()
        self._pending().clear()
        connection.execute("begin immediate")
        try:
            yield connection
        except BaseException:
            connection.execute("rollback")
            raise
        connection.execute("commit")
        self._kept |= self._pending()

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._local, "connection"):
            self._local.connection = open_sqlite(self._path, SCHEMA, synchronous="normal")
        found: sqlite3.Connection = self._local.connection
        return found


def months_before(day: date, months: int) -> date:
    """The same day so many months ago, or the last of that month."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


class _Altered(Exception):
    """What a receipt rests on is gone, or is not what it was."""


def _cents(connection: sqlite3.Connection, sql: str, *parameters: str) -> int:
    row = connection.execute(sql, parameters).fetchone()
    return int(row[0] or 0) if row else 0


def _money(cents: int) -> Decimal:
    return Decimal(cents) / 100


def _json(content: Any) -> str:
    return json.dumps(content, default=str, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
