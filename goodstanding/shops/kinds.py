"""The kinds of sources that a shop can have: orders and, each optional, payments, returns and deliveries.

`KINDS` is the one list of them. An entry names the canonical columns of a kind, how each is read and stored,
and what gate 1 expects of a stored line. From it follow

- the kind's section of a shop's mapping (`goodstanding.shops.mapping`),
- its four tables in `raw` (`goodstanding/warehouse/intake.sql`): accepted lines (`<table>`), lines set aside
  (`rejected_<table>`), and both again for file versions that have been replaced (`superseded_<table>`,
  `superseded_rejected_<table>`),
- how ingest stages, compares, counts and keeps its lines (`goodstanding.ingest`),
- its batch in gate 1 (`expectations.raw_orders`),
- the customers whose accounts dbt recomputes (rows of `raw.changes`), and the kind's sources in dbt
  (`goodstanding.warehouse.dbt_sources`).

Only what a line means for a customer has to be written elsewhere: as a model in `dbt_project`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

CastKind = Literal["text", "whole_number", "integer", "decimal", "timestamp", "date"]
TEXT: tuple[CastKind, ...] = ("text", "whole_number")
INTEGER: tuple[CastKind, ...] = ("integer",)
DECIMAL: tuple[CastKind, ...] = ("decimal",)
TIMESTAMP: tuple[CastKind, ...] = ("timestamp",)
DATE: tuple[CastKind, ...] = ("date",)

# the SQL type of what a cast gives
SQL_TYPES: Mapping[CastKind, str] = {
    "text": "varchar",
    "whole_number": "varchar",
    "integer": "bigint",
    "decimal": "decimal(18, 4)",
    "timestamp": "timestamp",
    "date": "date",
}
# the columns, with their SQL types, that say where a line was read
PLACE: Mapping[str, str] = {
    "source": "varchar not null",
    "event_day": "date not null",
    "file_name": "varchar not null",
    "file_hash": "varchar not null",
    "line_number": "bigint not null",
}
# A line set aside, of whichever kind; its customer is a pseudonym or masked. `place` is where it stands in
# the landing.
REJECTED: Mapping[str, str] = {
    **PLACE,
    "raw_text": "varchar not null",
    "reason": "varchar not null",
    "place": "varchar",
}

# ends the reason of a line that its own day will take in
WAITS = ": it waits until that day is loaded"


def definition(sql_types: Mapping[str, str]) -> str:
    """Columns with their SQL types, as `create table` defines them."""
    return ",\n    ".join(f"{name} {sql_type}" for name, sql_type in sql_types.items())


@dataclass(frozen=True)
class Check:
    """A rule of gate 1 for every stored line of a kind.

    Attributes:
        name: the column of the gate's result, by which a failed check is named.
        sql: an expression over the columns of the kind's table: with limits a number, without them a boolean
            that must not be false. NULL is not judged.
        meaning: the expectation as a sentence, shown where it fails; without one it is worded from the
            limits.
        limits: the lowest and the highest value allowed.
    """

    name: str
    sql: str
    meaning: str | None = None
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of source. Every kind has a column `customer_id`.

    Attributes:
        name: its section in a mapping; orders are the mapping's own `files` and `columns`.
        table: the table of its accepted lines in `raw`.
        line: one line of it, as a noun phrase: "a return or refusal".
        casts: the canonical columns and how each may be read. Faults of a line are reported in this order.
        may_be_unmapped: columns that a shop need not have.
        may_be_blank: columns that a line may leave empty.
        happened: the column whose date must be the day of the file, where it is mapped.
        sort: the column that says which sort of line it is, by the first of the mapping's rules that matches.
        usual: the sort of a line that no rule matches.
        others: the sorts that rules may name.
        ruled_by: the columns that a rule may look at.
        stored: the columns of the table after those of PLACE, in order. After each time comes its instant in
            UTC, as `<name>_utc`.
        made: stored columns that are neither read nor the sort, with their SQL types.
        rounded: amounts that may have any number of decimals, each with how many are kept.
        faults: pairs of a condition that sets a line aside (on `<column>_value`, the sort and `event_day`)
            and the reason that is kept with the line.
        checks: what gate 1 expects, besides a known sort and the right day.
        stands_alone: whether a shop may have this kind and no orders.
        changed: the columns of `raw.changes` that a changed line fills besides its day and its customer.
    """

    name: str
    table: str
    line: str
    casts: Mapping[str, tuple[CastKind, ...]]
    may_be_unmapped: tuple[str, ...]
    may_be_blank: tuple[str, ...]
    happened: str
    sort: str
    usual: str
    others: tuple[str, ...]
    ruled_by: tuple[str, ...]
    stored: tuple[str, ...]
    made: Mapping[str, str] = field(default_factory=dict)
    rounded: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[tuple[str, str], ...] = ()
    checks: tuple[Check, ...] = ()
    stands_alone: bool = False
    changed: tuple[str, ...] = ()

    @property
    def times(self) -> tuple[str, ...]:
        """The columns that are times."""
        return tuple(name for name, casts in self.casts.items() if casts == TIMESTAMP)

    @property
    def kept(self) -> tuple[str, ...]:
        """`stored`, and the instant of each time."""
        return tuple(
            column
            for name in self.stored
            for column in ((name, f"{name}_utc") if name in self.times else (name,))
        )

    def value_type(self, name: str) -> str:
        """The SQL type of what is read of a column."""
        return (
            f"decimal(18, {self.rounded[name]})" if name in self.rounded else SQL_TYPES[self.casts[name][0]]
        )

    @property
    def _sql_types(self) -> dict[str, str]:
        """The columns of `table` with their SQL types, in order."""
        return {**PLACE, **{name: self._sql_type(name) for name in self.kept}}

    @property
    def definition(self) -> str:
        """The columns of `table`, as `create table` defines them."""
        return definition(self._sql_types)

    @property
    def nullable_columns(self) -> list[tuple[str, str]]:
        """The columns of `table` with their SQL types, each of which may be null."""
        return [(name, sql_type.removesuffix(" not null")) for name, sql_type in self._sql_types.items()]

    def _sql_type(self, name: str) -> str:
        if name == self.sort:
            return "varchar not null"
        if name in self.made:
            return self.made[name]
        if name.endswith("_utc") and name.removesuffix("_utc") in self.times:
            return SQL_TYPES["timestamp"]
        may_be_null = name in self.may_be_blank or name in self.may_be_unmapped
        return self.value_type(name) + ("" if may_be_null else " not null")

    @property
    def columns(self) -> str:
        """The columns of `table`, as SQL."""
        return ", ".join(self._sql_types)

    @property
    def change(self) -> str:
        """The columns of `raw.changes` for a changed line, as SQL; `kind` is order_line or account."""
        kind = "order_line" if self is ORDERS else "account"
        return ", ".join(("event_day", "customer_id", *self.changed, f"'{kind}' as kind"))

    @property
    def content(self) -> str:
        """The columns by which lines are compared. Without the file's hash, so that of a corrected file only
        the corrected lines count as changed."""
        return ", ".join(name for name in self._sql_types if name != "file_hash")


