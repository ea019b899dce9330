"""Keeps a receipt of every answer: what was asked, known and decided, so that it can be computed again.

Receipts lie in one SQLite file under the home, in WAL mode, which many worker processes write safely. An
answer is a quote and counts against nothing; an order takes it by a commitment (`app.api.commitments`), which
is checked against the caps and kept in one transaction, so two workers together exceed no cap. A worker's
crash loses no receipt whose answer went out; a power cut may lose those of the last moments (synchronous =
normal), because a wait for the disk at each answer costs more than they are worth.

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
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from dateutil.relativedelta import relativedelta
from filelock import FileLock, Timeout

from app.api import commitments
from app.api.commitments import Because, Commitment, Conflict, NoReceipt, Quote
from app.api.policy_book import Book, State
from app.api.policy_log import Head, require_heads
from app.api.sqlite import SqliteFile
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import QUOTE_MINUTES, RECEIPT_MONTHS, Settings
from goodstanding.core.version import folder_version
from goodstanding.core.vocabulary import now_utc
from goodstanding.decisions.decide import Answer, Question, Standing, decide, left_by_caps, money
from goodstanding.decisions.policy import SWITCHED_OFF, Plan, Policy, parse_policies
from goodstanding.decisions.reasons import Borders, Measures, MonthEnd
from goodstanding.decisions.scorecard import CardContent, Scorecard, Value

log = logging.getLogger(__name__)

FILE = "receipts.sqlite"
# Which version answers a customer who takes part in a trial: the live one, or the challenger.
CHAMPION, CHALLENGED = "champion", "challenger"
SCHEMA = f"""
create table if not exists receipts (
    receipt_id text primary key, at text not null, day text not null, content text not null
);
-- of files of before commitments, when each answer counted on its day
drop table if exists grants;
drop table if exists granted;
-- the newest receipt of what a question names as its own: an idempotency key, a basket
create table if not exists identities (
    identity text primary key, receipt_id text not null, day text not null
) without rowid;
create index if not exists identities_by_day on identities (day);
{commitments.SCHEMA}
-- which heads of the log of policy changes answers rested on: a log without one of them was cut
create table if not exists policy_heads (
    number integer not null, hash text not null, at text not null, primary key (number, hash)
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
    (
        "parts",
        "receipt_id, until",
        "parts where receipt_id in (select receipt_id from commitments where until < ?1) and until",
    ),
    ("commitments", "receipt_id", "commitments where until"),
    ("receipts", "rowid", "receipts where receipt_id not in (select receipt_id from commitments) and day"),
    ("identities", "identity", "identities where day"),
    ("basis", "hash", "basis natural join basis_days where last_day"),
    ("basis_days", "hash", "basis_days where last_day"),
)
# Rows dropped in one transaction, for which answers wait, and the pause after it. Dropping 20 of a million
# took 0.6 ms (100: 5 ms), and at this pace 30 million rows can be dropped in a day.
BATCH, PAUSE_SECONDS = 20, 0.05
# What an answer has had only since answers are quotes: in an earlier receipt it is no difference.
ADDED = frozenset(("open_after", "plans"))
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
        standing: of the customer; what is open of commitments is filled in.
        card: the fitted scorecard, or None for the policy's own.
        policy: the one in effect.
        shadow: a policy whose answer is kept in the receipt and not shown.
        identity: who asks, and which question it is.
        known: when the publication was made on which the standing rests, as ISO 8601; empty: there is none.
        trial: of the challenger and the live policy, where the customer takes part in one.
    """

    day: date
    customer: str | None
    question: Question
    standing: Standing
    card: Scorecard | None
    policy: Policy
    shadow: Policy | None = None
    identity: Identity = field(default_factory=lambda: Identity())
    known: str = ""
    trial: Trial | None = None


@dataclass(frozen=True)
class Trial:
    """That a customer is answered by lot, by the live policy or by a challenger.

    Attributes:
        challenger: its version.
        share: of the customers whom it answers, as text.
        arm: `CHALLENGED` where the challenger answers this customer, else `CHAMPION`.
        live: the live policy.
    """

    challenger: str
    share: str
    arm: str
    live: Policy


@dataclass(frozen=True)
class Identity:
    """What binds questions to each other; each text is None, or a hash of what the shop named.

    Attributes:
        guest: who asks without a customer's id: an e-mail address, a phone, a device.
        basket: which basket it is: its newest quote takes the place of those before.
        key: of this one question: asked again, it gets the very same answer.
        order: what the question says of the order.
        id_length: the number of characters of the customer's id, by which it is found in an order's id.
    """

    guest: str | None = None
    basket: str | None = None
    key: str | None = None
    order: str | None = None
    id_length: int | None = None


class KeptAnswer(Answer):
    """An answer with its receipt: `at` is the time in UTC, as ISO 8601.

    `quote_until` is the time until which an order may take it; None where nothing is granted.
    """

    quote_until: str | None
    receipt_id: str
    at: str


class KeptIdentity(TypedDict):
    """An `Identity` as a receipt keeps it."""

    guest: str | None
    basket: str | None
    key: str | None
    # receipts of before these were kept have none of them
    order: NotRequired[str | None]
    id_length: NotRequired[int | None]


class KeptQuestion(TypedDict):
    """A `Question` as a receipt keeps it, money and the day as text."""

    method: str
    basket: str
    months: int | None
    other_months: list[int]
    day: str | None


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
    is_stranger: bool
    # receipts of before this was looked at have it not
    knows_payments: NotRequired[bool]


class ShadowAnswer(TypedDict):
    """What a shadow policy would have answered: the hash of its content, and the answer."""

    policy: str
    answer: Answer


class KeptTrial(TypedDict):
    """A `Trial` as a receipt keeps it; `live` is the hash of the live policy's content."""

    challenger: str
    share: str
    arm: str
    live: str


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
    trial: NotRequired[KeptTrial]
    # receipts of before answers were quotes have none of these
    quote_until: NotRequired[str | None]
    identity: NotRequired[KeptIdentity]


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
class Now:
    """When an order takes a quote, and what is known then.

    Attributes:
        day: of the shop.
        known: as of an `Inquiry`.
        outstanding: what the customer owes by now; None: as the receipt has it.
    """

    day: date
    known: str = ""
    outstanding: Decimal | None = None


