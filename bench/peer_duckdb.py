"""A plain DuckDB script that computes the classes from a shop's files; the product is compared with it.

It shows how fast the work can be done, and checks the numbers: it shares no code with the product, so where
both agree, neither has copied a mistake of the other. It reads daily files in the UCI format, as CSV or as
Parquet, trusts every line (no quarantine, gate or history) and prints one JSON line:

    python -m bench.peer_duckdb LANDING [MEMORY_LIMIT SPILL_FOLDER]
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

# Files are read in the order of their names, so one running number is both line order and file order.
# An exact duplicate repeats all eight columns within one file; the first of them stays.
CSV = "read_csv($files, all_varchar = true, filename = true, header = true)"
PARQUET = "read_parquet($files, filename = true)"
LINES = """
create table lines as
with files as (
    select row_number() over () as line, *
    from {files}
), firsts as (
    select min(line) as first_line, * exclude (line) from files group by all
)
select
    line, InvoiceNo as invoice_no, StockCode as stock_code, InvoiceDate::timestamp as ordered_at,
    Quantity::bigint as quantity, UnitPrice::decimal(18, 4) as unit_price, CustomerID as customer_id,
    left(InvoiceNo, 1) = 'C' as is_cancellation,
    case
        when CustomerID is null then 'no_customer'
        when line not in (select first_line from firsts) then 'duplicate'
        when left(InvoiceNo, 1) = 'A' then 'adjustment'
    end as set_aside
from files
"""

# Only products that a customer both bought and cancelled can change; everything else is kept as it is.
AFFECTED = """
select customer_id || '|' || stock_code as bought, line, is_cancellation, quantity
from lines
where set_aside is null and is_cancellation = (quantity < 0)
qualify bool_or(is_cancellation) over (partition by customer_id, stock_code)
order by bought, ordered_at, is_cancellation, invoice_no, line
"""

STANDING = """
create table outcomes as
select
    lines.*,
    ifnull(matched.units, 0) as units,
    case
        when set_aside is not null then set_aside
        when is_cancellation then if(matched.line is null, 'unmatched_cancellation', 'cancellation')
        when matched.line is null then 'kept'
        when matched.units = quantity then 'cancelled'
        else 'partly_cancelled'
    end as outcome
from lines left join matched using (line);

create table invoices as
select customer_id, invoice_no, ordered_at::date as day,
    sum((quantity - units) * unit_price) as net
from outcomes
where set_aside is null and not is_cancellation
group by all;

create table rfm as
select customer_id, (select max(ordered_at)::date from lines) - max(day) as recency,
    count(*) as frequency, sum(net) as monetary
from invoices where net > 0
group by all;

create macro score(value, border) as
    1 + (value > border[1])::int + (value > border[2])::int + (value > border[3])::int;

create table borders as
select quantile_cont(recency::double, [.25, .5, .75]) as recency,
    quantile_cont(frequency::double, [.25, .5, .75]) as frequency,
    quantile_cont(monetary::double, [.25, .5, .75]) as monetary
from rfm;

create table scores as
select rfm.*, 5 - score(rfm.recency, b.recency) as r, score(rfm.frequency, b.frequency) as f,
    score(rfm.monetary::double, b.monetary) as m, r + f + m as credit_score
from rfm, borders as b;

create table class_borders as
select quantile_cont(credit_score::double, [.25, .5, .75]) as credit_score from scores;

create table classes as
select scores.*, ['Worst', 'Average', 'Good', 'Best'][score(scores.credit_score, b.credit_score)] as class
from scores, class_borders as b;
"""


def cancelled_units(affected: Iterable[tuple[str, int, bool, int]]) -> tuple[dict[int, int], int]:
    """Match cancellations to purchases.

    Args:
        affected: (customer and product, line, is it a cancellation, quantity), all of one customer and
            product together, in the order of events.

    Returns:
        Units by line (of a purchase what was taken, of a cancellation what it found) and how many
        cancellations met their mirror.
    """
    units: dict[int, int] = {}
    mirrors = 0
    for _, events in groupby(affected, key=lambda event: event[0]):
        bought: list[list[int]] = []  # [line, quantity, still open], oldest first
        for _, line, is_cancellation, quantity in events:
            if not is_cancellation:
                bought.append([line, quantity, quantity])
                continue
            wanted = -quantity
            mirror = [sale for sale in bought if sale[1] == sale[2] == wanted][-1:]
            mirrors += len(mirror)
            for sale in mirror or reversed(bought):
                taken = min(wanted, sale[2])
                if taken:
                    sale[2] -= taken
                    wanted -= taken
                    units[sale[0]] = units.get(sale[0], 0) + taken
                    units[line] = units.get(line, 0) + taken
    return units, mirrors


def standing(landing: Path, connection: duckdb.DuckDBPyConnection) -> dict[str, object]:
    """Fill the connection with the tables above (`outcomes`, `invoices`, `classes`, ...) and count them."""
    kind, files = ("parquet", PARQUET) if any(landing.glob("*.parquet")) else ("csv", CSV)
    connection.execute(LINES.format(files=files), {"files": str(landing / f"*.{kind}")})
    units, mirrors = cancelled_units(connection.execute(AFFECTED).fetchall())
    connection.execute(
        "create table matched as select unnest($lines::bigint[]) as line, unnest($units::bigint[]) as units",
        {"lines": list(units), "units": list(units.values())},
    )
    connection.execute(STANDING)

    def row(sql: str) -> tuple[Any, ...]:
        return connection.execute(sql).fetchone() or ()

    def counts(table: str, column: str) -> dict[str, int]:
        return dict(
            connection.execute(f"select {column}, count(*) from {table} group by all order by all").fetchall()
        )

    lines, customers, invoices = row(
        "select count(*), count(distinct customer_id), "
        "count(distinct (customer_id, invoice_no, ordered_at::date)) filter (set_aside is null) from lines"
    )
    return {
        "lines": lines,
        "customers": customers,
        "invoices": invoices,
        "kept": row("select count(*) from invoices where net > 0")[0],
        "classes": counts("classes", "class"),
        "outcomes": counts("outcomes", "outcome"),
        "mirrors": mirrors,
        "cancelled_units": row("select sum(units)::bigint from outcomes where is_cancellation")[0],
        "amount": str(row("select sum(quantity * unit_price) from lines")[0]),
        "net": str(row("select sum(net) from invoices")[0]),
        "monetary": str(row("select sum(monetary) from rfm")[0]),
        "borders": dict(
            zip(
                ("recency", "frequency", "monetary", "credit_score"),
                row("from borders, class_borders"),
                strict=True,
            )
        ),
    }


def main() -> None:
    started = time.perf_counter()
    landing, *limits = sys.argv[1:]
    with duckdb.connect(
        config=dict(zip(("memory_limit", "temp_directory"), limits, strict=False))
    ) as connection:
        numbers = standing(Path(landing), connection)
    numbers["seconds"] = round(time.perf_counter() - started, 3)
    numbers["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
