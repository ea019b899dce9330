"""Made-up exports of Shopify with every quirk of real ones, and what they come to, counted by themselves."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

CENT = Decimal("0.01")
COLUMNS = (
    *("Name", "Email", "Financial Status", "Currency", "Subtotal", "Shipping", "Taxes", "Total"),
    *("Discount Code", "Discount Amount", "Created at", "Lineitem quantity", "Lineitem name"),
    *("Lineitem price", "Lineitem sku", "Billing Zip", "Billing Country", "Billing Phone", "Notes"),
    *("Cancelled at", "Payment Method", "Refunded Amount", "Id", "Source", "Lineitem discount", "Phone"),
    "Duties",
)


@dataclass
class Order:
    """An order as the shop knows it; amounts are in the currency's own units."""

    name: str
    at: datetime
    items: list[tuple[int, Decimal, str, str]]
    email: str = ""
    phone: str = ""
    status: str = "paid"
    currency: str = "EUR"
    shipping: Decimal = Decimal(0)
    discount: Decimal = Decimal(0)
    taxes: Decimal = Decimal(0)
    taxes_beside: bool = False
    refunded: Decimal = Decimal(0)
    offset: int = 120
    cells: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> Decimal:
        """What the customer paid."""
        gross = sum((quantity * price for quantity, price, _, _ in self.items), Decimal(0))
        return gross - self.discount + self.shipping + (self.taxes if self.taxes_beside else 0)

    @property
    def person(self) -> str | None:
        """By what the customer is known: the e-mail in small letters, else the digits of the phone."""
        return self.email.strip().lower() or "".join(filter(str.isdigit, self.phone)) or None

    def rows(self) -> list[dict[str, str]]:
        """The rows of the export: the order's own cells stand on the first alone."""
        hours, minutes = divmod(abs(self.offset), 60)
        sign = "-" if self.offset < 0 else "+"
        shown = self.at + timedelta(minutes=self.offset)
        own = {
            "Email": self.email,
            "Financial Status": self.status,
            "Currency": self.currency,
            "Shipping": f"{self.shipping:.2f}",
            "Taxes": f"{self.taxes:.2f}",
            "Total": f"{self.total:.2f}",
            "Discount Amount": f"{self.discount:.2f}",
            "Created at": f"{shown:%Y-%m-%d %H:%M:%S} {sign}{hours:02}{minutes:02}",
            "Billing Zip": "'0123",
            "Billing Country": "DE",
            "Refunded Amount": f"{self.refunded:.2f}",
            "Phone": self.phone,
            "Duties": "",
            **self.cells,
        }
        rows = [
            {
                "Name": self.name,
                "Lineitem quantity": str(quantity),
                "Lineitem name": name,
                "Lineitem price": f"{price:.2f}",
                "Lineitem sku": sku,
                "Lineitem discount": "0.00",
            }
            for quantity, price, name, sku in self.items
        ]
        rows[0] |= own
        return rows


def export(orders: Iterable[Order], without: Sequence[str] = ()) -> str:
    """The file, newest order first, as older shops have it without some columns."""
    out = io.StringIO()
    columns = [name for name in COLUMNS if name not in without]
    writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for order in sorted(orders, key=lambda one: (one.at, one.name), reverse=True):
        writer.writerows(order.rows())
    return out.getvalue()


def drawn_orders(count: int, seed: int, first: datetime, days: int) -> list[Order]:
    """So many orders of a made-up shop, with the quirks in shares as shops have them."""
    rng = random.Random(seed)
    orders = []
    for number in range(count):
        person = rng.randrange(count // 3)
        items = []
        for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
            product = rng.randrange(60)
            sku = "" if product % 9 == 0 else f"TEA-{product:03}"
            name = f'Tea no. {product}, "loose", {product % 4}0 g'
            items.append((rng.choice((1, 1, 2, 5)), Decimal(rng.randrange(99, 9999)) * CENT, name, sku))
        gross = sum((quantity * price for quantity, price, _, _ in items), Decimal(0))
        order = Order(
            name=f"#{number + 1001}",
            at=first + timedelta(seconds=rng.randrange(days * 86_400)),
            items=items,
            email=rng.choice((f"Person{person}@Example.com", f"person{person}@example.com")),
            status=rng.choice(("paid",) * 8 + ("pending", "authorized")),
            shipping=rng.choice((Decimal(0), Decimal("4.90"))),
            discount=(gross * rng.choice((0, 0, 0, 10, 33)) / 100).quantize(CENT),
            offset=rng.choice((120, 120, 120, 60, -300, 330)),
        )
        order.taxes = (gross * 7 / 107).quantize(CENT)
        order.taxes_beside = rng.random() < 0.1 and order.taxes > CENT
        if rng.random() < 0.05:
            order.email, order.phone = "", f"'+49 (151) {person:04}-7"
        elif rng.random() < 0.03:
            order.email, order.cells = "", {"Source": "pos"}
        if rng.random() < 0.03:
            order.status = "voided"
        elif rng.random() < 0.04 and order.person:
            order.status, order.refunded = "refunded", order.total
        elif rng.random() < 0.04 and order.person:
            order.status = "partially_refunded"
            order.refunded = max(CENT, (order.total / 3).quantize(CENT))
        if rng.random() < 0.02:
            order.cells = {**order.cells, "Notes": 'Please ring,\n"twice"'}
        orders.append(order)
    return orders
