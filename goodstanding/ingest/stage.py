"""Converts lines from text to the typed columns of a kind's table, one kind of source at a time.

`goodstanding.ingest.read` fills `text_lines`. `cast_lines` writes them typed into a Parquet file, and
`read_staged` gives that file the name `staged_<table>`: the columns of the kind's table and, of a line that
cannot be used, its `reason` and `raw_text`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pandas as pd

from goodstanding.core.sql import literal, rendered
from goodstanding.ingest.casts import cast, clock, instant, unreadable_reason, written
from goodstanding.ingest.masks import define_masks
from goodstanding.ingest.neighbours import days_beside
from goodstanding.ingest.normal_forms import OF_CUSTOMER, joined_texts, read_customers, read_texts
from goodstanding.ingest.read import NO_PARTITIONS, File, exact
from goodstanding.shops.kinds import ORDERS, TEXT, WAITS, Kind
from goodstanding.shops.mapping import CUSTOMER, Orders, Payments, Shop, Source
from goodstanding.warehouse.notices import NOBODY, Notice

# a total that the shop states is exact; what is computed has the decimals of an amount
AMOUNT = "cast(coalesce(line_total_value, round(quantity_value * unit_price_value, 4)) as decimal(28, 4))"
# what the reason of a line in another currency than the shop's begins with, behind the column's name
CURRENCY, OTHER_CURRENCY = "currency", "not that of the shop, "
STAGED_LINES = Path(__file__).with_name("staged_lines.sql")
# the texts by which lines belong together: they stay apart for two customers, all others keep their shape
KEYS = ("invoice_no", "stock_code")


def stage_nothing(connection: duckdb.DuckDBPyConnection, kind: Kind) -> None:
    """Define the view `staged_<table>` of a kind without lines."""
    connection.execute(
        f"""
        create or replace temp view staged_{kind.table} as
        select
            *, cast(null as varchar) as reason, cast(null as varchar) as raw_text,
            cast(null as varchar) as place
        from raw.{kind.table} limit 0
        """
    )


def read_staged(connection: duckdb.DuckDBPyConnection, kind: Kind, staged: Path) -> None:
    """Define the view `staged_<table>` over a file: a table would stay in memory until the commit."""
    file = literal(exact(staged))
    connection.execute(
        f"create or replace temp view staged_{kind.table} as from read_parquet({file}, {NO_PARTITIONS})"
    )


def cast_lines(
    reader: duckdb.DuckDBPyConnection,
    files: Sequence[File],
    shop: Shop,
    source: Source,
    key: bytes,
    staged: Path,
) -> None:
    """Write the lines of `text_lines` typed, with `reason` where one cannot be used, and drop `text_lines`.

    Args:
        reader: the connection that has `text_lines`.
        files: the files that these lines come from.
        shop: for its name and time zone.
        source: how the lines are mapped.
        key: makes pseudonyms of customers.
        staged: the Parquet file to write.
    """
    kind = source.of
    values = {
        name: cast(name, source.columns[name], source.case_of(name), kind.rounded.get(name))
        if name in source.columns
        else f"cast(null as {kind.value_type(name)})"
        for name in kind.casts
        if name != CUSTOMER
    }
    times = {name: source.columns[name] for name in kind.times if name in source.columns}
    texts = read_texts(reader, source)
    frames = {
        **texts,
        "customers": read_customers(reader, source, shop.customer_ids, key),
        "file_days": _file_days(files),
    }
    for name, frame in frames.items():
        reader.register(name, frame)
    define_masks(reader)
    has_numbers = _may_lack_customer(source)
    lines = rendered(
        STAGED_LINES,
        texts_and_values=[
            *((_value_name(name, source), value) for name, value in values.items()),
            *((f"{name}_utc_value", "cast(null as timestamp)") for name in kind.times if name not in times),
            *((f"{name}_written", text) for name in kind.casts if (text := written(name, source))),
        ],
        joined_texts=joined_texts(texts),
        of_customer=", ".join(f"{name} := {name}" for name in OF_CUSTOMER),
        number=values["invoice_no"] if has_numbers else None,
        joined_numbers=joined_texts(
            {name: frame for name, frame in texts.items() if name == "invoice_no_forms"}
        ),
        times=[
            (name, instant(name, column, shop), clock(name, column, shop)) for name, column in times.items()
        ],
        sort=kind.sort,
        sort_value=_sort_of_line(source),
        unreadable=unreadable_reason(source),
        faults=_faults(source, shop),
        event_day=_event_day(source),
        source=literal(shop.source),
        place="file_name || ':' || line_number" if source.files.is_of_a_day else "place",
        texts_and_masks=[(name, _instead(name, "owner")) for name in _texts(source)],
        stored=[(name, _stored(name, source, has_numbers)) for name in kind.kept],
        record=" || ',' || ".join(f"as_field({name})" for name in source.columns),
        readable=" || ',' || ".join(
            "coalesce(pseudonym, '')"
            if name == CUSTOMER
            else f"without_customer({name}, owner, {'other_owner' if has_numbers else 'owner'})"
            for name in source.columns
        ),
    )
    reader.execute(f"copy ({lines}) to {literal(staged)} (format parquet)")
    _notice_nobody(reader, files)
    for name in frames:
        reader.unregister(name)
    reader.execute("drop table text_lines")


def _notice_nobody(reader: duckdb.DuckDBPyConnection, files: Sequence[File]) -> None:
    """Note at each file which words of nobody it has, on how many lines."""
    by_name = {file.name: file for file in files}
    rows = reader.execute(
        """
        select text_lines.file_name, customers.nobody, count(*), min(text_lines.line_number)
        from text_lines join customers on text_lines.customer_id = customers.text
        where customers.nobody is not null and text_lines.fault is null
        group by all order by all
        """
    ).fetchall()
    for name, word, lines, first in rows:
        said = f"a customer_id of '{word}' stands for nobody (nobody of the mapping): no customer's lines"
        notice = Notice(by_name[name].day, name, NOBODY, lines, f"{name}:{first}", said)
        # a file is read for a neighbour day too
        if notice not in by_name[name].notices:
            by_name[name].notices.append(notice)


def _value_name(name: str, source: Source) -> str:
    """What the value of a column is called at first: of a time it is the one that is written."""
    return f"{name}_read" if name in source.of.times and name in source.columns else f"{name}_value"


def _written(name: str, source: Source) -> str:
    """The column of the staged lines at which patterns of the mapping look."""
    return f"{name}_value" if written(name, source) is None else f"{name}_written"


def _may_lack_customer(source: Source) -> bool:
    """Whether lines may lack the customer whom others of their invoice name."""
    return source.of is ORDERS and source.columns[CUSTOMER].optional


def _texts(source: Source) -> list[str]:
    """The mapped columns that are texts and may hold a customer's id."""
    return [name for name in source.columns if name != CUSTOMER and source.of.casts[name] == TEXT]


