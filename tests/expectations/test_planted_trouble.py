"""Trouble of each kind is planted into a good day: what ingest and gate 1 do not notice is what the docs say.

The day is the last of six weeks of a made-up shop of 80 lines a day. Trouble is noticed if the day is refused
or barred, or if a notice names it. Behind the transform the day is that of `tests.good_days`, and trouble is
noticed if gate 2 stops the day or tells it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from expectations.gate import run_gate
from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import Settings
from goodstanding.ingest.load import ingest
from goodstanding.warehouse.files import open_warehouse
from goodstanding.warehouse.ledger import record_verdict
from tests.docs.pages import PROJECT
from tests.expectations.small_shops import BIG, FIRST, small_shop
from tests.good_days import DAY as GOOD_DAY

DAYS = 42
DAY = FIRST + timedelta(DAYS - 1)
COLUMNS = {
    "InvoiceNo": "invoice_no",
    "StockCode": "stock_code",
    "Description": "description",
    "Quantity": "quantity",
    "InvoiceDate": "ordered_at",
    "UnitPrice": "unit_price",
    "CustomerID": "customer_id",
    "Country": "country",
}
Planting = Callable[[pd.DataFrame], pd.DataFrame]


def column(name: str, change: Callable[[pd.Series], object]) -> Planting:
    """A planting that changes one column."""
    return lambda lines: lines.assign(**{name: change(lines[name])})


def exchanged(one: str, other: str) -> Planting:
    """Two columns whose values have changed places under their headers."""
    return lambda lines: lines.assign(**{one: lines[other], other: lines[one]})


def first_part(share: float) -> Planting:
    """A file that ends early, behind a whole line."""
    return lambda lines: lines.head(int(len(lines) * share))


def from_the_middle(change: Planting) -> Planting:
    """A file that changes in its middle."""
    return lambda lines: pd.concat(
        [lines.head(len(lines) // 2), change(lines.tail(len(lines) - len(lines) // 2))]
    )


def times(factor: float) -> Callable[[pd.Series], object]:
    return lambda values: (values.astype(float) * factor).round(4)


def shifted(hours: int) -> Callable[[pd.Series], object]:
    return lambda values: (pd.to_datetime(values) + pd.Timedelta(hours=hours)).astype(str)


def decimal_comma(values: pd.Series) -> object:
    return values.map(lambda value: f'"{value:.2f}"'.replace(".", ","))


PLANTED: dict[str, Planting] = {
    "a file without lines": first_part(0),
    "a file cut after a tenth": first_part(0.1),
    "a file cut after half": first_part(0.5),
    "a day twice in its file": lambda lines: pd.concat([lines, lines]),
    "a day forty times in its file": lambda lines: pd.concat([lines] * 40),
    "every second line is lost": lambda lines: lines.iloc[::2],
    "decimal commas": column("unit_price", decimal_comma),
    "decimal commas from the middle on": from_the_middle(column("unit_price", decimal_comma)),
    "prices a hundred times": column("unit_price", times(100)),
    "prices a hundredth": column("unit_price", times(0.01)),
    "prices a hundred times from the middle on": from_the_middle(column("unit_price", times(100))),
    "prices in a currency of 1.2 to one": column("unit_price", times(1.2)),
    "prices in a currency of 150 to one": column("unit_price", times(150)),
    "prices of nothing": column("unit_price", times(0)),
    "prices below zero": column("unit_price", times(-1)),
    "quantities a hundred times": column("quantity", lambda values: values * 100),
    "signs of quantities the other way": column("quantity", lambda values: -values),
    "quantities with decimals": column("quantity", lambda values: values + 0.5),
    "quantity and price exchanged": exchanged("quantity", "unit_price"),
    "invoice and customer exchanged": exchanged("invoice_no", "customer_id"),
    "code and description exchanged": exchanged("stock_code", "description"),
    "no customer": column("customer_id", lambda values: values.map(lambda _: "")),
    "half of the customers are lost": lambda lines: lines.assign(
        customer_id=np.where(np.arange(len(lines)) % 2, lines["customer_id"], "")
    ),
    "customers with another prefix": column("customer_id", lambda values: "9" + values),
    "one customer for all": column("customer_id", lambda values: values.map(lambda _: "10001")),
    "times of the day before": column("ordered_at", shifted(-24)),
    "times an hour later": column("ordered_at", shifted(1)),
    "times of another year": column("ordered_at", shifted(-24 * 365)),
    "times with day and month exchanged": column(
        "ordered_at", lambda values: values.str.replace("-02-11", "-11-02")
    ),
    "all lines of one product": column("stock_code", lambda values: values.map(lambda _: "10")),
}


@dataclass(frozen=True)
class Landed:
    """A home that holds all days but the last, and the lines of the last."""

    home: Path
    landing: Path
    lines: pd.DataFrame


def write(landing: Path, day: date, lines: pd.DataFrame) -> None:
    named = lines.rename(columns={name: header for header, name in COLUMNS.items()})
    rows = [",".join(str(value) for value in row) for row in named[list(COLUMNS)].itertuples(index=False)]
    (landing / f"{day}.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")


def settings_of(home: Path, landing: Path) -> Settings:
    return Settings(home=home, landing=landing, shop="online_retail", _env_file=None)


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    folder = tmp_path_factory.mktemp("planted")
    landing = folder / "landing"
    landing.mkdir()
    shop = small_shop(3, 80, days=DAYS, tastes=BIG)
    shop["unit_price"] = shop["unit_price"].round(2)
    shop["stock_code"] = "P" + (shop["unit_price"] * 100).round().astype(int).astype(str)
    shop["description"] = "A THING"
    shop["country"] = "Utopia"
    shop["customer_id"] = shop["customer_id"].map(lambda c: f"1{int(c[1:]):04}" if isinstance(c, str) else "")
    minutes = (shop["line_number"] % 480).map(lambda n: f"{9 + n // 60:02}:{n % 60:02}:00")
    shop["ordered_at"] = shop["event_day"].astype(str) + " " + minutes
    for day, lines in shop.groupby("event_day"):
        write(landing, day, lines)
    mine = settings_of(folder / "home", landing)
    before = Days(FIRST, DAY - timedelta(1))
    ingest(mine, before, "run")
    with open_warehouse(mine) as connection:
        record_verdict(connection, "raw_orders", before, "run", True, "")
    lines = shop[shop["event_day"] == DAY].copy()
    return Landed(mine.home, landing, lines)


def is_noticed(landed: Landed, planting: Planting, folder: Path) -> bool:
    """Plant a trouble into the last day, and look whether ingest or gate 1 refuse or tell it."""
    shutil.copytree(landed.home, folder / "home")
    shutil.copytree(landed.landing, folder / "landing")
    write(folder / "landing", DAY, planting(landed.lines))
    mine = settings_of(folder / "home", folder / "landing")
    today = Days(DAY, DAY)
    try:
        ingest(mine, today, "run")
        with open_warehouse(mine) as connection:
            run_gate(connection, "raw_orders", today, "run", mine)
            told = connection.execute("select count(*) from intake.raw.notices where event_day = ?", [DAY])
            return told.fetchall() != [(0,)]
    except DataProblem:
        return True
    finally:
        shutil.rmtree(folder / "home")
        shutil.rmtree(folder / "landing")


def documented(heading: str) -> set[str]:
    """What a section of the docs says is planted and not noticed."""
    page = (PROJECT / "docs" / "explanation" / "what-is-checked.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^- (.+?): ", section, re.MULTILINE))


def test_the_good_day_passes_without_a_word(landed: Landed, tmp_path: Path) -> None:
    assert not is_noticed(landed, lambda lines: lines, tmp_path)


def test_what_is_planted_and_not_noticed_is_what_the_docs_say(landed: Landed, tmp_path: Path) -> None:
    unnoticed = {name for name, planting in PLANTED.items() if not is_noticed(landed, planting, tmp_path)}
    print(f"{len(PLANTED)} planted, not noticed: {', '.join(sorted(unnoticed))}")
    assert unnoticed == documented("Planted, and not noticed")


LINES, INVOICES = "marts.order_lines", "marts.invoices"
OF_DAY = "event_day = '2011-03-09'"
ONE = f"{OF_DAY} and line_number = 7"
# what a customer bought in line 2 is given back by line 122
CANCELLED = f"{OF_DAY} and line_number = 2"
CANCELLATION = f"{OF_DAY} and line_number = 122"
# customers return ten things every day
RETURNS = """
insert into intake.raw.returns by name
select source, event_day, 'returns' as file_name, 'hash' as file_hash, line_number, invoice_no, customer_id,
    'return' as return_kind, ordered_at as returned_at, amount
