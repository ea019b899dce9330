"""SQL that casts the text of a column to its canonical value, or to null where it cannot be read exactly.

Nothing is guessed: 3.7 is not a whole number, and a payment with a fifth decimal is set aside. Only what
`Kind.rounded` names, such as prices and line totals, is rounded: a shop computes them, to more decimals than
it pays.
"""

from __future__ import annotations

import re

from goodstanding.core.sql import identifier, literal
from goodstanding.core.zones import clock_of, instant_of
from goodstanding.identity.normal_form import NO_WHOLE_NUMBER, Case, IdCast
from goodstanding.shops.mapping import CUSTOMER, Column, Section, Shop, Source

QUANTITY_LIMIT = 1_000_000_000
REASONS = {
    "text": "missing",
    "whole_number": NO_WHOLE_NUMBER,
    "integer": f"no whole number within {QUANTITY_LIMIT:,} of zero",
    "decimal": "no amount as the mapping writes it with at most 4 decimals, below 100,000,000,000,000",
    "timestamp": "no time as the mapping writes it",
    "date": "no day as the mapping writes it",
}
# of an amount, as `shops.kinds` stores it
DIGITS = 18
# ISO 8601, as DuckDB prints times too. Matched first, because a cast to a timestamp drops an offset silently.
LOCAL_TIME = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?"
LOCAL_DAY = r"\d{4}-\d{2}-\d{2}([T ]00:00(:00(\.0+)?)?)?"
TIME_WITH_OFFSET = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}(:?\d{2})?)"


def _stripped(name: str) -> str:
    return f"nullif(trim({name}, E' \\t\\r\\n'), '')"


def _has_text(name: str) -> str:
    # as not null after trimming, at a fifth of its cost
    return rf"regexp_matches({name}, '[^\s\p{{Z}}\p{{Cc}}\p{{Cf}}]')"


def is_plain(name: str, cast: IdCast) -> str:
    """SQL for whether a column's text is, but for spaces at its ends and its case, in normal form already.

    Most texts are: they need no Python.
    """
    pattern = "[1-9][0-9]*" if cast == "whole_number" else "[!-~]([ -~]*[!-~])?"
    return f"regexp_full_match(trim({name}), '{pattern}')"


def _normal(name: str, cast: IdCast, case: Case, form: str) -> str:
    text = f"text_lines.{identifier(name)}"
    plain = f"trim({text})" if case == "keep" else f"{case}(trim({text}))"
    return f"case when {is_plain(text, cast)} then {plain} else {identifier(f'{name}_forms')}.{form} end"


def written(name: str, section: Section) -> str | None:
    """SQL for a text of `text_lines` in normal form but for its case, at which patterns of the mapping look.

    None for a column whose value, as `cast` gives it, is that already.
    """
    column = section.columns.get(name)
    if name == CUSTOMER or column is None or column.cast != "text" or section.case_of(name) == "keep":
        return None
    return _normal(name, "text", "keep", "written")


def cast(name: str, column: Column, case: Case = "keep", decimals: int | None = None) -> str:
    """SQL for the canonical value of a text column of `text_lines`; null where it cannot be read.

    Texts and whole numbers need the frames of `ingest.normal_forms.read_texts` joined to `text_lines`. Of a
    timestamp it is the time as written, from which `instant` and `clock` follow. With `decimals`, an amount
    may have any number of them and is rounded to so many, half away from zero.
    """
    if column.cast == "text" or column.cast == "whole_number":
        return _normal(name, column.cast, case, "value")
    if column.cast == "integer":
        digits = rf"regexp_extract({name}, '^\s*([+-]?\d+)(\.0*)?\s*$', 1)"
        number = f"try_cast({digits} as bigint)"
        return f"case when {number} between -{QUANTITY_LIMIT} and {QUANTITY_LIMIT} then {number} end"
    if column.cast == "decimal":
        return _decimal(name, column, decimals)
    if column.cast == "date":
        return _date(name, column)
    return _written_time(name, column)


