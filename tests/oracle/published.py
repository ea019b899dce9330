"""What the product publishes for a shop, what the oracle says, and where they differ, row for row."""

from __future__ import annotations

import hashlib
import hmac
import math
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import duckdb

from goodstanding.core.settings import Settings
from tests.laws.conftest import KEY, Warehouse
from tests.oracle.accounts import payment_behaviour, refusals
from tests.oracle.drawn import days_of
from tests.oracle.lines import Line, read_lines
from tests.oracle.orders import invoices_of, judge
from tests.oracle.shop import Shop, write
from tests.oracle.standing import Key, Table, order_behaviour, shrunk_rate, standing

# tables and the columns that name a row of each; all other columns that the oracle gives are compared
KEYS = {
    "order_lines": ("file_name", "line_number"),
    "invoices": ("customer_id", "invoice_no", "event_day", "kind"),
    "rfm_borders": ("as_of", "measure"),
    "rfm_scores": ("customer_id", "as_of"),
    "class_borders": ("as_of",),
    "customer_classes": ("customer_id", "as_of"),
    "return_behaviour": ("customer_id", "as_of"),
    "master_data": ("customer_id", "as_of"),
    "customer_features": ("customer_id", "as_of"),
    "payment_behaviour": ("customer_id", "as_of"),
    "customer_profiles": ("customer_id",),
}
# the order in which rows of a day are listed says nothing; these are all figures of the mart
ADDED_TO_RETURNS = ("refused_orders", "refused_orders_6m", "refusal_rate")


@dataclass
class Publication:
    """What readers and the ledger say of a shop after its runs."""

    tables: dict[str, Table]
    set_aside: set[tuple[str, int]]


def pseudonym(customer: str | None) -> str | None:
    """The pseudonym by the key of the tests: the first 32 hex digits of HMAC-SHA256."""
    if customer is None:
        return None
    return hmac.new(bytes.fromhex(KEY), customer.encode(), hashlib.sha256).hexdigest()[:32]


class Runner:
    """Runs shops, one after the other, in one home under `folder`.

    A first home is kept with dbt's views and seeds, of which each shop gets a copy: that halves a run's time.
    """

    def __init__(self, folder: Path, use: Callable[..., Settings]) -> None:
        self.folder = folder
        self.use = use

    def publish(self, shop: Shop) -> Publication:
        """Write a shop's files, run the product over them as a user does, and read what is published."""
        warehouse = self._loaded(shop)
        for names, spans in (
            (("check_invoices", "check_scores"), shop.spans),
            (("score",), shop.spans[-1:]),
            (("check_predictions",), shop.spans),
            (("publish",), shop.spans[-1:]),
        ):
            for first, last in spans:
                for name in names:
                    warehouse.step(name, first, last)
        return self._read(warehouse.home / "published" / "current.duckdb")

    def build(self, shop: Shop) -> Publication:
        """The same without the gates after the first, which change no mart and take half of the time."""
        return self._read(self._loaded(shop).home / "warehouse" / "standing.duckdb")

    def _loaded(self, shop: Shop) -> Warehouse:
        place = self.folder / "shop"
        shutil.rmtree(place / "landing", ignore_errors=True)
        landing, mapping = write(shop, place)
        warehouse = Warehouse(self.use, place / "home", landing, mapping)
        self._empty(warehouse, "-".join(shop.kinds))
        for first, last in shop.spans:
            warehouse.step("ingest", first, last)
            warehouse.step("check_raw", first, last)
        warehouse.step("transform", *shop.spans[-1])
        return warehouse

    def _read(self, path: Path) -> Publication:
        with duckdb.connect(str(path), read_only=True) as connection:
            tables = {table: _rows(connection, table) for table in KEYS}
        return Publication(tables, _set_aside(self.folder / "shop" / "home" / "warehouse" / "intake.duckdb"))

    @property
    def landing(self) -> Path:
        """Where the files of the shop lie that was run last."""
        return self.folder / "shop" / "landing"

    def _empty(self, warehouse: Warehouse, kinds: str) -> None:
        template = self.folder / f"template-{kinds}"
        if not template.exists():
            Warehouse(self.use, template / "home", warehouse.landing, warehouse.shop).step(
                "transform", date(2010, 1, 1)
            )
        shutil.rmtree(warehouse.home, ignore_errors=True)
        shutil.copytree(template / "home" / "warehouse", warehouse.home / "warehouse")


def _rows(connection: duckdb.DuckDBPyConnection, table: str) -> Table:
    found = connection.execute(f"select * from marts.{table}")
    names = [column[0] for column in found.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    keyed = {tuple(row[name] for name in KEYS[table]): row for row in rows}
    assert len(keyed) == len(rows), f"{table}: several rows with one key"
    return keyed


def _set_aside(intake: Path) -> set[tuple[str, int]]:
    with duckdb.connect(str(intake), read_only=True) as connection:
        tables = connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'raw' and table_name ^@ 'rejected_'"
        ).fetchall()
        places = [
            connection.execute(f"select file_name, line_number from raw.{table}").fetchall()
            for (table,) in tables
        ]
    return {(str(file), int(number)) for of_table in places for file, number in of_table}


