"""The oracle's own reading of a shop's files: canonical lines by the docs' definitions, in plain Python.

It shares nothing with the product: no SQL and no import from it. What it reads and what the product publishes
must be equal, so each is a check of the other.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fnmatch import fnmatchcase
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.oracle.shop import BLANK, CASTS, COLUMNS, NO_PRODUCTS, SORTS, Row, Rules

USUAL = {"orders": "sale", "payments": "e_payment", "returns": "return", "deliveries": "prepaid"}
HAPPENED = {
    "orders": "ordered_at",
    "payments": "recorded_at",
    "returns": "returned_at",
    "deliveries": "delivered_at",
}
NEVER_BELOW_ZERO = {
    "orders": (),
    "payments": ("days_late", "credit_limit"),
    "returns": ("amount",),
    "deliveries": (),
}
# separators, control characters and invisible format characters
BLANKS = ("Zs", "Zl", "Zp", "Cc", "Cf")
CASES = {"stock_code": "upper"}
# by default, beside the numbers 0 and -1
NOBODY = {
    *("NULL", "(NULL)", "[NULL]", "<NULL>", r"\N", "NONE", "NIL", "UNDEFINED", "NAN", "NAT", "NA", "<NA>"),
    *("N/A", "#N/A", "-", "00000000-0000-0000-0000-000000000000", "GUEST", "ANONYMOUS", "UNKNOWN"),
}
# the others must have 4 decimals at most
ROUNDED = {"unit_price": 8, "line_total": 4}
QUANTITY_LIMIT = 1_000_000_000


@dataclass(frozen=True)
class Line:
    """One line that can be used: where it stands, its sort, and its values by canonical name."""

    kind: str
    file: str
    number: int
    day: date
    sort: str
    values: dict[str, object]

    def __getitem__(self, name: str) -> object:
        return self.values[name]

    @property
    def place(self) -> tuple[str, int]:
        """File and line number."""
        return self.file, self.number

    @property
    def customer(self) -> str | None:
        """The customer's id in its normal form."""
        return self.values["customer_id"]

    @property
    def quantity(self) -> int:
        return self.values["quantity"]

    @property
    def price(self) -> Decimal:
        return self.values["unit_price"]

    @property
    def amount(self) -> Decimal:
        """The total as stated, else quantity times unit_price, to 4 decimals."""
        total = self.values["line_total"]
        return total if total is not None else rounded(self.quantity * self.price, 4)

    def amount_left(self, taken: int) -> Decimal:
        """What is left of a purchase's amount, in proportion to its units, to 4 decimals."""
        exact = Fraction(self.amount) * (self.quantity - taken) / self.quantity
        in_parts = abs(exact) * 10**4
        whole = Decimal((2 * in_parts.numerator + in_parts.denominator) // (2 * in_parts.denominator))
        return (whole if exact >= 0 else -whole) / 10**4

    @property
    def is_product(self) -> bool:
        """Whether it is none of postage, fees, vouchers (by its code in any case) and discounts."""
        total, price = self.values["line_total"], self.values["unit_price"]
        if self.sort == "sale" and self.quantity >= 0 and (price if total is None else total) < 0:
            return False
        code = str(self.values["stock_code"]).upper()
        return not any(fnmatchcase(code, pattern.upper()) for pattern in NO_PRODUCTS)


class Unreadable(Exception):
    """A line is set aside: its value cannot be read exactly."""


def read_lines(landing: Path, rules: Rules) -> tuple[list[Line], list[tuple[str, int]]]:
    """The lines of all CSV files of a landing that can be used, and the places of those set aside."""
    lines: list[Line] = []
    set_aside: list[tuple[str, int]] = []
    for path in sorted(landing.rglob("*.csv")):
        name = path.relative_to(landing).as_posix()
        kind, day = name.partition("/")[0], date.fromisoformat(path.name[:10])
        for number, row in _records(path):
            try:
                lines.append(_line(kind, name, number, day, row, rules))
            except Unreadable:
                set_aside.append((name, number))
    return _with_customers_of_invoices(lines), set_aside


def _with_customers_of_invoices(lines: list[Line]) -> list[Line]:
    """Order lines that lack a customer get the one whom all others of their number and day name."""
    named: dict[tuple[date, object], set[str]] = defaultdict(set)
    for line in lines:
        if line.kind == "orders" and line.customer is not None:
            named[line.day, line["invoice_no"]].add(line.customer)
    carried = []
    for line in lines:
        others = named[line.day, line["invoice_no"]] if line.kind == "orders" else set()
        if line.customer is None and len(others) == 1:
            line = replace(line, values={**line.values, "customer_id": min(others)})
        carried.append(line)
    return carried


def _records(path: Path) -> Iterator[tuple[int, Row]]:
    """Each record with the number of the line on which it begins; the header is line 1."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        begins = reader.line_num + 1
        for fields in reader:
            yield begins, dict(zip(header, fields, strict=True))
            begins = reader.line_num + 1


def _line(kind: str, file: str, number: int, day: date, row: Row, rules: Rules) -> Line:
    values: dict[str, object] = {}
    for name in rules.columns(kind):
        value = _value(name, row[name], rules)
        if value is None and (name not in BLANK[kind] or (name in CASTS and normal_text(row[name]))):
            raise Unreadable(name)
        values[name] = value
    sort = next(
        (
            sort
            for sort, (column, pattern) in SORTS[kind].items()
            if re.search(pattern, str(values[column] or ""))
        ),
        USUAL[kind],
    )
    values |= {name: None for name in COLUMNS[kind] if name not in values}
    if kind == "payments":
        values["tells_payment"] = not {"paid_day", "paid_amount"} <= set(rules.unmapped)
        values["is_one_payment"] = rules.amounts == "each"
    if kind == "orders":
        values["ordered_at_utc"] = instant(normal_text(row["ordered_at"]), rules.zone)
    happened = values.get(HAPPENED.get(kind, ""))
    if isinstance(happened, datetime) and happened.date() != day:
        raise Unreadable("a row of another day")
    if kind == "orders":
        _require_clear_money(sort, values)
    if any(values.get(name) is not None and values[name] < 0 for name in NEVER_BELOW_ZERO[kind]):
        raise Unreadable("a number below zero")
    if isinstance(values.get("paid_day"), date) and values["paid_day"] > day:
        raise Unreadable("paid after the day of its file")
    return Line(kind, file, number, day, sort, values)


def _require_clear_money(sort: str, values: dict[str, object]) -> None:
    """A line has an amount; one of a cancellation must not leave open which way the money goes."""
    price, total = values["unit_price"], values["line_total"]
    if price is None and total is None:
        raise Unreadable("no amount")
    if sort == "cancellation" and price is not None and price < 0:
        raise Unreadable("a cancellation with a price below zero")
    if sort == "cancellation" and total is not None and total * values["quantity"] < 0:
        raise Unreadable("a total of another sign than the quantity")


def _value(name: str, written: str, rules: Rules) -> object:
    """The value of a column's text; None where there is none, or where it cannot be read."""
    text = normal_text(written)
    cast = rules.customer_as if name == "customer_id" else CASTS.get(name, "text")
    if not text or (name == "customer_id" and is_nobody(text)):
        return None
    if cast == "text":
        case = rules.customer_case if name == "customer_id" else CASES.get(name, "keep")
        return {"upper": text.upper(), "lower": text.lower(), "keep": text}[case]
    if cast == "whole_number":
        match = re.fullmatch(r"\+?0*([0-9]+)(\.0*)?", text)
        return match[1] if match else None
    if cast == "integer":
        match = re.fullmatch(r"([+-]?[0-9]+)(\.0*)?", text)
        return int(match[1]) if match and abs(int(match[1])) <= QUANTITY_LIMIT else None
    if cast == "decimal":
        return _amount(text, ROUNDED.get(name))
    if cast == "date":
        return date.fromisoformat(text)
    return local_time(text, rules.zone)


def normal_text(text: str) -> str:
    """The text in Unicode form NFC without blanks of any kind at its ends."""
    text = unicodedata.normalize("NFC", text)
    blanks = {character for character in text if unicodedata.category(character) in BLANKS}
    return text.strip("".join(blanks)) if blanks else text


def is_nobody(text: str) -> bool:
    """Whether a text stands for no customer: a number by its value, a word in any case."""
    number = re.fullmatch(r"([+-]?)0*([0-9]+)(\.0*)?", text)
    if number:
        return int(number[1] + number[2]) in (0, -1)
    return text.upper() in NOBODY


def _amount(text: str, decimals: int | None) -> Decimal | None:
    """An amount of at most 4 decimals; with `decimals`, one of any number of them, rounded."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    if decimals:
        return rounded(amount, decimals)
    exact = rounded(amount, 4)
    return exact if exact == amount else None


def rounded(amount: Decimal, decimals: int) -> Decimal:
    """An amount with so many decimals, rounded half away from zero."""
    return amount.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


def instant(text: str, zone: str) -> datetime:
    """The instant, in UTC, of an ISO 8601 text; of a time that the clock shows twice the first."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return moment.astimezone(UTC).replace(tzinfo=None)


def local_time(text: str, zone: str) -> datetime:
    """The shop's local time of an ISO 8601 text; one with an offset is an instant."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment
    return moment.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