def _instead(name: str, customer: str) -> str:
    """SQL for what stands in a text instead of a customer's id."""
    return f"{customer}.pseudonym" if name in KEYS else f"masked({customer}.customer)"


def _stored(name: str, source: Source, has_numbers: bool) -> str:
    """SQL for a column of the kind's table; `has_numbers` is whether lines have an `other_owner`."""
    if name == source.of.sort:
        return name
    if name == CUSTOMER:
        return "pseudonym"
    if name == "is_product":
        assert isinstance(source, Orders)
        pattern = literal(source.no_products_pattern())
        # money off: of a sale with units, below zero
        is_discount = "quantity_value >= 0 and coalesce(line_total_value, unit_price_value) < 0"
        is_discount = f"invoice_kind = 'sale' and {is_discount}"
        is_fee = f"regexp_matches({_written('stock_code', source)}, {pattern})"
        return f"not coalesce({is_fee} or ({is_discount}), false)"
    if name == "amount" and isinstance(source, Orders):
        return AMOUNT
    if name == "tells_payment":
        return literal("paid_day" in source.columns or "paid_amount" in source.columns)
    if name == "is_one_payment":
        return literal(isinstance(source, Payments) and source.amounts == "each")
    if name in _texts(source):
        other = _instead(name, "other_owner")
        return f"hidden({name}_masked, other_owner, {other})" if has_numbers else f"{name}_masked"
    return f"{name}_value"