def expected(shop: Shop, landing: Path) -> Publication:
    """What the oracle says of the files in a landing."""
    lines, set_aside = read_lines(landing, shop.rules)
    days = list(days_of(shop.spans))
    newest = days[-1]
    tables: dict[str, Table] = {table: {} for table in KEYS}
    tables["order_lines"] = _order_lines(lines, newest)
    tables["invoices"] = _invoices(lines, newest)
    for day in days:
        for table, rows in standing(lines, day).items():
            tables[table] |= {_hidden(table, key): row for key, row in rows.items()}
        if day == newest or (day + timedelta(days=1)).day == 1:
            for table, of_day in _behaviour(lines, day).items():
                tables[table] |= {(pseudonym(customer), day): row for customer, row in of_day.items()}
    tables["customer_profiles"] = _profiles(lines, newest, tables["customer_classes"])
    return Publication(tables, set(set_aside))


def _hidden(table: str, key: Key) -> Key:
    """A key with the pseudonym in place of the customer's id."""
    return (pseudonym(str(key[0])), *key[1:]) if KEYS[table][0] == "customer_id" else key


def _order_lines(lines: Iterable[Line], newest: date) -> Table:
    return {
        judged.line.place: {
            "event_day": judged.line.day,
            "ordered_at": judged.line["ordered_at"],
            "ordered_at_utc": judged.line["ordered_at_utc"],
            "line_total": judged.line["line_total"],
            "invoice_no": judged.line["invoice_no"],
            "invoice_kind": judged.line.sort,
            "stock_code": judged.line["stock_code"],
            "is_product": judged.line.is_product,
            "quantity": judged.line.quantity,
            "unit_price": judged.line.price,
            "amount": judged.line.amount,
            "customer_id": pseudonym(judged.line.customer),
            "country": judged.line["country"],
            "outcome": judged.outcome,
            "cancelled_quantity": judged.taken,
            "cancellation_rule": judged.rule,
            "kept_amount": judged.kept_amount,
        }
        for judged in judge(lines, newest)
    }


def _invoices(lines: Iterable[Line], newest: date) -> Table:
    return {
        (pseudonym(invoice.customer), invoice.number, invoice.day, invoice.kind): {
            "ordered_at": min(judged.line["ordered_at"] for judged in invoice.lines),
            "lines": len(invoice.lines),
            "gross_amount": invoice.gross,
            "cancelled_amount": invoice.cancelled,
            "returned_amount": invoice.came_back - invoice.cancelled,
            "net_amount": invoice.net,
            "is_kept": invoice.is_kept,
        }
        for invoice in invoices_of(lines, newest)
    }


def _behaviour(lines: list[Line], day: date) -> dict[str, dict[str, dict[str, object]]]:
    """Return behaviour, payment behaviour, features, and all of it as master data, by customer."""
    tables = order_behaviour(lines, day)
    tables["payment_behaviour"] = payment_behaviour(lines, day)
    refused = refusals(lines, day)
    scores = {customer: row for (customer, _), row in standing(lines, day)["customer_classes"].items()}
    for customer, row in tables["return_behaviour"].items():
        counts = refused.get(customer, (0, 0))
        rate = shrunk_rate(counts[0], int(str(row["orders"])))
        row |= dict(zip(ADDED_TO_RETURNS, (*counts, rate), strict=True))
        of_customer = scores.get(customer, {})
        tables["master_data"][customer] |= {
            **row,
            **{name: of_customer.get(name) for name in ("r_score", "f_score", "m_score", "credit_score")},
            **tables["payment_behaviour"].get(customer, {"overdue_instalments": 0, "outstanding": 0}),
        }
    return tables


def _profiles(lines: Iterable[Line], newest: date, classes: Table) -> Table:
    """Every customer of a readable order line; those without a kept invoice are Worst by rule."""
    table: Table = {}
    orders = [line for line in lines if line.kind == "orders" and line.customer is not None]
    for customer in {line.customer for line in orders}:
        sales = [line.day for line in orders if line.customer == customer and line.sort == "sale"]
        row = classes.get((pseudonym(customer), newest), {})
        table[pseudonym(customer),] = {
            "as_of": newest,
            "recency": row.get("recency"),
            "frequency": row.get("frequency", 0),
            "monetary": row.get("monetary", 0),
            "credit_score": row.get("credit_score"),
            "class": row.get("class", "Worst"),
            "class_note": None if row else "no invoice still counts: Worst by rule",
            "first_order_day": min(sales, default=None),
            "last_order_day": max(sales, default=None),
        }
    return table


def is_equal(wanted: object, found: object) -> bool:
    """Whether two figures are equal: exactly, but for shares that are kept as floating point numbers."""
    if isinstance(found, float) and isinstance(wanted, Fraction | Decimal | int):
        return math.isclose(float(wanted), found, rel_tol=1e-12, abs_tol=1e-12)
    return wanted == found


def differences(wanted: Publication, found: Publication) -> list[str]:
    """Where two publications differ: table, row, column and both values, in words."""
    told = []
    for place in sorted(wanted.set_aside ^ found.set_aside):
        told.append(f"{place} {'is not' if place in wanted.set_aside else 'is'} set aside")
    for table in KEYS:
        theirs, ours = found.tables[table], wanted.tables[table]
        for key in sorted({*theirs, *ours}, key=str):
            if key not in theirs or key not in ours:
                told.append(f"{table} {_shown(key)}: {'missing' if key in ours else 'not expected'}")
                continue
            told += [
                f"{table} {_shown(key)} {column}: {theirs[key][column]} instead of {value}"
                for column, value in ours[key].items()
                if not is_equal(value, theirs[key][column])
            ]
    return told


def _shown(key: Key) -> str:
    return "/".join(str(part)[:10] if len(str(part)) == 32 else str(part) for part in key)