def _decimal(name: str, column: Column, decimals: int | None) -> str:
    """Thousands marks must stand between groups of three: 1.50 is not 150 in a shop that writes 1,50."""
    text, mark, thousands = _stripped(name), re.escape(column.decimal_mark), re.escape(column.thousands_mark)
    whole = rf"(\d{{1,3}}({thousands}\d{{3}})+|\d*)" if thousands else r"\d*"
    pattern = rf"[+-]?{whole}({mark}\d*)?" if decimals else rf"[+-]?{whole}({mark}\d{{0,4}}0*)?"
    exact = f"regexp_full_match({text}, {literal(pattern)})"
    if thousands:
        text = f"replace({text}, {literal(column.thousands_mark)}, '')"
    if column.decimal_mark != ".":
        text = f"replace({text}, {literal(column.decimal_mark)}, '.')"
    return f"case when {exact} then try_cast({text} as decimal({DIGITS}, {decimals or 4})) end"


def _date(name: str, column: Column) -> str:
    text = _stripped(name)
    if column.format:
        return f"cast(try_strptime({text}, {literal(column.format)}) as date)"
    is_day = f"regexp_full_match({text}, {literal(LOCAL_DAY)})"
    return f"case when {is_day} then try_cast(left({text}, 10) as date) end"


def _written_time(name: str, column: Column) -> str:
    """The time as it is written: of one with an offset its instant (UTC), of another what a clock shows.

    The connection's own time zone must be UTC.
    """
    text = _stripped(name)
    if column.format:
        return f"cast(try_strptime({text}, {literal(column.format)}) as timestamp)"
    is_local = f"regexp_full_match({text}, {literal(LOCAL_TIME)})"
    return (
        f"case when {_is_instant(name, column)} then cast(try_cast({text} as timestamptz) as timestamp) "
        f"when {is_local} then try_cast({text} as timestamp) end"
    )


def _is_instant(name: str, column: Column) -> str:
    if column.format:
        return "true" if column.format_has_offset else "false"
    return f"regexp_full_match({_stripped(name)}, {literal(TIME_WITH_OFFSET)})"


def instant(name: str, column: Column, shop: Shop) -> str:
    """SQL for the instant (UTC) of a time, of which `<name>_read` is what `cast` gave."""
    read = f"{name}_read"
    is_instant, of_clock = _is_instant(name, column), instant_of(column.zone or shop.timezone, read)
    if column.format:
        return read if is_instant == "true" else of_clock
    return f"case when {is_instant} then {read} else {of_clock} end"


def clock(name: str, column: Column, shop: Shop) -> str:
    """SQL for what the shop's clock showed, from `<name>_read` and the instant `<name>_utc_value`.

    A time that is written by this clock stays as it is, also one that the clock skipped.
    """
    moved = clock_of(shop.timezone, f"{name}_utc_value")
    if column.zone not in (None, shop.timezone):
        return moved
    is_instant = _is_instant(name, column)
    if column.format:
        return moved if is_instant == "true" else f"{name}_read"
    return f"case when {is_instant} then {moved} else {name}_read end"


def unreadable_reason(source: Source) -> str:
    """SQL for why a line cannot be used, in the order of the columns; null where it can.

    For each column it reads the text and, as `<name>_value`, what `cast` gave. It looks first whether there
    is a value, because then nothing is wrong, and most lines have all of them. What is wrong with a customer
    is `customer_id_fault`.
    """
    branches = []
    for name in source.of.casts:
        column = source.columns.get(name)
        if column is None:
            continue
        no_value = f"{name}_value is null"
        if name == CUSTOMER:
            branches.append(f"when {name}_fault is not null then '{name}: ' || {name}_fault")
        if not column.optional:
            is_missing = (
                no_value if column.cast == "text" else f"{no_value} and {_has_text(name)} is not true"
            )
            branches.append(f"when {is_missing} then '{name}: missing'")
        if column.cast != "text" and name != CUSTOMER:
            reason = REASONS[column.cast]
            if decimals := source.of.rounded.get(name):
                reason = f"no amount as the mapping writes it, below {10 ** (DIGITS - decimals):,}"
            branches.append(f"when {no_value} and {_has_text(name)} then '{name}: {reason}'")
    return "case " + " ".join(branches) + " end"
