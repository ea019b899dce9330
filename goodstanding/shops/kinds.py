"""The kinds of sources that a shop may have: orders and, each optional, payments, returns and deliveries.

A kind says what its canonical columns are and how its lines are kept; `goodstanding.ingest` treats all alike.
Each has four tables in `raw`: its lines (`table`), the lines set aside (`rejected_<table>`), and both once
more of file versions that are no longer known (`superseded_<table>`, `superseded_rejected_<table>`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

CastKind = Literal["text", "whole_number", "integer", "decimal", "timestamp", "date"]
TEXT: tuple[CastKind, ...] = ("text", "whole_number")
INTEGER: tuple[CastKind, ...] = ("integer",)
DECIMAL: tuple[CastKind, ...] = ("decimal",)
TIMESTAMP: tuple[CastKind, ...] = ("timestamp",)
DATE: tuple[CastKind, ...] = ("date",)


@dataclass(frozen=True)
class Kind:
    """What one kind of source is made of.

    Attributes:
        name: its section of the mapping; orders are the mapping's own `files` and `columns`.
        table: its lines in `raw`.
        casts: the canonical columns, in the order in which faults are told, and how each may be read.
        may_be_unmapped: columns that a shop need not have.
        may_be_blank: columns that a line may lack.
        happened: the time by which a line belongs to the day of its file, where it is mapped.
        sort: the column that names what sort of line it is, by the first of the mapping's rules that matches.
        usual: the sort of a line that no rule matches.
        others: the sorts that rules may name.
        ruled_by: the columns that a rule may look at.
        stored: columns of the table besides where a line stands; `is_product` is made from stock_code.
        faults: a condition on `<name>_value`, the sort and `event_day`, and why it sets a line aside.
        changed: the columns of `raw.changes` that a changed line fills besides its day and its customer.
    """

    name: str
    table: str
    casts: Mapping[str, tuple[CastKind, ...]]
    may_be_unmapped: tuple[str, ...]
    may_be_blank: tuple[str, ...]
    happened: str
    sort: str
    usual: str
    others: tuple[str, ...]
    ruled_by: tuple[str, ...]
    stored: tuple[str, ...]
    faults: tuple[tuple[str, str], ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def columns(self) -> str:
        """The columns of `table`, as SQL."""
        return ", ".join(("source, event_day, file_name, file_hash, line_number", *self.stored))

    @property
    def change(self) -> str:
        """What `raw.changes` holds of a changed line, as SQL: `kind` is order_line or account."""
        kind = "order_line" if self is ORDERS else "account"
        return ", ".join(("event_day, customer_id", *self.changed, f"'{kind}' as kind"))

    @property
    def content(self) -> str:
        """What a line says, without its file's hash: a corrected file changes only its corrected lines."""
        return self.columns.replace(" file_hash,", "")


ORDERS = Kind(
    name="orders",
    table="order_lines",
    casts={
        "invoice_no": TEXT,
        "stock_code": TEXT,
        "description": TEXT,
        "quantity": INTEGER,
        "ordered_at": TIMESTAMP,
        "unit_price": DECIMAL,
        "customer_id": TEXT,
        "country": TEXT,
    },
    may_be_unmapped=("description", "country"),
    may_be_blank=("description", "customer_id", "country"),
    happened="ordered_at",
    sort="invoice_kind",
    usual="sale",
    others=("cancellation", "adjustment"),
    ruled_by=("invoice_no", "stock_code", "description", "quantity"),
    stored=(
        *("invoice_no", "invoice_kind", "stock_code", "is_product", "description", "quantity", "ordered_at"),
        *("unit_price", "customer_id", "country"),
    ),
    faults=(
        (
            "unit_price_value < 0 and invoice_kind <> 'adjustment'",
            "unit_price: negative, and the line is no adjustment",
        ),
    ),
    changed=("stock_code", "invoice_no", "invoice_kind"),
)

# An instalment may be told of again and again: when it is agreed, falls due, is paid. The latest line counts.
PAYMENTS = Kind(
    name="payments",
    table="payments",
    casts={
        "customer_id": TEXT,
        "invoice_no": TEXT,
        "method": TEXT,
        "instalment_no": INTEGER,
        "amount": DECIMAL,
        "due_day": DATE,
        "paid_day": DATE,
        "paid_amount": DECIMAL,
        "days_late": INTEGER,
        "outstanding": DECIMAL,
        "credit_limit": DECIMAL,
        "recorded_at": TIMESTAMP,
    },
    may_be_unmapped=(
        *("invoice_no", "method", "instalment_no", "paid_day", "paid_amount", "days_late", "outstanding"),
        *("credit_limit", "recorded_at"),
    ),
    may_be_blank=(
        *("invoice_no", "method", "instalment_no", "paid_day", "paid_amount", "days_late", "outstanding"),
        "credit_limit",
    ),
    happened="recorded_at",
    sort="method_kind",
    usual="e_payment",
    others=("auto_billed", "on_delivery", "on_account"),
    ruled_by=("invoice_no", "method"),
    stored=(
        *("invoice_no", "customer_id", "method", "method_kind", "instalment_no", "amount", "due_day"),
        *("paid_day", "paid_amount", "days_late", "outstanding", "credit_limit"),
    ),
    faults=(
        ("paid_day_value > event_day", "paid_day: after the day of its file"),
        ("days_late_value < 0", "days_late: below zero"),
        ("credit_limit_value < 0", "credit_limit: below zero"),
    ),
)

RETURNS = Kind(
    name="returns",
    table="returns",
    casts={
        "customer_id": TEXT,
        "invoice_no": TEXT,
        "returned_at": TIMESTAMP,
        "amount": DECIMAL,
        "cause": TEXT,
    },
    may_be_unmapped=("amount", "cause"),
    may_be_blank=("amount", "cause"),
    happened="returned_at",
    sort="return_kind",
    usual="return",
    others=("refusal",),
    ruled_by=("invoice_no", "cause"),
    stored=("invoice_no", "customer_id", "return_kind", "returned_at", "amount", "cause"),
    faults=(("amount_value < 0", "amount: below zero"),),
)

DELIVERIES = Kind(
    name="deliveries",
    table="deliveries",
    casts={"customer_id": TEXT, "invoice_no": TEXT, "delivered_at": TIMESTAMP, "method": TEXT},
    may_be_unmapped=("method",),
    may_be_blank=("method",),
    happened="delivered_at",
    sort="method_kind",
    usual="prepaid",
    others=("on_delivery",),
    ruled_by=("invoice_no", "method"),
    stored=("invoice_no", "customer_id", "method", "method_kind", "delivered_at"),
)

KINDS = (ORDERS, PAYMENTS, RETURNS, DELIVERIES)
OPTIONAL_KINDS = KINDS[1:]
