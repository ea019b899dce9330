"""Make a landing that is larger than the real one: the same shop for more years, or with more customers.

It is made from the real files, line by line, so that days, baskets, duplicates, cancellations and bad rows
keep their shapes. Nothing is drawn, so a landing is the same every time.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import yaml

from goodstanding.core.settings import PROJECT
from goodstanding.core.sql import literal
from goodstanding.core.strict_yaml import loaded, text_of

# whole weeks, so that a day of the week stays one; the real numbers span 45,223
YEAR = timedelta(weeks=52)
NUMBERS_A_YEAR = 50_000
# once a shop has a history, the gate of raw orders takes a tenth of the usual lines for a broken export
FEWEST_LINES = 350
INVOICE_NUMBER = re.compile(r"^([A-Z]?)(\d+)", re.M)
# The number of a copy stands before the real numbers, as wide in every copy: so its invoices sort as the real
# ones do, which settles equal times. Customers are numbers of five digits.
FIRST_COPY, CUSTOMERS_A_COPY = 1000, 100_000
# Copies stay whole in the file, one after the other: the order of lines within a copy is the real one.
COPIED_DAY = """
copy (
    with
    lines as (
        select row_number() over () as line, *
        from read_csv({file}, header = true, all_varchar = true)
    ),
    copies as (
        select {first_copy} + unnest(range({times})) as copy
    )
    select
        regexp_replace(InvoiceNo, '^([A-Z]?)', '\\1' || copy) as InvoiceNo,
        StockCode,
        Description,
        Quantity::bigint as Quantity,
        InvoiceDate::timestamp as InvoiceDate,
        UnitPrice::double as UnitPrice,
        (copy - {first_copy}) * {customers_a_copy} + CustomerID::double as CustomerID,
        Country
    from copies cross join lines
    order by copy, line
) to {into} (format parquet)
"""


def write_years(landing: Path, into: Path, years: int) -> None:
    """Give the shop a past: the same customers bought the same baskets in each of `years` - 1 earlier years.

    Every year has invoice numbers of its own. The customers stay the same ones, so the cost of a day can only
    grow with the history that lies behind, not with the number of customers.

    Args:
        landing: day files in the public format, named by their day.
        into: folder for the files of all years; made if it is not there.
    """
    into.mkdir(parents=True, exist_ok=True)
    for path in sorted(landing.glob("*.csv")):
        text = path.read_text(encoding="utf-8")
        if text.count("\n") < FEWEST_LINES:
            continue
        for back in range(years):
            day = date.fromisoformat(path.stem) - back * YEAR
            file = into / f"{day}.csv"
            if not file.exists():  # the last days of a year overlap the first ones of the next
                file.write_text(_moved(text, path.stem, day, back), encoding="utf-8")


def write_mapping(into: Path) -> Path:
    """The real shop's mapping without its calendar: the days of other years have another one."""
    mapping = _real_mapping()
    del mapping["closed"]
    return _written(mapping, into / "grown.yml")


def write_copies(landing: Path, into: Path, times: int) -> None:
    """Give the shop more customers: on each day `times` as many, who bought the same baskets.

    Every copy has customers and invoice numbers of its own, so nothing matches across copies, and what holds
    of the real year holds as many times: lines of each outcome, invoices, amounts.

    Args:
        landing: day files in the public format, named by their day.
        into: folder for one Parquet file a day, with typed columns; made if it is not there.
        times: copies, up to 9,000.
    """
    into.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        for path in sorted(landing.glob("*.csv")):
            connection.execute(
                COPIED_DAY.format(
                    file=literal(path),
                    into=literal(str(into / f"{path.stem}.parquet")),
                    first_copy=FIRST_COPY,
                    customers_a_copy=CUSTOMERS_A_COPY,
                    times=times,
                )
            )


def write_parquet_mapping(into: Path) -> Path:
    """The real shop's mapping for its Parquet files."""
    mapping = _real_mapping()
    mapping["files"] = {"path": "{day}.parquet", "format": "parquet"}
    return _written(mapping, into / "copied.yml")


def _real_mapping() -> dict[str, Any]:
    path = PROJECT / "shops" / "online_retail.yml"
    mapping: dict[str, Any] = loaded(text_of(path), path)
    return mapping


def _written(mapping: dict[str, Any], path: Path) -> Path:
    path.write_text(yaml.safe_dump(mapping, sort_keys=False), encoding="utf-8")
    return path


def _moved(text: str, from_day: str, day: date, back: int) -> str:
    def renumbered(number: re.Match[str]) -> str:
        return f"{number[1]}{int(number[2]) - back * NUMBERS_A_YEAR}"

    return INVOICE_NUMBER.sub(renumbered, text.replace(f",{from_day} ", f",{day} "))
