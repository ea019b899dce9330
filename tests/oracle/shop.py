"""A shop of made-up files: what its mapping says, the rows of its files, and how both are written to disk.

The oracle reads the written files by itself (`tests.oracle.lines`); the product reads them by the mapping.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

# a row as it is written: the text of each column, by its canonical name
Row = dict[str, str]

COLUMNS = {
    "orders": (
        *("invoice_no", "stock_code", "description", "quantity", "ordered_at", "unit_price", "line_total"),
        *("customer_id", "country"),
    ),
    "payments": (
        *("invoice_no", "customer_id", "method", "instalment_no", "amount", "due_day", "paid_day"),
        *("paid_amount", "days_late", "outstanding", "credit_limit", "recorded_at"),
    ),
    "returns": ("invoice_no", "customer_id", "returned_at", "cause", "amount"),
    "deliveries": ("invoice_no", "customer_id", "delivered_at", "method"),
}
BLANK = {
    "orders": ("description", "unit_price", "line_total", "customer_id", "country"),
    "payments": (
        *("invoice_no", "method", "instalment_no", "paid_day", "paid_amount", "days_late", "outstanding"),
        "credit_limit",
    ),
    "returns": ("cause", "amount"),
    "deliveries": ("method",),
}
CASTS = {
    "quantity": "integer",
    "instalment_no": "integer",
    "days_late": "integer",
    "unit_price": "decimal",
    "line_total": "decimal",
    "amount": "decimal",
    "paid_amount": "decimal",
    "outstanding": "decimal",
    "credit_limit": "decimal",
    "due_day": "date",
    "paid_day": "date",
    "ordered_at": "timestamp",
    "returned_at": "timestamp",
    "delivered_at": "timestamp",
    "recorded_at": "timestamp",
}
SORTS = {
    "orders": {"cancellation": ("invoice_no", "^C"), "adjustment": ("invoice_no", "^A")},
    "payments": {
        "auto_billed": ("method", "^debit$"),
        "on_delivery": ("method", "^cod$"),
        "on_account": ("method", "^account$"),
    },
    "returns": {"refusal": ("cause", "^refused$")},
    "deliveries": {"on_delivery": ("method", "^cod$")},
}
NO_PRODUCTS = ("POST", "gift_*")


@dataclass(frozen=True)
class Rules:
    """What the mapping of a shop says, beside what all made-up shops share.

    Attributes:
        zone: the shop's time zone.
        customer_as: how customer ids are read.
        customer_case: the case of their normal form.
        format: of all files.
        unmapped: columns that the mapping does not name.
        amounts: whether a line about a payment tells what was paid so far, or one payment.
    """

    zone: str = "Europe/London"
    customer_as: str = "whole_number"
    customer_case: str = "keep"
    format: str = "csv"
    unmapped: tuple[str, ...] = ()
    amounts: str = "so_far"

    def columns(self, kind: str) -> tuple[str, ...]:
        """The columns of a kind that the mapping names."""
        return tuple(name for name in COLUMNS[kind] if name not in self.unmapped)


@dataclass(frozen=True)
class Shop:
    """A made-up shop.

    Attributes:
        rules: what its mapping says.
        files: the rows of each file, by its path in the landing (`orders/2011-01-29-1.csv`).
        spans: the first and last days of the runs that load it, in order.
    """

    rules: Rules
    files: dict[str, list[Row]] = field(hash=False)
    spans: tuple[tuple[date, date], ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of lines for which the shop has files."""
        return tuple(kind for kind in COLUMNS if any(path.startswith(f"{kind}/") for path in self.files))

    def with_files(self, files: dict[str, list[Row]]) -> Shop:
        """The same shop with other files."""
        return replace(self, files=files)


def mapping(shop: Shop) -> str:
    """The shop's mapping as YAML."""
    rules = shop.rules
    parts = [f"source: made_up\ntimezone: {rules.zone}\ncurrency: GBP\narchive: true\n"]
    parts.append(f"no_products: [{', '.join(NO_PRODUCTS)}]\n")
    for kind in shop.kinds:
        lines = [f"files: {{path: '{kind}/{{day}}*.{rules.format}', format: {rules.format}}}", "columns:"]
        for name in rules.columns(kind):
            cast = rules.customer_as if name == "customer_id" else CASTS.get(name, "text")
            optional = ", optional: true" if name in BLANK[kind] else ""
            has_case = name == "customer_id" and cast == "text"
            case = f", case: {rules.customer_case}" if has_case else ""
            lines.append(f"  {name}: {{from: {name}, as: {cast}{case}{optional}}}")
        lines.append("invoice_kinds:" if kind == "orders" else "kinds:")
        for sort, (column, pattern) in SORTS[kind].items():
            lines.append(f"  {sort}: {{column: {column}, matches: '{pattern}'}}")
        if kind == "payments":
            lines.append(f"amounts: {rules.amounts}")
        indent = "" if kind == "orders" else "  "
        parts.append(
            ("" if kind == "orders" else f"{kind}:\n") + "".join(f"{indent}{text}\n" for text in lines)
        )
    return "".join(parts)


def write(shop: Shop, folder: Path) -> tuple[Path, Path]:
    """Write a shop's landing and mapping under `folder`; return both paths."""
    landing = folder / "landing"
    landing.mkdir(parents=True)
    for path, rows in shop.files.items():
        kind = path.partition("/")[0]
        target = landing / path
        target.parent.mkdir(exist_ok=True)
        if shop.rules.format == "parquet":
            _write_parquet(target.with_suffix(".parquet"), COLUMNS[kind], rows)
        else:
            _write_csv(target, COLUMNS[kind], rows)
    place = folder / "made_up.yml"
    place.write_text(mapping(shop), encoding="utf-8")
    return landing, place


def _write_csv(path: Path, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_parquet(path: Path, columns: tuple[str, ...], rows: list[Row]) -> None:
    import pyarrow
    import pyarrow.parquet

    table = {name: [row[name] or None for row in rows] for name in columns}
    schema = pyarrow.schema([(name, pyarrow.string()) for name in columns])
    pyarrow.parquet.write_table(pyarrow.table(table, schema=schema), path)
