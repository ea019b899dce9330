"""Reads every column of the exports that a mapping needs, as text: also those that some files lack."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import duckdb

from goodstanding.core.sql import identifier
from goodstanding.ingest.misread import mark_other_notations, mark_second_headers
from goodstanding.ingest.read import File, load_text
from goodstanding.shops.mapping import Column, Orders, Source

TOTAL, STATUS = "order_total", "no_orders"
# of the cells that an order has beside its lines, those without which it could not be judged
JUDGING = (TOTAL, STATUS)


def money_input(name: str) -> str:
    """What the column of an `order_money` is called in `text_lines`."""
    return f"money_{name}"


def else_input(name: str, place: int) -> str:
    """What the column is called that is looked at where those of a canonical column before it are blank."""
    return f"{name}_else_{place}"


def of_orders(source: Source) -> dict[str, str]:
    """{input: the file's column} of cells that an order has beside its lines."""
    if not isinstance(source, Orders):
        return {}
    cells = {money_input(name): money.source for name, money in source.order_money.items()}
    for name, section in ((TOTAL, source.order_total), (STATUS, source.no_orders)):
        if section:
            cells[name] = section.source
    return cells


def inputs(source: Source) -> dict[str, Column]:
    """Every column that is read, by what it is called in `text_lines`: the canonical ones first."""
    columns = dict(source.columns)
    for name, column in source.columns.items():
        for place, fallback in enumerate(column.else_from):
            columns[else_input(name, place)] = _as_text(fallback.source)
    return columns | {name: _as_text(column) for name, column in of_orders(source).items()}


def required(source: Source) -> Source:
    """The source with those columns alone that every export must have: a column that is called otherwise one
    day would go unread, and void orders count as sales."""
    columns = {name: column for name, column in source.columns.items() if column.in_every_file}
    columns |= {name: _as_text(column) for name, column in of_orders(source).items() if name in JUDGING}
    return source.model_copy(update={"columns": columns})


def read_inputs(connection: duckdb.DuckDBPyConnection, files: Sequence[File], source: Source) -> None:
    """Fill `text_lines` (see `read.load_text`) with all inputs; one that a file lacks is null there."""
    columns = inputs(source)
    names = ", ".join(f"{identifier(name)} varchar" for name in columns)
    connection.execute(
        "create or replace temp table input_lines "
        f"(file_name varchar, line_number bigint, {names}, fault varchar, record varchar)"
    )

    def there(file: File) -> tuple[str, ...]:
        return tuple(name for name, column in columns.items() if column.source in file.header)

    for present, group in groupby(sorted(files, key=there), key=there):
        alike = list(group)
        section = source.model_copy(update={"columns": {name: columns[name] for name in present}})
        load_text(connection, alike, section)
        mark_second_headers(connection, alike, section)
        connection.execute("insert into input_lines by name select * from text_lines")
    connection.execute("create or replace temp table text_lines as from input_lines")
    connection.execute("drop table input_lines")
    mark_other_notations(connection, source)


def _as_text(column: str) -> Column:
    return Column.model_validate({"from": column, "as": "text"})