ORDERS = Kind(
    name="orders",
    table="order_lines",
    line="an order line",
    casts={
        "invoice_no": TEXT,
        "stock_code": TEXT,
        "description": TEXT,
        "quantity": INTEGER,
        "ordered_at": TIMESTAMP,
        "unit_price": DECIMAL,
        "line_total": DECIMAL,
        "customer_id": TEXT,
        "country": TEXT,
        "currency": TEXT,
        # of the whole order, on every line of it or on some
        "payment_type": TEXT,
        "channel": TEXT,
        "weight": DECIMAL,
    },
    may_be_unmapped=(
        *("description", "unit_price", "line_total", "country"),
        *("currency", "payment_type", "channel", "weight"),
    ),
    may_be_blank=(
        *("description", "unit_price", "line_total", "customer_id", "country"),
        *("currency", "payment_type", "channel", "weight"),
    ),
    happened="ordered_at",
    sort="invoice_kind",
    usual="sale",
    others=("cancellation", "adjustment"),
    ruled_by=("invoice_no", "stock_code", "description", "quantity"),
    stored=(
        *("invoice_no", "invoice_kind", "stock_code", "is_product", "description", "quantity", "ordered_at"),
        *(
            "unit_price",
            "line_total",
            "amount",
            "customer_id",
            "country",
            "payment_type",
            "channel",
            "weight",
        ),
    ),
    made={"is_product": "boolean not null", "amount": "decimal(28, 4)"},
    # an amount has 4 decimals; a price that was computed, such as a total by its quantity, may need more
    rounded={"unit_price": 8, "line_total": 4, "weight": 4},
    faults=(
        (
            "unit_price_value is null and line_total_value is null",
            "unit_price: missing, and there is no line_total either",
        ),
        (
            "invoice_kind = 'cancellation' and unit_price_value < 0",
            "unit_price: negative on a cancellation, so that it is not clear which way the money goes",
        ),
        (
            "invoice_kind = 'cancellation' and line_total_value * quantity_value < 0",
            "line_total: of another sign than the quantity of the cancellation",
        ),
    ),
    checks=(
        Check(
            "is_named",
            "invoice_no <> '' and stock_code <> ''",
            "a line names its invoice and its stock code",
        ),
        # the real year: -80,995 to 80,995
        Check("quantity", "quantity", limits=(-1_000_000, 1_000_000)),
        # the real year: -11,062.06 to 38,970
        Check("unit_price", "cast(unit_price as double)", limits=(-100_000, 100_000)),
        # the real year: -168,469.60 to 168,469.60
        Check("amount", "cast(amount as double)", limits=(-10_000_000, 10_000_000)),
        Check("has_an_amount", "amount is not null", "a line has an amount"),
        Check(
            "price_sign_is_right",
            "unit_price >= 0 or invoice_kind <> 'cancellation'",
            "no cancellation has a price below zero",
        ),
    ),
    changed=("stock_code", "invoice_no", "invoice_kind"),
)

