"""Simulates a shop with orders, payments, returns and deliveries, in which every customer's true risks are
known.

The orders are as in `goodstanding.ingest.samples.simulate`; beside them each day has a file of payments, of
returns and of deliveries. Every customer has a constant risk of paying late, of ceasing to pay instalments
(default), and of refusing a parcel that is to be paid at the door; the last two grow with the basket. What
happens is drawn from these risks alone, so a score can be compared with the truth: `true_risks/` in the
landing has the risk of every customer and order. No mapping names that folder, so ingest does not read it.

The same arguments give the same bytes. A file `SIMULATED` in the landing marks what is built from it.
"""

from __future__ import annotations

import csv
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

import numpy as np

from goodstanding.ingest.landings.folder import new_landing
from goodstanding.ingest.load import SIMULATED_MARKER
from goodstanding.ingest.samples.simulate import (
    NOTICE,
    Invoice,
    Item,
    draw_catalogue,
    draw_sales,
    moment_of,
    numbered,
    trading_days,
    write_days,
)

CENT = Decimal("0.01")
METHODS = ("card", "direct debit", "cash on delivery", "instalments")
METHOD_SHARES = (0.4, 0.12, 0.26, 0.22)
# the share of a customer's orders that are paid by the method that the customer prefers
LOYALTY = 0.75
INSTALMENTS = (3, 6)
# days between two instalments, and by how many more than one a late one is late, exponentially
EVERY, LATENESS = 30, 12
CREDIT_LIMITS = (300, 600, 1200, 2500)
# Fewer than a shop for resellers has, so that files that load quickly have enough orders to learn from.
LINES_AN_ORDER = 4.0
# The basket at which a customer's risk is the one stated; a basket e times as large has odds e^0.4 as high.
USUAL_BASKET = 100.0
BASKET_SLOPE = 0.4
LATE, DEFAULT, REFUSAL, RETURN = -1.9, -3.5, -2.2, -2.4
# How much customers differ, in log-odds. With 1.8 the true chances predict who pays late with an AUC of
# .80; with 1.2 it would be .74, less than a scorecard reaches on real statements of account (see
# bench/credit.py).
SPREAD, CREDIT_SPREAD = 1.2, 1.8
HEADERS = {
    "payments": (
        *("customer", "order", "method", "instalment", "amount", "due", "paid", "outstanding"),
        "credit_limit",
    ),
    "returns": ("customer", "order", "at", "amount", "cause"),
    "deliveries": ("customer", "order", "at", "method"),
}
TRUE_RISKS = "true_risks"

Row = tuple[object, ...]
# lines of a kind, each with the day in whose file it is
DatedRows = list[tuple[date, Row]]


@dataclass(frozen=True)
class Person:
    """A simulated customer: risks as log-odds at the usual basket, the method preferred, the limit."""

    late: float
    default: float
    refusal: float
    returns: float
    method: str
    credit_limit: int


@dataclass(frozen=True)
class Order:
    """An order, how it is paid, when it is handed over, and the chances that were drawn from."""

    sale: Invoice
    person: Person
    method: str
    amount: Decimal
    delivered: datetime
    refusal_probability: float
    default_probability: float
    late_30d_probability: float
    is_refused: bool


def simulate_accounts(
    landing: Path,
    *,
    first: date = date(2010, 12, 1),
    days: int = 374,
    customers: int = 1500,
    seed: int = 352,
) -> int:
    """Fill an empty or missing `landing` as `shops/simulated.yml` describes it, with the true risks beside.

    Args:
        landing: folder to fill; it appears only when every file in it is complete.
        first: first day; the shop is closed on Saturdays.
        days: how many days, closed ones included; what would happen after them is not written.
        customers: how many people may order.
        seed: of all that is random.

    Returns:
        Order lines written, unreadable ones included.

    Raises:
        DataProblem: the landing already holds files.
        WrongUse: the shop is closed on all of these days.
    """
    rng = np.random.default_rng(seed)
    calendar = trading_days("simulated", first, days)
    span = [first + timedelta(days=n) for n in range(days)]
    with new_landing(landing) as (filling, _):
        (filling / SIMULATED_MARKER).write_text(NOTICE, encoding="utf-8")
        sales = draw_sales(rng, calendar, customers, days, draw_catalogue(rng), LINES_AN_ORDER)
        sales.sort(key=lambda sale: sale.at)
        people = {name: _person(rng) for name in sorted({sale.customer for sale in sales})}
        orders = [_order(rng, sale, people[sale.customer]) for sale in sales]
        taken_back = _taken_back(rng, calendar, orders)
        (filling / "orders").mkdir()
        invoices = sales + [cancellation for _, cancellation, _ in taken_back]
        numbers = {id(invoice): number for number, invoice in numbered(invoices)}
        lines = write_days(rng, filling / "orders", calendar, invoices)
        rows_of: dict[str, DatedRows] = {
            "payments": _payments(rng, orders, numbers),
            "returns": _returns(taken_back, orders, numbers),
            "deliveries": [
                (order.delivered.date(), (*_named(order, numbers), order.delivered, order.method))
                for order in orders
            ],
        }
        for kind, rows in rows_of.items():
            _write_kind(filling / kind, HEADERS[kind], rows, span)
        _write_true_risks(filling / TRUE_RISKS, people, orders, numbers)
        return lines