def _faults(source: Source, shop: Shop) -> list[tuple[str, str]]:
    """The reasons to set aside a line that can be read: pairs of a condition and a reason, as SQL."""
    kind = source.of
    faults = [(condition, literal(reason)) for condition, reason in kind.faults]
    if CURRENCY in source.columns:
        faults.insert(0, _other_currency(source, shop))
    if kind.happened not in source.columns:
        return faults
    day = _own_day(source)
    reason = f"'{kind.happened}: a row of ' || {day} || ' in the file of ' || event_day"
    if source.takes_in:
        is_near = f"abs(date_diff('day', event_day, {day})) = 1"
        reason += f" || case when {is_near} then '{WAITS}' else '' end"
    return [(f"{day} <> event_day", reason), *faults]


def _other_currency(source: Source, shop: Shop) -> tuple[str, str]:
    """The fault of a line in another currency than the shop's; one without any has that of its invoice, and
    of several the shop's."""
    code, own = f"upper({CURRENCY}_value)", literal(shop.currency)
    if source.of is ORDERS and source.columns[CURRENCY].optional:
        # what is set aside as of another day is of another invoice
        lines = f"filter (not is_unreadable and {_own_day(source)} = event_day)"
        customer = "pseudonym"
        if _may_lack_customer(source) and shop.invoices.missing_customer == "carry_over":
            is_only_one = "owner.pseudonym = other_owner.pseudonym"
            customer = f"coalesce(pseudonym, case when {is_only_one} then owner.pseudonym end)"
        invoice = f"{lines} over (partition by event_day, invoice_no_value, {customer})"
        named = f"case when bool_or({code} = {own}) {invoice} then {own} else min({code}) {invoice} end"
        code = f"coalesce({code}, {named})"
    # what is no code of a currency may be anything, also a person's name
    shown = f"case when regexp_full_match({code}, '[A-Z]{{3}}') then {code} else 'no code like GBP' end"
    said = literal(f"{CURRENCY}: {OTHER_CURRENCY}{shop.currency}: ")
    return f"{code} <> {own}", f"{said} || {shown}"


def _event_day(source: Source) -> str:
    """SQL for the day on which a line counts: that of its file, or the one beside it that takes it in."""
    if not source.takes_in:
        return "cast(file_days.day as date)"
    day = _own_day(source)
    beside = "cast(day_before as date), cast(day_after as date)"
    return f"case when {day} in ({beside}) then {day} else cast(file_days.day as date) end"


def _own_day(source: Source) -> str:
    """SQL for the day on which a line happened."""
    return f"cast({source.of.happened}_value as date)"


def _file_days(files: Sequence[File]) -> pd.DataFrame:
    """One row per file: file_name, file_hash, its day, and the days before and after that take lines in."""
    return pd.DataFrame(
        [
            (
                file.name,
                file.hash,
                file.day.isoformat(),
                *(day.isoformat() if day in file.neighbours else None for day in days_beside(file.day)),
            )
            for file in files
        ],
        columns=["file_name", "file_hash", "day", "day_before", "day_after"],
        dtype=object,
    )


def _sort_of_line(source: Source) -> str:
    """SQL for the sort of a line: that of the first rule that matches, else the usual one."""
    branches = [
        f"when regexp_matches(cast({_written(rule.column, source)} as varchar), {literal(rule.matches)}) "
        f"then '{sort}'"
        for sort in source.of.others
        if (rule := source.kinds.get(sort)) is not None
    ]
    usual = f"'{source.of.usual}'"
    return "case " + " ".join(branches) + f" else {usual} end" if branches else usual
