"""Drawn shops with every kind of trouble that exports of shops have.

A shop is drawn by its seed alone. Customers, products and prices are few, so that ties, duplicates and
cancellations abound. Its days lie in two spans, each over the end of a month: around the night on which
London puts its clocks back, and six months later.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from tests.oracle.shop import COLUMNS, Row, Rules, Shop

SPANS = (
    (date(2010, 10, 30), date(2010, 11, 2)),
    (date(2011, 4, 28), date(2011, 5, 1)),
)
CLOCKS_BACK = date(2010, 10, 31)
# with an offset each of these is one instant; without one, a time that is shown twice is the first
REPEATED_HOUR = ("T00:50:00Z", "T01:10:00Z", " 01:30:00", "T01:30:00+00:00", "T01:50:00+01:00", " 00:59:59")
CUSTOMERS = tuple(str(number) for number in range(11, 18))
CODES = ("X", "X", "x", "Y", "Y\u00a0", "Zé", "ZE\u0301", "POST", "post ", "gift_10")
# before and after ids and codes: also a tab, a no-break and a zero-width space, a mark, a control character
BLANKS = ("", "", "", " ", "\t", "\u00a0", "\u200b", "\ufeff", "\x1f", " \u3000")
NOBODY = ("", " ", "\u00a0", "NULL", "null", r"\N", "0", "00.0", "-1", "Guest", "n/a ")
PRICES = ("1.25", "2", "2.00", "0.1", "3.3333", "0")
TEXTS = ("A THING", "", "a, thing", 'a "thing"', " two\nlines ", "Größe 3 €")


def days_of(spans: tuple[tuple[date, date], ...]) -> Iterator[date]:
    """All days of some spans."""
    for first, last in spans:
        yield from (first + timedelta(days=n) for n in range((last - first).days + 1))


def draw_shop(seed: int) -> Shop:
    """The shop of a seed."""
    drawer = _Drawer(seed)
    files: dict[str, list[Row]] = {}
    for day in days_of(SPANS):
        if drawer.draw.random() < 0.1:
            continue  # a day without a file
        for number, part in enumerate(drawer.parted(drawer.orders(day)), start=1):
            files[f"orders/{day}-{number}.csv"] = part
        for kind, rows in drawer.accounts(day).items() if drawer.has_accounts else ():
            if rows:
                files[f"{kind}/{day}.csv"] = rows
    return Shop(drawer.rules, files, SPANS)


class _Drawer:
    """Draws the lines of one shop, day after day."""

    def __init__(self, seed: int) -> None:
        self.draw = draw = random.Random(f"shop {seed}")
        self.rules = Rules(
            customer_as=draw.choice(["whole_number", "text"]),
            customer_case=draw.choice(["keep", "lower", "upper"]),
            unmapped=(
                *draw.choice(
                    [(), ("recorded_at",), ("paid_day",), ("paid_amount",), ("paid_day", "paid_amount")]
                ),
                *draw.choice([("line_total",), ("line_total",), (), ("unit_price",)]),
            ),
        )
        if "paid_amount" not in self.rules.unmapped:
            amounts = random.Random(f"amounts of payments {seed}").choice(["so_far", "each"])
            self.rules = replace(self.rules, amounts=amounts)
        # which lines lack the customer whom others of their invoice name, perhaps
        self.lacks = random.Random(f"lacks {seed}")
        # of what comes back
        self.amounts_back = random.Random(f"amounts back {seed}")
        self.has_set_aside: set[date] = set()
        # relations that scale prices or move clocks hold of the others alone
        self.is_odd = seed % 2 == 0
        self.has_accounts = draw.random() < 0.7
        # some shops number anew on each day, and give a number to several customers
        self.numbers_come_again = draw.random() < 0.5
        # orders and their customers, for the other kinds of lines to name
        self.placed = [("1", "18")]

    def parted(self, rows: list[Row]) -> list[list[Row]]:
        """The rows of a day in one file or in two."""
        if self.draw.random() < 0.7:
            return [rows]
        cut = self.draw.randint(0, len(rows))
        return [rows[:cut], rows[cut:]]

    def customer(self, customer: str) -> str:
        """A customer's id as one of several lines writes it."""
        draw = self.draw
        if not customer:
            return draw.choice(NOBODY)
        if self.rules.customer_as == "whole_number":
            written = draw.choice(
                [customer, f"{customer}.0", f"0{customer}", f"+{customer}", f"{customer}.00"]
            )
        elif self.rules.customer_case == "keep":
            written = f"Ké{customer}"
        else:
            written = draw.choice([f"Ké{customer}", f"kE\u0301{customer}"])
        return draw.choice(BLANKS) + written + draw.choice(BLANKS)

    def orders(self, day: date) -> list[Row]:
        """The order lines of a day."""
        draw = self.draw
        rows: list[Row] = []
        for number in range(draw.randint(0, 9)):
            customer = draw.choice((*CUSTOMERS, ""))
            sort = draw.choices(["", "C", "A"], [60, 35, 5])[0]
            again = f"{draw.randint(1, 6)}" if self.numbers_come_again else f"{day:%y%m%d}{number:02}"
            invoice = f"{sort}{again}"
            at = f"{day}{draw.choice(' T')}{draw.randint(8, 9):02}:{draw.choice(['00', '30'])}:00"
            if self.is_odd and day == CLOCKS_BACK:
                at = f"{day}{draw.choice(REPEATED_HOUR)}"
            if not sort and customer:
                self.placed.append((invoice, customer))
            for _ in range(draw.randint(1, 3)):
                row = {
                    "invoice_no": draw.choice(BLANKS) + invoice + draw.choice(BLANKS),
                    "stock_code": draw.choice(CODES),
                    "description": draw.choice(TEXTS),
                    "quantity": str(draw.randint(1, 3) * (-1 if sort == "C" else 1)),
                    "ordered_at": at,
                    "unit_price": draw.choice(PRICES),
                    "line_total": "",
                    "customer_id": self.customer("" if self.lacks.random() < 0.15 else customer),
                    "country": f"Land {int(customer or 0) % 3}",
                }
                self._money(row)
                self._trouble(row, day)
                rows += [row] * draw.choice([1, 1, 1, 2])
        return rows

    def _money(self, row: Row) -> None:
        """Prices of many decimals, discounts, and totals that may differ from price times quantity."""
        draw = self.draw
        is_sale = not row["invoice_no"].strip("".join(BLANKS)).startswith("C")
        if self.is_odd and is_sale and draw.random() < 0.2:
            row["unit_price"] = draw.choice(["1.23456", "0.333333335", "2.00005", "-5.00", "-0.1"])
        if "line_total" not in self.rules.unmapped:
            amount = str(Decimal(row["unit_price"]) * int(row["quantity"]))
            row["line_total"] = (
                draw.choice(["", amount, "10.0001", "0"]) if self.is_odd and is_sale else amount
            )
            if "unit_price" in self.rules.unmapped and not row["line_total"]:
                row["line_total"] = amount

    def _trouble(self, row: Row, day: date) -> None:
        """A few lines are odd: some must be read as they are, others be set aside."""
        draw = self.draw
        trouble = draw.random()
        if trouble < 0.02:
            row["quantity"] = str(-int(row["quantity"]))
        elif trouble < 0.03:
            row["quantity"] = "0"
        elif trouble < 0.05:
            row["quantity"] += ".0"
        elif trouble < 0.08 and day not in self.has_set_aside:
            # one line of a day is set aside at most, for a gate bars small days that lose more
            self.has_set_aside.add(day)
            column, value = draw.choice(
                [
                    ("unit_price", "x"),
                    ("invoice_no", ""),
                    ("ordered_at", f"{day + timedelta(days=draw.choice([-1, 1]))} 10:00:00"),
                ]
            )
            row[column] = value
        elif trouble < 0.12 and len(row["ordered_at"]) == 19 and (day != CLOCKS_BACK or not self.is_odd):
            row["ordered_at"] += draw.choice(["Z", "+02:00"])

    def accounts(self, day: date) -> dict[str, list[Row]]:
        """Lines about orders and accounts; customer 18 never orders."""
        draw = self.draw
        rows: dict[str, list[Row]] = {kind: [] for kind in COLUMNS if kind != "orders"}
        for _ in range(draw.randint(0, 5)):
            order, customer = draw.choice(self.placed[-12:])
            if draw.random() < 0.2:
                order, customer = "", draw.choice([*CUSTOMERS, "18"])
            paid = draw.random() < 0.5
            rows["payments"].append(
                {
                    "invoice_no": order,
                    "customer_id": self.customer(customer),
                    "method": draw.choice(["card", "debit", "cod", "account", ""]),
                    "instalment_no": draw.choice(["", "1", "1", "2"]),
                    "amount": draw.choice(["3", "4.50", "10", "10", "0", "-2"]),
                    "due_day": str(day + timedelta(days=draw.randint(-3, 3))),
                    "paid_day": str(day - timedelta(days=draw.randint(0, 4))) if paid else "",
                    "paid_amount": draw.choice(["", "", "0", "2", "4.5", "12"]),
                    "days_late": draw.choice(["", "", "", "0", "3"]),
                    "outstanding": draw.choice(["", "", "4.5"]),
                    "credit_limit": draw.choice(["", "", "100"]),
                    "recorded_at": f"{day} {draw.choice(['09', '10'])}:00:00",
                }
            )
        for _ in range(draw.randint(0, 2)):
            order, customer = draw.choice(self.placed[-12:])
            written, at = self.customer(customer), f"{day} 12:00:00"
            cause, is_told = draw.choice(["refused", "torn", ""]), draw.choice([False, True])
            # nothing, a part, more than any order comes to
            amount = self.amounts_back.choice(["0", "1.25", "1.25", "4.0001", "1000"]) if is_told else ""
            method = draw.choice(["cod", "post", ""])
            returned, delivered = (order, written, at, cause, amount), (order, written, at, method)
            rows["returns"].append(dict(zip(COLUMNS["returns"], returned, strict=True)))
            rows["deliveries"].append(dict(zip(COLUMNS["deliveries"], delivered, strict=True)))
        return rows
