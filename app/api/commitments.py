"""Keeps commitments: the quotes that an order has taken. What is open of them counts against the caps.

A commitment lies beside the receipt that it takes, in the same SQLite file (`app.api.receipts`). It has
parts, each of which is open through its last day. One of instalments has a part for the principal of each
payment, open through the day on which it is due; one on delivery has a single part, open until the order is
delivered and can come back no more. A release ends a commitment at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal, TypedDict, get_args

from goodstanding.core.errors import DataProblem, GoodstandingError, WrongUse
from goodstanding.decisions.decide import money
from goodstanding.decisions.due_dates import due_dates
from goodstanding.decisions.instalments import schedule
from goodstanding.decisions.policy import Plan, Rules

SCHEMA = """
create table if not exists commitments (
    receipt_id text primary key, order_id text not null, method text not null, buyer text,
    is_stranger integer not null, day text not null, until text not null, cents integer not null,
    months integer, return_days integer not null, expires text not null, at text not null,
    released_at text, released_because text,
    -- by what the files of a publication tell: when that was published, the last day on which it is open, the
    -- most that may be open, and why; an empty day or sum leaves the parts as they are
    settled_at text, settled_until text, settled_cents integer, settled_because text
) without rowid;
create unique index if not exists commitments_of_orders
on commitments (order_id, method) where released_at is null;
create index if not exists commitments_of_buyers on commitments (buyer, method) where released_at is null;
create index if not exists commitments_of_days
on commitments (day, method, is_stranger, cents) where released_at is null;
create index if not exists commitments_by_end on commitments (until);
create table if not exists parts (
    receipt_id text not null, until text not null, cents integer not null, primary key (receipt_id, until)
) without rowid;
"""
# What is open on a day, by what is known at a publication: one that is newer is not looked at, because what
# it says of debts is not known to the asker either.
OPEN = """
select
    receipt_id,
    min(sum(parts.cents), coalesce(iif(is_told, settled_cents, null), sum(parts.cents))) as cents
from (
    select *, coalesce(settled_at <= :known, 0) as is_told from commitments where released_at is null {which}
) join parts using (receipt_id)
where coalesce(iif(is_told, settled_until, null), parts.until) >= :day
group by receipt_id
"""
Because = Literal["cancelled", "expired", "typed_wrongly"]
REASONS: tuple[Because, ...] = get_args(Because)
OPEN_STATE, RELEASED = "open", "released"


class NoReceipt(DataProblem):
    """There is no receipt of this id, or none that was committed."""


class Conflict(GoodstandingError):
    """What is asked for contradicts what was committed, quoted or asked before."""


class NoOrderId(WrongUse):
    """A text that no order can have as its id."""


@dataclass(frozen=True)
class Quote:
    """What a commitment takes.

    `buyer` is a pseudonym, the hash of what a guest is known by, or None. `cents` are those granted. `plan`
    is None on delivery.
    """

    receipt_id: str
    method: str
    buyer: str | None
    is_stranger: bool
    cents: int
    plan: Plan | None


class Commitment(TypedDict):
    """A commitment as it is answered.

    `state` is open or released. `until` is the last day on which something of it is open, unless a release or
    the order's files end it before. `at` is the time in UTC.
    """

    receipt_id: str
    order_id: str
    method: str
    granted: str
    months: int | None
    day: str
    until: str
    at: str
    state: str
    released_because: str | None


class Standings(TypedDict):
    """What is open of a buyer, and what was taken on a day, in cents."""

    buyer: int
    day: int


def find(connection: sqlite3.Connection, receipt_id: str) -> Commitment | None:
    """The commitment of a receipt, or None."""
    row = connection.execute(
        "select order_id, method, cents, months, day, until, at, released_because from commitments "
        "where receipt_id = ?",
        (receipt_id,),
    ).fetchone()
    if row is None:
        return None
    order_id, method, cents, months, day, until, at, released_because = row
    return {
        "receipt_id": receipt_id,
        "order_id": order_id,
        "method": method,
        "granted": money(Decimal(cents) / 100),
        "months": months,
        "day": day,
        "until": until,
        "at": at,
        "state": RELEASED if released_because else OPEN_STATE,
        "released_because": released_because,
    }


def receipt_of(connection: sqlite3.Connection, order_id: str, method: str) -> str | None:
    """The receipt that an order has taken by a method, or None."""
    row = connection.execute(
        "select receipt_id from commitments where order_id = ? and method = ? and released_at is null",
        (order_id, method),
    ).fetchone()
    return row[0] if row else None


def taken(connection: sqlite3.Connection, quote: Quote, day: date, known: str) -> Standings:
    """What is open of a buyer by a method, and what orders of a day took of the budget, in cents.

    Args:
        connection: to the receipts.
        quote: whose, by which method, and of which budget; its sum is not looked at.
        day: of the shop.
        known: when the publication was made by which debts are known, as ISO 8601; empty: none.
    """
    at = {"day": day.isoformat(), "method": quote.method, "known": known}
    of_buyer = f"select sum(cents) from ({OPEN.format(which='and buyer = :buyer and method = :method')})"
    open_of_buyer = connection.execute(of_buyer, {**at, "buyer": quote.buyer}).fetchone()
    of_day = (
        "select sum(cents) from commitments "
        "where day = :day and method = :method and is_stranger = :is_stranger and released_at is null"
    )
    taken_on_day = connection.execute(of_day, {**at, "is_stranger": quote.is_stranger}).fetchone()
    return {"buyer": int(open_of_buyer[0] or 0), "day": int(taken_on_day[0] or 0)}


def keep(
    connection: sqlite3.Connection, quote: Quote, order_id: str, day: date, at: str, rules: Rules
) -> None:
    """Keep a new commitment with its parts."""
    parts = parts_of(quote, day, rules)
    until = max(last for last, _ in parts).isoformat()
    expires = (day + timedelta(days=rules.expires_after_days)).isoformat()
    connection.execute(
        "insert into commitments (receipt_id, order_id, method, buyer, is_stranger, day, until, cents, "
        "months, return_days, expires, at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(
                quote.receipt_id,
                order_id,
                quote.method,
                quote.buyer,
                quote.is_stranger,
                day.isoformat(),
                until,
            ),
            *(quote.cents, quote.plan and quote.plan.months, rules.return_days, expires, at),
        ),
    )
    connection.executemany(
        "insert into parts values (?, ?, ?)",
        [(quote.receipt_id, last.isoformat(), cents) for last, cents in parts],
    )


def parts_of(quote: Quote, day: date, rules: Rules) -> Sequence[tuple[date, int]]:
    """The parts of a commitment: the last day on which each is open, and its cents."""
    if quote.plan is None:
        return [(day + timedelta(days=rules.delivery_days + rules.return_days), quote.cents)]
    payments = schedule(Decimal(quote.cents) / 100, quote.plan.months, quote.plan.yearly_rate)
    due = due_dates(day, quote.plan.months, rules.business_days)
    return [(last, int(payment.principal * 100)) for last, payment in zip(due, payments, strict=True)]


def release(connection: sqlite3.Connection, receipt_id: str, because: Because, at: str) -> Commitment:
    """End a commitment; one that was released stays as it was.

    Raises:
        NoReceipt: nothing was committed by this receipt.
    """
    connection.execute(
        "update commitments set released_at = ?, released_because = ? "
        "where receipt_id = ? and released_at is null",
        (at, because, receipt_id),
    )
    commitment = find(connection, receipt_id)
    if commitment is None:
        raise NoReceipt(f"receipt {receipt_id} is not committed, so there is nothing to release")
    return commitment
