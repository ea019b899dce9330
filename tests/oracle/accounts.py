"""How customers pay, as of a day, in plain Python: instalments, debts, delays, and how orders are paid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise

from tests.oracle.lines import Line
from tests.oracle.orders import NOTHING, six_months_before
from tests.oracle.standing import share

SORTS = ("e_payment", "auto_billed", "on_delivery", "on_account")


@dataclass(frozen=True)
class Instalment:
    """What the shop had stated about an instalment by `as_of`: the line of each day that counts, in order."""

    # number and day of the order that it pays for; the number is empty for a statement of account
    order: tuple[str, date | None]
    lines: tuple[Line, ...]
    as_of: date

    @property
    def line(self) -> Line:
        """The line that counts."""
        return self.lines[-1]

    @property
    def amount(self) -> Decimal:
        return self.line["amount"]

    @property
    def due_day(self) -> date:
        return self.line["due_day"]

    @property
    def paid(self) -> Decimal | None:
        """What was paid of it; None where it is not known."""
        return paid_by(self.line)

    @property
    def is_paid(self) -> bool:
        """Whether it is known that all of it was paid."""
        return self.paid is not None and self.paid >= self.amount

    @property
    def settled_day(self) -> date | None:
        """The day on which all of it was paid, where that is known."""
        if not is_settled(self.line):
            return None
        if self.line["paid_day"] is not None:
            return self.line["paid_day"]
        for before, after in reversed(list(pairwise(self.lines))):
            if not is_settled(before):
                return after.day
        first = self.lines[0].day
        return first if first <= self.due_day else None

    @property
    def days_late(self) -> int | None:
        """Days late; None where it is not due yet, nothing was to be paid, or it is not known."""
        stated = self.line["days_late"]
        if stated is not None and (stated > 0 or self.line.day >= self.due_day):
            return stated
        if self.settled_day is not None:
            return max((self.settled_day - self.due_day).days, 0)
        is_missing = self.paid is not None and self.paid < self.amount and self.amount > 0
        return (self.as_of - self.due_day).days if is_missing and self.due_day < self.as_of else None

    @property
    def is_due(self) -> bool:
        """Whether its outcome is known."""
        return (self.is_paid and self.amount > 0) or self.days_late is not None

    @property
    def is_overdue(self) -> bool | None:
        """Whether it is late and something is missing; None where that is not known."""
        if self.is_paid or self.amount <= 0:
            return False
        return None if self.paid is None else (self.days_late or 0) > 0

    @property
    def stated_when(self) -> tuple[object, ...]:
        """The order in which instalments were stated."""
        recorded = self.line["recorded_at"] or datetime.min
        number, order_day = self.order
        return (
            *(self.line.day, recorded, self.due_day, number, order_day or date.min),
            self.line["instalment_no"] or 0,
        )


def paid_by(line: Line) -> Decimal | None:
    """What was paid by a line: an amount beats a day, and the day alone says that all was."""
    if line["paid_amount"] is not None:
        return line["paid_amount"]
    if line["paid_day"] is not None:
        return line["amount"]
    return NOTHING if line["tells_payment"] else None


def paid_by_then(days: dict[date, list[Line]]) -> dict[date, list[Line]]:
    """The lines of an instalment by day; payments told one by one have the sum of all up to their day."""
    told: set[tuple[object, ...]] = set()
    sums: dict[date, list[Line]] = {}
    total: Decimal | None = None
    for day in sorted(days):
        for line in days[day]:
            paid, paid_day = paid_by(line), line["paid_day"]
            payment = (_moment(line), paid_day, paid)
            if paid is not None and payment not in told:
                total = (total or NOTHING) + paid
            told.add(payment)
        sums[day] = [
            replace(line, values={**line.values, "paid_amount": total}) if line["is_one_payment"] else line
            for line in days[day]
        ]
    return sums


def _moment(line: Line) -> object:
    """When a payment was made, as near as its line tells."""
    return line["recorded_at"] or line["paid_day"] or line.day


def is_settled(line: Line) -> bool:
    """Whether a line says that all of something was paid."""
    paid = paid_by(line)
    return line["amount"] > 0 and paid is not None and paid >= line["amount"]


def counts_over(line: Line) -> tuple[object, ...]:
    """Of several lines of a day about one instalment the one counts for which this is largest."""

    def known_first(value: object) -> tuple[object, ...]:
        return (value is not None, value)

    outstanding = line["outstanding"]
    return (
        known_first(line["recorded_at"]),
        known_first(paid_by(line)),
        known_first(line["paid_day"]),
        known_first(None if outstanding is None else -outstanding),
        *(known_first(line[name]) for name in ("due_day", "amount", "days_late", "credit_limit")),
    )


def named_orders(lines: Iterable[Line]) -> dict[tuple[str, int], date | None]:
    """The day of the order that each line of another kind names, by its place.

    It is the customer's latest order of that number on or before that day; None where there was none.
    """
    lines = list(lines)
    days: dict[tuple[object, ...], list[date]] = defaultdict(list)
    for line in lines:
        if line.kind == "orders" and line.sort == "sale" and line.customer is not None:
            days[line.customer, line["invoice_no"]].append(line.day)
    return {
        line.place: max(
            (day for day in days[line.customer, line["invoice_no"]] if day <= line.day), default=None
        )
        for line in lines
        if line.kind != "orders"
    }


def instalments(lines: Iterable[Line], as_of: date) -> dict[str, list[Instalment]]:
    """Each customer's instalments, by the lines about each up to a day."""
    order_days = named_orders(lines)
    of_days: dict[tuple[object, ...], dict[date, list[Line]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        if line.kind == "payments" and line.day <= as_of:
            number = line["instalment_no"] or 0
            unnumbered = line["due_day"] if number == 0 else None
            order = line["invoice_no"] or "", order_days[line.place]
            of_days[line.customer, order, number, unnumbered][line.day].append(line)
    of_customers = defaultdict(list)
    for (customer, order, *_), days in of_days.items():
        summed = paid_by_then(days)
        counted = tuple(max(summed[day], key=counts_over) for day in sorted(days))
        of_customers[str(customer)].append(Instalment(order, counted, as_of))
    return of_customers


@dataclass
class OrderAccount:
    """How an order is paid, and when it was refused, by what was stated up to a day."""

    sort: str | None = None
    stated: date | None = None
    refused: date | None = None


def order_accounts(lines: Iterable[Line], as_of: date) -> dict[str, list[OrderAccount]]:
    """Each customer's orders that payments, deliveries or returns name."""
    order_days = named_orders(lines)
    named = defaultdict(list)
    for line in lines:
        if line.kind != "orders" and line.day <= as_of and line["invoice_no"]:
            named[str(line.customer), line["invoice_no"], order_days[line.place]].append(line)
    of_customers = defaultdict(list)
    for (customer, *_), of_order in named.items():
        methods = [
            (line.day, line.sort != "on_delivery", line.sort)
            for line in of_order
            if line.kind == "payments" or (line.kind == "deliveries" and line.sort == "on_delivery")
        ]
        refusals = [line.day for line in of_order if line.sort == "refusal"]
        account = OrderAccount(refused=min(refusals, default=None))
        if methods:
            account.stated, _, account.sort = min(methods)
        of_customers[customer].append(account)
    return of_customers


def payment_behaviour(lines: list[Line], as_of: date) -> dict[str, dict[str, object]]:
    """The rows of payment_behaviour as of a day, by customer."""
    of_customers = instalments(lines, as_of)
    accounts = order_accounts(lines, as_of)
    return {
        customer: _payments(of_customers[customer], accounts[customer], as_of)
        for customer in {*of_customers, *accounts}
        if of_customers[customer] or any(account.sort for account in accounts[customer])
    }


def refusals(lines: list[Line], as_of: date) -> dict[str, tuple[int, int]]:
    """How many orders each customer had refused by a day, and in its last six months."""
    after = six_months_before(as_of)
    counts = {}
    for customer, accounts in order_accounts(lines, as_of).items():
        days = [account.refused for account in accounts if account.refused]
        counts[customer] = len(days), sum(day > after for day in days)
    return counts


def _payments(paid: list[Instalment], accounts: list[OrderAccount], as_of: date) -> dict[str, object]:
    in_order = sorted(paid, key=lambda each: each.stated_when)
    due = [each for each in paid if each.is_due]
    late = [each.days_late for each in in_order if each.days_late is not None]
    overdue = [each.is_overdue for each in paid if each.is_overdue is not None]
    limits = [each.line["credit_limit"] for each in in_order if each.line["credit_limit"] is not None]
    limit = limits[-1] if limits else None
    owed = _outstanding(in_order)
    after = six_months_before(as_of)
    due_and_known = sum(each.amount for each in due if each.paid is not None)
    row: dict[str, object] = {
        "instalments": len(paid),
        "instalments_due": len(due),
        "overdue_instalments": sum(overdue) if overdue or not paid else None,
        "on_time_share": share(late.count(0), len(late)),
        "worst_days_late": max(late, default=None),
        "mean_days_late": share(sum(late), len(late)),
        "last_days_late": late[-1] if late else None,
        "paid_share": share(sum(each.paid or 0 for each in due), max(due_and_known, 0)),
        "credit_limit": limit,
        "outstanding": owed,
        "utilisation": share(owed, limit) if limit and owed is not None else None,
    }
    for sort in SORTS:
        row[f"orders_{sort}_6m"] = sum(
            account.sort == sort and account.stated is not None and account.stated > after
            for account in accounts
        )
    return row


def _outstanding(in_order: list[Instalment]) -> Decimal | None:
    """What is left to pay of all orders and accounts; None where it is not known of one of them."""
    of_orders = defaultdict(list)
    for each in in_order:
        of_orders[each.order].append(each)
    debts = [_debt(of_order) for of_order in of_orders.values()]
    return None if None in debts else sum(debts, NOTHING)


def _debt(of_order: list[Instalment]) -> Decimal | None:
    """As the newest lines state it, else what was due less what was paid, else as older lines state it."""
    stated = [each.line for each in of_order if each.line["outstanding"] is not None]
    if stated and stated[-1].day == of_order[-1].line.day:
        return stated[-1]["outstanding"]
    if all(each.paid is not None for each in of_order):
        return max(sum((each.amount - each.paid for each in of_order), NOTHING), NOTHING)
    return stated[-1]["outstanding"] if stated else None
