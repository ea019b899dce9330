"""What the docs say of orders, in plain Python: duplicates, matches, outcomes, invoices, states as of a day.

Everything is computed from the lines up to a day alone, by the definitions of `docs/explanation/figures.md`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal

from tests.oracle.lines import Line

NOTHING = Decimal(0)


@dataclass
class Judged:
    """An order line with what duplicates and cancellations mean for it."""

    line: Line
    is_duplicate: bool = False
    taken: int = 0
    rules: set[str] = field(default_factory=set)

    @property
    def outcome(self) -> str:
        """The first that applies."""
        if self.line.customer is None:
            return "no_customer"
        if self.is_duplicate:
            return "duplicate"
        if self.line.sort == "adjustment":
            return "adjustment"
        if self.line.sort == "cancellation":
            return "cancellation" if self.taken else "unmatched_cancellation"
        if self.taken and self.taken == self.line.quantity:
            return "cancelled"
        return "partly_cancelled" if self.taken else "kept"

    @property
    def is_counted(self) -> bool:
        """Whether the line is part of an invoice of a known customer."""
        return self.outcome not in ("no_customer", "duplicate", "adjustment")

    @property
    def kept_amount(self) -> Decimal:
        """The part of the amount that is not cancelled."""
        if self.outcome not in ("kept", "partly_cancelled", "cancelled"):
            return NOTHING
        return self.line.amount_left(self.taken) if self.taken else self.line.amount

    @property
    def rule(self) -> str | None:
        """mirror or reach_back, where anything was matched."""
        return min(self.rules, default=None)


@dataclass(frozen=True)
class Invoice:
    """The lines of a customer with one number on one day, of one kind."""

    customer: str
    number: str
    day: date
    kind: str
    lines: tuple[Judged, ...]
    # by lines of returns, no more than the order came to
    stated_back: Decimal = NOTHING
    # whether lines of returns name it
    is_named_by_returns: bool = False

    @property
    def gross(self) -> Decimal:
        """What was ordered."""
        return sum((judged.line.amount for judged in self.lines), NOTHING)

    @property
    def cancelled(self) -> Decimal:
        """What cancellations took back of a sale."""
        if self.kind != "sale":
            return NOTHING
        return self.gross - sum((judged.kept_amount for judged in self.lines), NOTHING)

    @property
    def came_back(self) -> Decimal:
        """The larger of what was cancelled and what lines of returns state."""
        return max(self.cancelled, self.stated_back)

    @property
    def net(self) -> Decimal:
        """What is left."""
        return self.gross - self.came_back

    def at_most(self, amount: Decimal) -> Decimal:
        """Of an amount that came back, no more than the order came to."""
        return max(min(amount, self.gross), NOTHING)

    @property
    def is_kept(self) -> bool:
        """Whether it counts for recency, frequency and monetary."""
        return self.kind == "sale" and self.net > 0

    @property
    def returned(self) -> Decimal:
        """The money of the products that came back."""
        cancelled = sum(
            (
                judged.line.amount - judged.kept_amount
                for judged in self.lines
                if judged.line.is_product and judged.taken
            ),
            NOTHING,
        )
        return max(cancelled, self.stated_back)


def judge(lines: Iterable[Line], until: date) -> list[Judged]:
    """Every order line up to a day, by its line number in its file, with its outcome as of that day."""
    judged = [
        Judged(line)
        for line in sorted(lines, key=lambda line: line.place[::-1])
        if line.kind == "orders" and line.day <= until
    ]
    _mark_duplicates(judged)
    products = defaultdict(list)
    for each in judged:
        if each.is_counted:
            products[each.line.customer, each.line["stock_code"]].append(each)
    for events in products.values():
        _match(sorted(events, key=order_of_events))
    return judged


def _mark_duplicates(judged: list[Judged]) -> None:
    """A line that equals an earlier line of the same day in every column is its duplicate, in any file."""
    seen = set()
    for each in judged:
        content = (each.line.day, *each.line.values.items())
        each.is_duplicate = content in seen
        seen.add(content)


def order_of_events(judged: Judged) -> tuple[object, ...]:
    """By instants; a sale comes before a cancellation of the same one, then the place in the file counts."""
    line = judged.line

    def missing_last(name: str) -> tuple[object, ...]:
        return line[name] is None, line[name]

    return (
        *(
            line["ordered_at_utc"],
            line.sort == "cancellation",
            line["invoice_no"],
            line.place[1],
            line.quantity,
            line.amount,
        ),
        *map(missing_last, ("unit_price", "line_total", "description", "country")),
        line["ordered_at"],
    )


def _match(events: list[Judged]) -> None:
    """Let each cancellation take from the purchases of its product before it."""
    purchases: list[Judged] = []
    for event in events:
        if event.line.sort == "sale" and event.line.quantity > 0:
            purchases.append(event)
        elif event.line.sort == "cancellation" and event.line.quantity < 0:
            _take_back(event, purchases)


def _take_back(cancellation: Judged, purchases: list[Judged]) -> None:
    wanted = -cancellation.line.quantity
    latest_first = purchases[::-1]
    mirror = next((p for p in latest_first if p.line.quantity == wanted and p.taken == 0), None)
    for purchase in [mirror] if mirror else latest_first:
        taken = min(wanted, purchase.line.quantity - purchase.taken)
        if taken > 0:
            wanted -= taken
            for side in (purchase, cancellation):
                side.taken += taken
                side.rules.add("mirror" if mirror else "reach_back")


def invoices_of(lines: Iterable[Line], until: date) -> list[Invoice]:
    """The invoices of known customers as of a day, with what had come back of each by then."""
    lines = list(lines)
    found = _invoices(judge(lines, until))
    sales = {(sale.customer, sale.number, sale.day): sale for sale in found if sale.kind == "sale"}
    stated: dict[tuple[object, ...], list[Decimal | None]] = defaultdict(list)
    # lines that say the same are one
    for customer, number, day, *_, amount in {
        (
            line.customer,
            line["invoice_no"],
            line.day,
            line["returned_at"],
            line.sort,
            line["cause"],
            line["amount"],
        )
        for line in lines
        if line.kind == "returns" and line.day <= until
    }:
        of_number = [key for key in sales if key[:2] == (customer, number) and key[2] <= day]
        if of_number:
            stated[max(of_number, key=lambda key: key[2])].append(amount)
    return [
        _given_back(invoice, stated[invoice.customer, invoice.number, invoice.day])
        if invoice.kind == "sale"
        else invoice
        for invoice in found
    ]


def _given_back(sale: Invoice, amounts: list[Decimal | None]) -> Invoice:
    """An order after lines of returns; one without an amount gives back all that was left."""
    stated = sale.gross if None in amounts else min(sum(amounts, NOTHING), sale.gross)
    return replace(sale, stated_back=stated, is_named_by_returns=bool(amounts))


def _invoices(judged: Iterable[Judged]) -> list[Invoice]:
    """The invoices of known customers: an invoice is a customer, a number, a day and a kind."""
    groups = defaultdict(list)
    for each in judged:
        if each.is_counted:
            line = each.line
            groups[line.customer, line["invoice_no"], line.day, line.sort].append(each)
    return [Invoice(*key, tuple(lines)) for key, lines in groups.items()]


def six_months_before(day: date) -> date:
    """The same day six months earlier, or that month's last day where it is shorter."""
    month = (day.year * 12 + day.month - 1) - 6
    first = date(month // 12, month % 12 + 1, 1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(day.day, last.day))
