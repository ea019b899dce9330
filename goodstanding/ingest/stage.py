"""A part of the lines of one kind, typed: from `text_lines` to a name that stands for them, `staged_<table>`.

It has the columns of the kind's table and, of a line that cannot be used, its `reason` and `raw_text`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pandas as pd

from goodstanding.core.sql import literal
from goodstanding.identity.pseudonyms import pseudonym
from goodstanding.ingest.casts import cast, unreadable_reason
from goodstanding.ingest.read import NO_PARTITIONS, File, exact
from goodstanding.shops.kinds import SQL_TYPES, Kind
from goodstanding.shops.mapping import Orders, Shop, Source

# how a set-aside line is written down again: CSV fields, or the shape of a text (as `ingest.read.masked`)
MACROS = r"""
create or replace temp macro as_field(field) as
case
    when regexp_matches(field, '[",\r\n]') then '"' || replace(field, '"', '""') || '"'
    else coalesce(field, '')
end;
create or replace temp macro masked(line) as
regexp_replace(regexp_replace(line, '\p{N}', '9', 'g'), '\p{L}', 'x', 'g');
create or replace temp macro without_customer(field, customer) as
case when contains(field, customer) then masked(as_field(field)) else as_field(field) end;
"""


def stage_nothing(connection: duckdb.DuckDBPyConnection, kind: Kind) -> None:
    """Have the name of a kind's typed lines stand for none."""
    connection.execute(
        f"""
        create or replace temp view staged_{kind.table} as
        select *, cast(null as varchar) as reason, cast(null as varchar) as raw_text
        from raw.{kind.table} limit 0
        """
    )


def cast_lines(
    reader: duckdb.DuckDBPyConnection,
    files: Sequence[File],
    shop: Shop,
    source: Source,
    key: bytes,
    staged: Path,
) -> None:
    """Write the file `staged`: every line of `text_lines` typed, with `reason` where it cannot be used."""
    kind = source.of
    values = {
        name: cast(name, source.columns[name], shop)
        if name in source.columns
        else f"cast(null as {SQL_TYPES[casts[0]]})"
        for name, casts in kind.casts.items()
    }
    customers = reader.execute(
        f"select distinct {values['customer_id']} as customer from text_lines where customer is not null"
    ).fetchall()
    frame = pd.DataFrame(
        [(customer, pseudonym(customer, key)) for (customer,) in customers],
        columns=["customer", "pseudonym"],
        dtype=object,
    )
    reader.register("pseudonyms", frame)
    reader.register(
        "file_days",
        pd.DataFrame(
            [(file.name, file.hash, file.day.isoformat()) for file in files],
            columns=["file_name", "file_hash", "day"],
            dtype=object,
        ),
    )
    selected = ", ".join(f"{value} as {name}_value" for name, value in values.items())
    shape = " || ',' || ".join(f"as_field({name})" for name in source.columns)
    readable = " || ',' || ".join(
        f"without_customer({name}, customer_id_value)" if name != "customer_id" else "coalesce(pseudonym, '')"
        for name in source.columns
    )
    reader.execute(MACROS)
    reader.execute(
        f"""
        copy (
        with
        cast_lines as (
            select text_lines.*, {selected}, {_first_sort(source)} as {kind.sort}
            from text_lines
        ),
        read_lines as (
            select *, {unreadable_reason(source)} as unreadable
            from cast_lines
        ),
        placed as (
            select
                read_lines.*,
                cast(file_days.day as date) as event_day,
                file_days.file_hash,
                pseudonyms.pseudonym,
                unreadable is not null as is_unreadable
            from read_lines
            join file_days using (file_name)
            left join pseudonyms on pseudonyms.customer = customer_id_value
        ),
        judged as (
            select
                * exclude (unreadable),
                case
                    when unreadable is not null then unreadable
                    {_faults(source)}
                end as reason
            from placed
        )
        select
            '{shop.source}' as source,
            event_day,
            file_name,
            file_hash,
            line_number,
            {", ".join(f"{_stored(name, source)} as {name}" for name in kind.stored)},
            reason,
            -- a line whose values cannot be read may have its columns shifted: where then is the customer?
            case
                when is_unreadable then masked({shape})
                when reason is not null then {readable}
            end as raw_text
        from judged
        ) to {literal(staged)} (format parquet)
        """
    )
    reader.unregister("pseudonyms")
    reader.unregister("file_days")
    reader.execute("drop table text_lines")


def _stored(name: str, source: Source) -> str:
    """SQL for a column of the kind's table."""
    if name == source.of.sort:
        return name
    if name == "customer_id":
        return "pseudonym"
    if name == "is_product":
        assert isinstance(source, Orders)
        pattern = literal(source.no_products_pattern())
        return f"not coalesce(regexp_matches(stock_code_value, {pattern}), false)"
    return f"{name}_value"


def _faults(source: Source) -> str:
    """SQL for why a line that can be read is set aside all the same."""
    kind, branches = source.of, ""
    if kind.happened in source.columns:
        branches = f"""
            when cast({kind.happened}_value as date) <> event_day
                then '{kind.happened}: a row of ' || cast({kind.happened}_value as date)
                    || ' in the file of ' || event_day
        """
    return branches + " ".join(f"when {fault} then {literal(told)}" for fault, told in kind.faults)


def read_staged(connection: duckdb.DuckDBPyConnection, kind: Kind, staged: Path) -> None:
    """Have the name stand for a part's typed lines: a file, as a table keeps its place until the commit."""
    file = literal(exact(staged))
    connection.execute(
        f"create or replace temp view staged_{kind.table} as from read_parquet({file}, {NO_PARTITIONS})"
    )


def _first_sort(source: Source) -> str:
    branches = [
        f"when regexp_matches(cast({rule.column}_value as varchar), {literal(rule.matches)}) then '{sort}'"
        for sort in source.of.others
        if (rule := source.kinds.get(sort)) is not None
    ]
    usual = f"'{source.of.usual}'"
    return "case " + " ".join(branches) + f" else {usual} end" if branches else usual
