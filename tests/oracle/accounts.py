"""How customers pay, as of a day, in plain Python: instalments, debts, delays, and how orders are paid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tests.oracle.lines import Line
from tests.oracle.orders import NOTHING, six_months_before
from tests.oracle.standing import share

SORTS = ("e_payment", "auto_billed", "on_delivery", "on_account")


@dataclass(frozen=True)
class Instalment:
    """What the shop had stated last about an instalment by the end of `as_of`."""

    line: Line
    as_of: date

    @property
    def order(self) -> str:
        """The order that it pays for; empty for a statement of account."""
        return str(self.line["invoice_no"] or "")

    @property
    def amount(self) -> Decimal:
        return self.line["amount"]

    @property
    def due_day(self) -> date:
        return self.line["due_day"]

    @property
    def paid_day(self) -> date | None:
        return self.line["paid_day"]

    @property
    def stated_delay(self) -> int | None:
        return self.line["days_late"]

    @property
    def is_paid(self) -> bool:
        return self.paid_day is not None

    @property
    def paid_amount(self) -> Decimal:
        """What was paid of it: as stated, else all of it once the day of payment is stated."""
        if self.line["paid_amount"] is not None:
            return self.line["paid_amount"]
        return self.amount if self.is_paid else NOTHING

    @property
    def is_due(self) -> bool:
        """Whether its outcome is known."""
        return self.is_paid or self.stated_delay is not None or self.due_day < self.as_of

    @property
    def days_late(self) -> int:
        """Days late of one that is due."""
        if self.stated_delay is not None:
            return self.stated_delay
        return max(((self.paid_day or self.as_of) - self.due_day).days, 0)

    @property
    def stated_when(self) -> tuple[object, ...]:
        """The order in which instalments were stated."""
        return self.line.day, self.due_day, self.order, self.line["instalment_no"] or 0


def instalments(lines: Iterable[Line], as_of: date) -> dict[str, list[Instalment]]:
    """Each customer's instalments, by the last line about each up to a day."""
    latest: dict[object, Line] = {}
    for line in sorted(lines, key=lambda line: (line.day, line.place)):
        if line.kind == "payments" and line.day <= as_of:
            number = line["instalment_no"] or 0
            unnumbered = line["due_day"] if number == 0 else None
            latest[line.customer, line["invoice_no"] or "", number, unnumbered] = line
    of_customers = defaultdict(list)
    for line in latest.values():
        of_customers[str(line.customer)].append(Instalment(line, as_of))
    return of_customers


@dataclass
class OrderAccount:
    """How an order is paid, and when it was refused, by what was stated up to a day."""

    sort: str | None = None
    stated: date | None = None
    refused: date | None = None


def order_accounts(lines: Iterable[Line], as_of: date) -> dict[str, list[OrderAccount]]:
    """Each customer's orders that payments, deliveries or returns name."""
    named = defaultdict(list)
    for line in lines:
        if line.kind != "orders" and line.day <= as_of and line["invoice_no"]:
            named[str(line.customer), line["invoice_no"]].append(line)
    of_customers = defaultdict(list)
    for (customer, _), of_order in named.items():
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
    due = [each for each in paid if each.is_due]
    in_order = sorted(paid, key=lambda each: each.stated_when)
    limits = [each.line["credit_limit"] for each in in_order if each.line["credit_limit"] is not None]
    limit = limits[-1] if limits else None
    owed = _outstanding(in_order)
    after = six_months_before(as_of)
    row: dict[str, object] = {
        "instalments": len(paid),
        "instalments_due": len(due),
        "overdue_instalments": sum(each.days_late > 0 and not each.is_paid for each in due),
        "on_time_share": share(sum(each.days_late == 0 for each in due), len(due)),
        "worst_days_late": max((each.days_late for each in due), default=None),
        "mean_days_late": share(sum(each.days_late for each in due), len(due)),
        "last_days_late": next((each.days_late for each in reversed(in_order) if each.is_due), None),
        "paid_share": share(sum(each.paid_amount for each in due), sum(each.amount for each in due)),
        "credit_limit": limit,
        "outstanding": owed,
        "utilisation": share(owed, limit) if limit else None,
    }
    for sort in SORTS:
        row[f"orders_{sort}_6m"] = sum(
            account.sort == sort and account.stated is not None and account.stated > after
            for account in accounts
        )
    return row


def _outstanding(in_order: list[Instalment]) -> Decimal:
    """What is left to pay: as stated last for each order or account, else its unpaid instalments."""
    of_orders = defaultdict(list)
    for each in in_order:
        of_orders[each.order].append(each)
    total = NOTHING
    for of_order in of_orders.values():
        stated = [each.line["outstanding"] for each in of_order if each.line["outstanding"] is not None]
        unpaid = sum((each.amount - each.paid_amount for each in of_order if not each.is_paid), NOTHING)
        total += stated[-1] if stated else unpaid
    return total
