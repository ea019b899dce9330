"""Casting text to canonical values, as SQL: each cast gives null for what it cannot read exactly.

Nothing is rounded or guessed: 3.7 is no whole number, a price with a fifth decimal is set aside.
"""

from __future__ import annotations

from ingest.shop import CANONICAL, Column, Shop

QUANTITY_LIMIT = 1_000_000_000
REASONS = {
    "text": "missing",
    "whole_number": "no whole number",
    "integer": f"no whole number within {QUANTITY_LIMIT:,} of zero",
    "decimal": "no amount with at most 4 decimals below 100,000,000,000,000",
    "timestamp": "no time as the mapping writes it",
}


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def cast(name: str, column: Column, shop: Shop) -> str:
    """SQL for the canonical value of a text column of `text_lines`; null where it cannot be read."""
    if column.cast == "text":
        return f"nullif({name}, '')"
    if column.cast == "whole_number":
        return rf"nullif(regexp_extract({name}, '^\s*(\d+)(\.0*)?\s*$', 1), '')"
    if column.cast == "integer":
        digits = rf"regexp_extract({name}, '^\s*([+-]?\d+)(\.0*)?\s*$', 1)"
        number = f"try_cast({digits} as bigint)"
        return f"case when {number} between -{QUANTITY_LIMIT} and {QUANTITY_LIMIT} then {number} end"
    if column.cast == "decimal":
        return _decimal(name, column)
    return _timestamp(name, column, shop)


def _decimal(name: str, column: Column) -> str:
    text = f"trim({name})"
    if column.thousands_mark:
        text = f"replace({text}, {_literal(column.thousands_mark)}, '')"
    if column.decimal_mark == ",":
        # a point that is not declared as the thousands mark would turn 1.234 into 1234 or 1.234 by chance
        text = f"case when contains({text}, '.') then null else replace({text}, ',', '.') end"
    exact = f"try_cast({text} as decimal(38, 16))"
    return (
        f"case when {exact} = try_cast({text} as decimal(18, 4)) then try_cast({text} as decimal(18, 4)) end"
    )


def _timestamp(name: str, column: Column, shop: Shop) -> str:
    """The shop's local time; times written in another zone, or with an offset, are moved there."""
    if column.zone is None:
        if column.format:
            return f"cast(try_strptime({name}, {_literal(column.format)}) as timestamp)"
        return f"try_cast({name} as timestamp)"
    # the connection's own time zone is set to UTC, so a text with an offset is read as that instant
    parsed = (
        f"cast(try_strptime({name}, {_literal(column.format)}) as timestamp)"
        if column.format
        else f"try_cast({name} as timestamp)"
    )
    instant = f"timezone({_literal(column.zone)}, {parsed})"
    return f"timezone({_literal(shop.timezone)}, {instant})"


def unreadable_reason(shop: Shop, values: dict[str, str]) -> str:
    """SQL for why the values of a line cannot be used, in the order of the columns; null where they can."""
    branches = []
    for name in CANONICAL:
        column = shop.columns.get(name)
        if column is None:
            continue
        if not column.optional:
            branches.append(f"when nullif(trim({name}), '') is null then '{name}: missing'")
        if column.cast != "text":
            branches.append(
                f"when {values[name]} is null and nullif(trim({name}), '') is not null "
                f"then '{name}: {REASONS[column.cast]}'"
            )
    return "case " + " ".join(branches) + " end"