def _person(rng: np.random.Generator) -> Person:
    late, refusal, returns = rng.normal(0, (CREDIT_SPREAD, SPREAD, SPREAD))
    return Person(
        late=LATE + late,
        # customers who pay late are more likely not to pay at all
        default=DEFAULT + 0.7 * late + 0.7 * rng.normal(0, CREDIT_SPREAD),
        refusal=REFUSAL + refusal,
        returns=RETURN + 0.5 * refusal + 0.5 * returns,
        method=str(rng.choice(METHODS, p=METHOD_SHARES)),
        credit_limit=int(rng.choice(CREDIT_LIMITS)),
    )


def _chance(log_odds: float) -> float:
    return float(1 / (1 + np.exp(-log_odds)))


def _order(rng: np.random.Generator, sale: Invoice, person: Person) -> Order:
    amount = sum((Decimal(repr(item.price)) * item.quantity for item in sale.items), Decimal(0))
    more = BASKET_SLOPE * float(np.log(max(float(amount), 1.0) / USUAL_BASKET))
    other = str(rng.choice(METHODS, p=METHOD_SHARES))
    method = person.method if rng.random() < LOYALTY else other
    refusal = _chance(person.refusal + more) if method == "cash on delivery" else 0.0
    default = _chance(person.default + more) if method == "instalments" else 0.0
    return Order(
        sale=sale,
        person=person,
        method=method,
        amount=amount.quantize(CENT),
        delivered=sale.at + timedelta(days=int(rng.integers(1, 5))),
        refusal_probability=refusal,
        default_probability=default,
        late_30d_probability=_late_30d(person, default) if method == "instalments" else 0.0,
        is_refused=bool(rng.random() < refusal),
    )


def _late_30d(person: Person, default: float) -> float:
    """The chance that an instalment is 30 days late within 90 days of the order, paid or not.

    Only the first two fall due in time. Each is paid that late with the same chance. A customer who ceases to
    pay, after any number of instalments but all, leaves one of these two open if they paid none or one.
    """
    ceased = default * float(np.mean([2 / months for months in INSTALMENTS]))
    late = _chance(person.late) * float(np.exp(-(EVERY - 1) / LATENESS))
    return 1 - (1 - ceased) * (1 - late) ** 2


def _taken_back(
    rng: np.random.Generator, calendar: list[date], orders: list[Order]
) -> list[tuple[Order, Invoice, str]]:
    """Orders that come back, with the cancellation and the cause: refused ones whole, returned ones in
    part."""
    taken = []
    for order in orders:
        items, cause, days = order.sale.items, "refused at the door", 0
        if not order.is_refused:
            if rng.random() >= _chance(order.person.returns):
                continue
            kept = rng.random(len(items)) < 0.5
            items = [item for item, is_kept in zip(items, kept, strict=True) if not is_kept] or items[:1]
            cause, days = "sent back", 1 + int(rng.exponential(9))
        day = (order.delivered + timedelta(days=days)).date()
        position = bisect_left(calendar, day)
        if position == len(calendar):
            continue
        back = [item._replace(quantity=-item.quantity) for item in items]
        at = moment_of(rng, calendar[position])
        taken.append((order, Invoice(at, "C", order.sale.customer, order.sale.country, back), cause))
    return taken


def _returns(
    taken_back: list[tuple[Order, Invoice, str]], orders: list[Order], numbers: dict[int, str]
) -> DatedRows:
    """Lines of returns: a refusal on the day of the attempt, a return on the day of its cancellation."""
    worth = {id(order): _worth(cancellation.items) for order, cancellation, _ in taken_back}
    refused: DatedRows = [
        (
            order.delivered.date(),
            (
                *_named(order, numbers),
                order.delivered,
                worth.get(id(order), order.amount),
                "refused at the door",
            ),
        )
        for order in orders
        if order.is_refused
    ]
    returned: DatedRows = [
        (back.at.date(), (*_named(order, numbers), back.at, worth[id(order)], cause))
        for order, back, cause in taken_back
        if not order.is_refused
    ]
    return refused + returned