# An instalment may be reported several times: agreed, due, paid in part, paid. The latest line counts.
PAYMENTS = Kind(
    name="payments",
    table="payments",
    line="a line about an instalment or statement of account",
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
        "currency": TEXT,
    },
    may_be_unmapped=(
        *("invoice_no", "method", "instalment_no", "paid_day", "paid_amount", "days_late", "outstanding"),
        *("credit_limit", "recorded_at", "currency"),
    ),
    may_be_blank=(
        *("invoice_no", "method", "instalment_no", "paid_day", "paid_amount", "days_late", "outstanding"),
        *("credit_limit", "currency"),
    ),
    happened="recorded_at",
    sort="method_kind",
    usual="e_payment",
    others=("auto_billed", "on_delivery", "on_account"),
    ruled_by=("invoice_no", "method"),
    stored=(
        *("invoice_no", "customer_id", "method", "method_kind", "instalment_no", "amount", "due_day"),
        *("paid_day", "paid_amount", "tells_payment", "is_one_payment", "days_late", "outstanding"),
        *("credit_limit", "recorded_at"),
    ),
    # whether the mapping names what says that something was paid: then a blank says that nothing was; and
    # whether a line tells one payment, or what was paid so far
    made={"tells_payment": "boolean not null", "is_one_payment": "boolean not null"},
    faults=(
        ("paid_day_value > event_day", "paid_day: after the day of its file"),
        ("days_late_value < 0", "days_late: below zero"),
        ("credit_limit_value < 0", "credit_limit: below zero"),
    ),
    checks=(
        Check("amount", "cast(amount as double)", limits=(-10_000_000, 10_000_000)),
        # 30 years of instalments, and debts as old as that
        Check(
            "days_until_due",
            "date_diff('day', event_day, due_day)",
            "an instalment is due within 30 years",
            limits=(-11_000, 11_000),
        ),
        Check("instalment_no", "instalment_no", limits=(0, 1_000)),
        Check(
            "is_paid_by_then",
            "coalesce(paid_day <= event_day, true)",
            "nothing was paid after the day of its file",
        ),
        Check(
            "signs_are_right",
            "coalesce(credit_limit >= 0, true) and coalesce(days_late >= 0, true)",
            "no credit limit and no delay is below zero",
        ),
    ),
    stands_alone=True,
)

RETURNS = Kind(
    name="returns",
    table="returns",
    line="a return or refusal",
    casts={
        "customer_id": TEXT,
        "invoice_no": TEXT,
        "returned_at": TIMESTAMP,
        "amount": DECIMAL,
        "cause": TEXT,
        "currency": TEXT,
    },
    may_be_unmapped=("amount", "cause", "currency"),
    may_be_blank=("amount", "cause", "currency"),
    happened="returned_at",
    sort="return_kind",
    usual="return",
    others=("refusal",),
    ruled_by=("invoice_no", "cause"),
    stored=("invoice_no", "customer_id", "return_kind", "returned_at", "amount", "cause"),
    faults=(("amount_value < 0", "amount: below zero"),),
    checks=(Check("sign_is_right", "coalesce(amount >= 0, true)", "no amount is below zero"),),
    changed=("invoice_no",),
)

DELIVERIES = Kind(
    name="deliveries",
    table="deliveries",
    line="a delivery, or an attempt at one",
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