from intake.raw.order_lines where line_number between 5 and 14
"""
PLANTED_BEHIND: dict[str, str] = {
    "a line is lost": f"delete from {LINES} where {ONE}",
    "a line is doubled": f"insert into {LINES} from {LINES} where {ONE}",
    "a line is doubled under another number": (
        f"insert into {LINES} select * replace (999 as line_number) from {LINES} where {ONE}"
    ),
    "one line is lost and another doubled": (
        f"update {LINES} set line_number = 999, quantity = 9, amount = 22.5, kept_amount = 22.5 where {ONE}"
    ),
    "a day is lost": f"delete from {LINES} where {OF_DAY}; delete from {INVOICES} where {OF_DAY}",
    "amounts are rounded to whole ones": (
        f"update {LINES} set amount = round(amount), kept_amount = round(kept_amount) where {OF_DAY}"
    ),
    "what is left is rounded": f"update {LINES} set kept_amount = round(kept_amount) where {OF_DAY}",
    "a line counts on another day": f"update {LINES} set event_day = '2011-03-08' where {ONE}",
    "a line is another customer's": f"update {LINES} set customer_id = sha256('other') where {ONE}",
    "a line loses its customer": (
        f"update {LINES} set customer_id = null, outcome = 'no_customer', kept_amount = 0 where {ONE}"
    ),
    "a cancellation takes nothing back": (
        f"update {LINES} set outcome = 'unmatched_cancellation', cancelled_quantity = 0, "
        f"cancellation_rule = null where {CANCELLATION};"
        f"update {LINES} set outcome = 'kept', cancelled_quantity = 0, cancellation_rule = null, "
        f"kept_amount = amount where {CANCELLED}"
    ),
    "a cancellation takes back from nobody": (
        f"update {LINES} set outcome = 'kept', cancelled_quantity = 0, cancellation_rule = null, "
        f"kept_amount = amount where {CANCELLED}"
    ),
    "a cancellation is lost": f"delete from {LINES} where {CANCELLATION}",
    "an invoice is split": (
        f"insert into {INVOICES} select * replace (invoice_no || '-2' as invoice_no, gross_amount / 2 as "
        f"gross_amount, net_amount / 2 as net_amount) from {INVOICES} where invoice_no = 'I03097';"
        f"update {INVOICES} set gross_amount = gross_amount / 2, net_amount = net_amount / 2 "
        "where invoice_no = 'I03097'"
    ),
    "an invoice is lost": f"delete from {INVOICES} where invoice_no = 'I03097'",
    "an invoice is doubled": f"insert into {INVOICES} from {INVOICES} where invoice_no = 'I03097'",
    "invoices are rounded to whole amounts": (
        f"update {INVOICES} set gross_amount = round(gross_amount), "
        f"cancelled_amount = round(cancelled_amount), "
        f"net_amount = round(gross_amount) - round(cancelled_amount) where {OF_DAY}"
    ),
    "nine of ten invoices are lost": f"delete from {INVOICES} where {OF_DAY} and gross_amount > 30",
    "no invoice is kept": f"update {INVOICES} set is_kept = false where {OF_DAY}",
    "returns of a day are lost": f"delete from intake.raw.returns where {OF_DAY}",
    "returns name no order": f"update intake.raw.returns set invoice_no = 'x' where {OF_DAY}",
    "a return names no order": (
        f"update intake.raw.returns set invoice_no = 'x' where {OF_DAY} and line_number = 7"
    ),
}


def is_noticed_behind(warehouse: duckdb.DuckDBPyConnection, planting: str, settings: Settings) -> bool:
    """Plant a trouble by SQL behind the transform, and look whether gate 2 stops the day or tells it."""
    database = "intake" if "intake." in planting else "memory"
    warehouse.execute(f"begin; {RETURNS if database == 'intake' else ''}; {planting}")
    try:
        notes = run_gate(warehouse, "invoices", Days(GOOD_DAY, GOOD_DAY), "run", settings)["notes"]
        return any(not note.startswith("not judged") for note in notes)
    except DataProblem:
        return True
    finally:
        warehouse.execute("rollback")


def test_what_is_planted_behind_the_transform_and_not_noticed_is_what_the_docs_say(
    own_warehouse: duckdb.DuckDBPyConnection, settings: Settings
) -> None:
    assert not is_noticed_behind(own_warehouse, "select 1", settings)
    unnoticed = {
        name
        for name, planting in PLANTED_BEHIND.items()
        if not is_noticed_behind(own_warehouse, planting, settings)
    }
    print(f"{len(PLANTED_BEHIND)} planted, not noticed: {', '.join(sorted(unnoticed))}")
    assert unnoticed == documented("Planted behind the transform, and not noticed")