def _worth(items: list[Item]) -> Decimal:
    return -sum((Decimal(repr(item.price)) * item.quantity for item in items), Decimal(0)).quantize(CENT)


def _payments(rng: np.random.Generator, orders: list[Order], numbers: dict[int, str]) -> DatedRows:
    """Lines of payments: each instalment when it is agreed and when it is paid. A refused order is never
    paid."""
    lines: DatedRows = []
    for order in orders:
        placed, door = order.sale.at.date(), order.delivered.date()
        if order.method == "card":
            lines += _agreed_and_paid(order, numbers, [(placed, placed)], placed)
        elif order.method == "cash on delivery" and not order.is_refused:
            lines += _agreed_and_paid(order, numbers, [(door, door)], door)
        elif order.method == "direct debit":
            due = placed + timedelta(days=5)
            lines += _agreed_and_paid(order, numbers, [(due, _paid(rng, order, due, 0.3))], placed)
        elif order.method == "instalments":
            months = int(rng.choice(INSTALMENTS))
            ends = months
            if rng.random() < order.default_probability:
                ends = int(rng.integers(0, months))
            plan = [placed + timedelta(days=EVERY * (n + 1)) for n in range(months)]
            days = [(due, _paid(rng, order, due, 1.0) if n < ends else None) for n, due in enumerate(plan)]
            lines += _agreed_and_paid(order, numbers, days, placed)
    return lines


def _paid(rng: np.random.Generator, order: Order, due: date, factor: float) -> date:
    """The day on which an instalment is paid: in time, or late by some days. `factor` scales the risk."""
    is_late = rng.random() < factor * _chance(order.person.late)
    return due + timedelta(days=1 + int(rng.exponential(LATENESS)) if is_late else -int(rng.integers(0, 3)))


def _agreed_and_paid(
    order: Order, numbers: dict[int, str], days: list[tuple[date, date | None]], agreed: date
) -> DatedRows:
    """The lines about all instalments of an order, given by the days on which each is due and paid."""
    part = (order.amount / len(days)).quantize(CENT, ROUND_DOWN)
    amounts = [part] * (len(days) - 1) + [order.amount - part * (len(days) - 1)]
    paid_first = sorted((max(paid, agreed), n) for n, (_, paid) in enumerate(days) if paid is not None)

    def line(n: int, paid: date | None, left: Decimal) -> Row:
        instalment = (n + 1, amounts[n], days[n][0], paid or "", left)
        return (*_named(order, numbers), order.method, *instalment, order.person.credit_limit)

    left, rows = order.amount, DatedRows()
    for n, (_, paid) in enumerate(days):
        if paid is None or max(paid, agreed) > agreed:
            rows.append((agreed, line(n, None, left)))
    for day, n in paid_first:
        left -= amounts[n]
        rows.append((day, line(n, day, left)))
    return rows


def _named(order: Order, numbers: dict[int, str]) -> tuple[str, str]:
    return order.sale.customer, numbers[id(order.sale)]


def _write_kind(folder: Path, header: tuple[str, ...], rows: DatedRows, span: list[date]) -> None:
    """Write one file for each day on which something happened. Rows after the last day are left out."""
    folder.mkdir()
    by_day: dict[date, list[Row]] = defaultdict(list)
    for day, row in rows:
        by_day[day].append(row)
    for day in span:
        if by_day[day]:
            _write(folder / f"{day}.csv", header, by_day[day])


def _write(path: Path, header: tuple[str, ...], rows: Iterable[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def _write_true_risks(
    folder: Path, people: dict[str, Person], orders: list[Order], numbers: dict[int, str]
) -> None:
    """Write the probabilities from which outcomes were drawn. A real shop does not know them."""
    folder.mkdir()
    _write(
        folder / "customers.csv",
        ("customer", "late_probability", "default_probability", "refusal_probability", "return_probability"),
        (
            (name, *(f"{_chance(odds):.6f}" for odds in (who.late, who.default, who.refusal, who.returns)))
            for name, who in people.items()
        ),
    )
    _write(
        folder / "orders.csv",
        (
            *("order", "customer", "method", "amount", "refusal_probability", "default_probability"),
            "late_30d_probability",
        ),
        (
            (
                *(numbers[id(order.sale)], order.sale.customer, order.method, order.amount),
                *(
                    f"{chance:.6f}"
                    for chance in (
                        order.refusal_probability,
                        order.default_probability,
                        order.late_30d_probability,
                    )
                ),
            )
            for order in orders
        ),
    )