@cache
def code_version() -> str:
    """The code that decides: a hash of the package `goodstanding/decisions`, and the book of holidays."""
    return f"{folder_version('goodstanding/decisions')}, holidays {version('holidays')}"


class Receipts:
    """The receipts of a home; each thread has its own connection to the file."""

    def __init__(
        self,
        folder: Path,
        months: int = RECEIPT_MONTHS,
        quote_minutes: int = QUOTE_MINUTES,
        book: Book | None = None,
    ) -> None:
        self._path, self._months, self._book = folder / FILE, months, book
        self._quote = timedelta(minutes=quote_minutes)
        self._file = SqliteFile(self._path, SCHEMA, synchronous="normal")
        self._local = threading.local()
        self._kept: Kept = {}
        # the head of the log of policy changes that was found to have all heads seen before
        self._checked = ""

    def decide(self, inquiries: Sequence[Inquiry]) -> list[KeptAnswer]:
        """Answer questions in turn, and keep the receipts, in one transaction. None counts for another.

        Raises:
            Conflict: an idempotency key was used for another question; nothing is answered.
        """
        with self.transaction() as connection:
            # looked at now and not before the wait for other writers: a switch counts from here on
            state = self._state(connection)
            return [self._decide(connection, _switched(inquiry, state)) for inquiry in inquiries]

    def _state(self, connection: sqlite3.Connection) -> State:
        """What is in force by the log of policy changes, whose head is kept beside the receipts.

        Raises:
            DataProblem: the log lacks an entry on which an answer rested.
        """
        if self._book is None:
            return State()
        state = self._book.current
        if state.head != self._checked:
            # a log that was cut while nothing ran would switch on what was off
            require_heads(
                state.entries, connection.execute("select number, hash from policy_heads").fetchall()
            )
            self._checked = state.head
        if state.entries:
            head = (len(state.entries), state.head, _stamp(now_utc()))
            connection.execute("insert or ignore into policy_heads values (?, ?, ?)", head)
        return state

    def _decide(self, connection: sqlite3.Connection, inquiry: Inquiry) -> KeptAnswer:
        question, policy, identity = inquiry.question, inquiry.policy, inquiry.identity
        if identity.key and (earlier := self._earlier(connection, inquiry, identity.key)):
            return earlier
        day, receipt_id, now = inquiry.day.isoformat(), secrets.token_hex(16), now_utc()
        buyer, is_stranger = inquiry.customer or identity.guest, inquiry.standing.is_stranger
        quote = Quote(receipt_id, question.method, buyer, is_stranger, 0, None)
        standing = _with_taken(inquiry.standing, connection, quote, inquiry.day, inquiry.known)
        answer = decide(question, standing, inquiry.card, policy)
        quote_until = _stamp(now + self._quote) if Decimal(answer["granted"]) else None
        content: dict[str, Any] = {
            "day": day,
            "customer": inquiry.customer,
            "identity": vars(identity),
            "question": vars(question),
            "standing": vars(standing),
            "policy": self._keep_basis(connection, policy, day),
            "scorecard": self._keep_basis(connection, inquiry.card, day) if inquiry.card else None,
            "code_version": code_version(),
            "answer": answer,
            "quote_until": quote_until,
        }
        if inquiry.shadow:
            content["shadow"] = ShadowAnswer(
                policy=self._keep_basis(connection, inquiry.shadow, day),
                answer=decide(question, standing, inquiry.card, inquiry.shadow),
            )
        if trial := inquiry.trial:
            content["trial"] = KeptTrial(
                challenger=trial.challenger,
                share=trial.share,
                arm=trial.arm,
                live=self._keep_basis(connection, trial.live, day),
            )
        at = _stamp(now)
        connection.execute("insert into receipts values (?, ?, ?, ?)", (receipt_id, at, day, _json(content)))
        for name in filter(None, (identity.key, identity.basket)):
            connection.execute("insert or replace into identities values (?, ?, ?)", (name, receipt_id, day))
        return {**answer, "quote_until": quote_until, "receipt_id": receipt_id, "at": at}

    def _earlier(self, connection: sqlite3.Connection, inquiry: Inquiry, key: str) -> KeptAnswer | None:
        """The answer that a question with this key got, while it holds; None where there is none."""
        receipt = self._newest(connection, key)
        # what was answered before a method was switched, off or on, holds no longer
        if receipt is None or _is_off(receipt["standing"]["situation"]) != _is_off(
            inquiry.standing.situation
        ):
            return None
        # asked again after midnight it is the same question
        asked: dict[str, Any] = {
            "customer": inquiry.customer,
            "identity": vars(inquiry.identity),
            "question": vars(replace(inquiry.question, day=None)),
        }
        kept = {
            **receipt,
            "question": {**receipt["question"], "day": None},
            "identity": {**asked["identity"], **receipt["identity"]},
        }
        if json.loads(_json(asked)) != {name: kept.get(name) for name in asked}:
            raise Conflict(
                "this idempotency_key was used for another question; give each question a key of its own"
            )
        until = receipt.get("quote_until") or _stamp(datetime.fromisoformat(receipt["at"]) + self._quote)
        if until < _stamp(now_utc()):
            return None
        return {
            **receipt["answer"],
            "quote_until": receipt.get("quote_until"),
            "receipt_id": receipt["receipt_id"],
            "at": receipt["at"],
        }

    def _newest(self, connection: sqlite3.Connection, identity: str) -> Receipt | None:
        row = connection.execute(
            "select receipt_id, at, content from identities join receipts using (receipt_id) "
            "where identity = ?",
            (identity,),
        ).fetchone()
        return _receipt(*row) if row else None

    def commit(self, receipt_id: str, order_id: str, now: Now, months: int | None = None) -> Commitment:
        """Let an order take what a receipt grants; the same order and receipt again change nothing.

        Args:
            receipt_id: of the answer.
            order_id: the shop's own, in normal form.
            now: the day, and what is known on it.
            months: of the plan, where the question named several; default: the first of them.

        Raises:
            NoReceipt: there is no such receipt.
            Conflict: the receipt grants nothing, its quote is over or was replaced, it or the order is
                committed otherwise, or the caps leave less than it grants.
        """
        with self.transaction() as connection:
            receipt = self.read(receipt_id)
            answer, method = receipt["answer"], receipt["question"]["method"]
            plan = _plan_of(answer, months)
            kept = commitments.find(connection, receipt_id)
            if kept:
                _require_same(kept, order_id, plan)
                return kept
            taker = commitments.receipt_of(connection, order_id, method)
            if taker:
                raise Conflict(
                    f"the order {order_id} has taken receipt {taker} already; release that one first"
                )
            if self._state(connection).is_off(method):
                raise Conflict(f"{method} is switched off: no order can take receipt {receipt_id}")
            self._require_quote(connection, receipt)
            quote = Quote(
                receipt_id,
                method,
                receipt["customer"] or receipt["identity"]["guest"],
                receipt["standing"]["is_stranger"],
                int(Decimal(answer["granted"]) * 100),
                plan,
            )
            self._require_room(connection, receipt, quote, now)
            rules = self.policy(receipt["policy"]).rules[method]
            commitments.keep(connection, quote, order_id, now.day, _stamp(now_utc()), rules)
            committed = commitments.find(connection, receipt_id)
            assert committed is not None
            self._keep_basis_until(connection, receipt, committed["until"])
            return committed

    def release(self, receipt_id: str, because: Because) -> Commitment:
        """Give back what an order took; again, it changes nothing.

        Raises:
            NoReceipt: nothing was committed by this receipt.
        """
        with self.transaction() as connection:
            return commitments.release(connection, receipt_id, because, _stamp(now_utc()))

    def _require_quote(self, connection: sqlite3.Connection, receipt: Receipt) -> None:
        receipt_id, until = receipt["receipt_id"], receipt.get("quote_until")
        if not Decimal(receipt["answer"]["granted"]):
            raise Conflict(f"receipt {receipt_id} grants nothing, so no order can take it")
        if until is None or until < _stamp(now_utc()):
            ended = f"was good until {until}" if until else "is of before answers were quotes"
            raise Conflict(f"receipt {receipt_id} {ended}; ask again")
        basket = receipt["identity"]["basket"]
        newest = self._newest(connection, basket) if basket else None
        if newest and newest["receipt_id"] != receipt_id:
            raise Conflict(
                f"the basket of receipt {receipt_id} was asked about again; take receipt "
                f"{newest['receipt_id']}"
            )

    def _require_room(self, connection: sqlite3.Connection, receipt: Receipt, quote: Quote, now: Now) -> None:
        """Refuse what the caps do not leave any more, by what is open now and owed now."""
        standing = _standing(receipt)
        if now.outstanding is not None and standing.situation is None:
            standing = replace(standing, outstanding=now.outstanding)
        standing = _with_taken(standing, connection, quote, now.day, now.known)
        policy = self.policy(receipt["policy"])
        left, sentence = left_by_caps(_question(receipt), standing, self._card(receipt), policy)
        granted = Decimal(quote.cents) / 100
        if left < granted:
            raise Conflict(f"{money(granted)} was quoted and {money(left)} is left. {sentence} Ask again.")

    def _keep_basis_until(self, connection: sqlite3.Connection, receipt: Receipt, until: str) -> None:
        """Keep what a receipt rests on for as long as its commitment."""
        shadow, trial = receipt.get("shadow"), receipt.get("trial")
        beside = (shadow and shadow["policy"], trial and trial["live"])
        hashes = (receipt["policy"], receipt["scorecard"], *beside)
        connection.executemany(
            "update basis_days set last_day = max(last_day, ?) where hash = ?",
            [(until, content_hash) for content_hash in hashes if content_hash],
        )

    def read(self, receipt_id: str) -> Receipt:
        """A receipt as it is kept.

        Raises:
            NoReceipt: there is none with this id.
        """
        sql = "select receipt_id, at, content from receipts where receipt_id = ?"
        row = self._file.connection.execute(sql, (receipt_id,)).fetchone()
        if row is None:
            raise NoReceipt(
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
            NoReceipt: there is none with this id.
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
        return [
            key
            for key in {**answer, **again}
            if answer.get(key) != again.get(key) and (key in answer or key not in ADDED)
        ]

    def prune(
        self, today: date, data_day: date | None, has_ended: Callable[[float], bool | None] = time.sleep
    ) -> dict[str, int]:
        """Drop old receipts and commitments that have ended, and what no receipt rests on any longer.

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
        try:
            with FileLock(self._path.with_suffix(".prune"), blocking=False):
                for table, count in self._drop(kept_from):
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

    def _drop(self, kept_from: date) -> Iterator[tuple[str, int]]:
        """Drop rows of earlier days; each batch is one transaction, and yields its table and row count."""
        for table, key, source in DROPPED:
            sql = f"delete from {table} where ({key}) in (select {key} from {source} < ?1 limit {BATCH})"
            count = BATCH
            while count == BATCH:
                with self.transaction() as connection:
                    count = connection.execute(sql, (kept_from.isoformat(),)).rowcount
                yield table, count

    def policy(self, content_hash: str) -> Policy:
        """A policy on which receipts rest, by the hash of its content."""
        rows = self._basis("policy", content_hash)
        return parse_policies((f"policy {content_hash[:8]}", {**row, "note": ""}) for row in rows)[0]

    def _again(self, receipt: Receipt, policy_hash: str) -> Answer:
        card, policy = self._card(receipt), self.policy(policy_hash)
        return decide(_question(receipt), _standing(receipt), card, policy)

    def _card(self, receipt: Receipt) -> Scorecard | None:
        """The fitted scorecard on which a receipt rests, or None."""
        if not receipt["scorecard"]:
            return None
        content: CardContent = self._basis("scorecard", receipt["scorecard"])
        return Scorecard.from_json(content)

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
        with self._file.writing():
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


def seen_heads(folder: Path) -> list[Head]:
    """The heads of the log of policy changes on which answers rested; read without waiting for a writer.

    Raises:
        DataProblem: the file of receipts cannot be read.
    """
    path = folder / FILE
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute("select number, hash from policy_heads order by number").fetchall()
    except sqlite3.DatabaseError as error:
        # receipts of an earlier version saw none
        if "no such table" in str(error):
            return []
        raise DataProblem(f"{FILE}: cannot be read: {error}; put it back from a backup") from None


def book_of(settings: Settings) -> Book:
    """What is in force by the log of policy changes of a home, as long as it has what answers rested on."""
    return Book(settings.policy, lambda: seen_heads(settings.receipts))


def months_before(day: date, months: int) -> date:
    """The same day so many months earlier, or the last day of that month."""
    return day - relativedelta(months=months)


class _Altered(Exception):
    """A policy or scorecard that a receipt needs is missing, or was changed."""


def _switched(inquiry: Inquiry, state: State) -> Inquiry:
    """The inquiry, in the situation of a method that is switched off where it is."""
    if not state.is_off(inquiry.question.method):
        return inquiry
    return replace(inquiry, standing=replace(inquiry.standing, situation=SWITCHED_OFF, values={}))


def _is_off(situation: str | None) -> bool:
    return situation == SWITCHED_OFF


def _with_taken(
    standing: Standing, connection: sqlite3.Connection, quote: Quote, day: date, known: str
) -> Standing:
    """The standing with what is open of commitments on a day."""
    taken = commitments.taken(connection, quote, day, known)
    return replace(
        standing,
        granted_customer=Decimal(taken["buyer"]) / 100,
        granted_day=Decimal(taken["day"]) / 100,
    )


def _plan_of(answer: Answer, months: int | None) -> Plan | None:
    """The plan by which an order takes an answer; None on delivery."""
    plans = answer.get("plans") or []
    plan = next((plan for plan in plans if months in (None, plan["months"])), None)
    if months is not None and plan is None:
        raise Conflict(f"the answer has no plan of {months} months; ask again for one")
    return plan and Plan(plan["months"], Decimal(plan["yearly_rate"]))


def _require_same(kept: Commitment, order_id: str, plan: Plan | None) -> None:
    receipt_id = kept["receipt_id"]
    if kept["state"] == commitments.RELEASED:
        raise Conflict(f"receipt {receipt_id} was released ({kept['released_because']}); ask again")
    if kept["order_id"] != order_id:
        raise Conflict(
            f"receipt {receipt_id} is taken by the order {kept['order_id']}; ask again for another order"
        )
    if plan and plan.months != kept["months"]:
        raise Conflict(
            f"receipt {receipt_id} is taken with {kept['months']} months; release it, and ask again"
        )


def _question(receipt: Receipt) -> Question:
    question: dict[str, Any] = {**receipt["question"]}
    more, day = tuple(question.pop("other_months", ())), question.pop("day", None)
    return Question(
        **{
            **question,
            "basket": Decimal(question["basket"]),
            "other_months": more,
            "day": day and date.fromisoformat(day),
        }
    )


def _standing(receipt: Receipt) -> Standing:
    standing: dict[str, Any] = {**receipt["standing"]}
    for name in ("outstanding", "granted_customer", "granted_day"):
        if standing[name] is not None:
            standing[name] = Decimal(standing[name])
    return Standing(**standing)


def _receipt(receipt_id: str, at: str, content: str) -> Receipt:
    return cast(Receipt, {"receipt_id": receipt_id, "at": at, **json.loads(content)})


def _stamp(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _json(content: Any) -> str:
    return json.dumps(content, default=str, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
