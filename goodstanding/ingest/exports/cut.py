"""Reads all exports of a source and cuts the lines that count into event days (see the package)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd

from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import Settings
from goodstanding.core.sql import identifier, literal, rendered
from goodstanding.core.zones import FIRST, LAST
from goodstanding.ingest.casts import cast, clock, instant
from goodstanding.ingest.exports.inputs import read_inputs, required
from goodstanding.ingest.exports.orders import carry_cells, count_money, left_out, with_money
from goodstanding.ingest.exports.winners import Span, winners
from goodstanding.ingest.read import File, inspect
from goodstanding.shops.kinds import ORDERS
from goodstanding.shops.mapping import CUSTOMER, INVOICE, Shop, Source
from goodstanding.warehouse.notices import Notice

PLACED_LINES, JUDGED_LINES, FIRST_SEEN, STANDING_LINES, WITHDRAWALS = (
    Path(__file__).with_name(f"{name}.sql")
    for name in ("placed_lines", "judged_lines", "first_seen", "standing_lines", "withdrawals")
)
# fewer are withdrawn without a question, as a shop deletes the orders by which it tried something out
SOME_WITHDRAWN = 10
# the steps' own tables, besides `text_lines`
TABLES = ("placed_lines", "judged_lines", "cut_lines", "told_lines")
MESSAGES = {
    "restated": "lines that a later export states otherwise: the later one counts",
    "no_order": "lines of orders that are none by their status (no_orders of the mapping): left out",
    "other_currency": "lines in another currency than the shop's (other_currencies of the mapping): left out",
    "nobodys_return": "returns of orders without a customer: left out",
    "undated": "returns without a day: each counts on the last day of the export that first has its amount",
    "withdrawn": "lines that a later export of their time does not have: withdrawn",
}
# what is told of lines of earlier exports
EARLIER = ("restated", "withdrawn")
SAME_BYTES = "an export with the same bytes as a later one: not read"


@dataclass(frozen=True)
class Export:
    """An export that was read: how many invoice numbers it has, how many orders are off their own
    total, and the event days that it covers (None where it has no line)."""

    file: File
    orders: int = 0
    orders_off: int = 0
    days: Days | None = None


@dataclass(frozen=True)
class Cut:
    """The lines of a source's exports, by event day.

    Attributes:
        path: the Parquet file with the columns of `text_lines`, event_day and place (export and line).
        source: how these lines are read; what is done with money of whole orders gives each its amount.
        files: what of it is of each day that an export covers, as if it were the file of that day.
        exports: the files of the landing.
        name: by which the lines of a day are held, with the day behind it.
        first, last: the instants (UTC) from and to which the exports cover; None where they have no line.
    """

    path: Path
    source: Source
    files: Mapping[date, File]
    exports: Sequence[Export]
    name: str
    first: datetime | None
    last: datetime | None

    def load_text(self, connection: duckdb.DuckDBPyConnection, files: Sequence[File]) -> None:
        """Fill `text_lines` (see `read.load_text`) with the lines of some of the days, and their `place`."""
        connection.register("days_to_load", pd.DataFrame({"day": [file.day.isoformat() for file in files]}))
        connection.execute(
            f"""
            create or replace temp table text_lines as
            select * exclude (event_day, content) from read_parquet({literal(self.path)})
            where event_day in (select cast(day as date) from days_to_load)
            """
        )
        connection.unregister("days_to_load")


def cut_exports(
    connection: duckdb.DuckDBPyConnection, settings: Settings, shop: Shop, source: Source, path: Path
) -> Cut:
    """Cut the exports of a source into days.

    Args:
        connection: has no `text_lines` that are needed, and UTC as its time zone.
        settings: where the landing is, and how large a file may be.
        shop: for its time zone.
        source: which exports there are, and how they are mapped.
        path: the Parquet file to write.

    Raises:
        DataProblem: an export cannot be read, or no line of it says its time; names it.
    """
    files, spans = _placed(connection, settings, shop, source)
    read_as = with_money(source)
    frames = {
        "winners": pd.DataFrame(winners(spans), columns=["since", "file_name"]),
        "ranks": pd.DataFrame(
            [(span.file_name, place) for place, span in enumerate(spans)], columns=["file_name", "place"]
        ),
    }
    for name, frame in frames.items():
        connection.register(name, frame)
    happened = source.columns[source.of.happened]
    # of an order whose customer is written otherwise in another export, an undated return is the same
    named_by = (INVOICE,) if happened.first_seen else (CUSTOMER, INVOICE)
    parts = [name for name in named_by if name in source.columns]
    for step in (JUDGED_LINES, *([FIRST_SEEN] if happened.first_seen else []), STANDING_LINES):
        script = rendered(
            step,
            columns=list(read_as.columns),
            texts=", ".join([*read_as.columns, "fault", "order_fault", "record"]),
            exports=literal(_name(source)),
            key=INVOICE
            if source.of is ORDERS
            else f"cast(to_json([{', '.join(parts)}, cast(instant as varchar)]) as varchar)",
            happened=source.of.happened,
            amount=cast("amount", source.columns["amount"]) if happened.first_seen else "null",
            # a time in UTC, with its offset
            time_format=literal((happened.format or "%Y-%m-%d %H:%M:%S%z").replace("%z", "+00:00")),
        )
        connection.execute(script)
    for name in frames:
        connection.unregister(name)
    _require_few_withdrawn(connection, shop)
    _require_all_lines(connection, files)
    order = "order by event_day, line_number"
    connection.execute(f"copy (from cut_lines {order}) to {literal(path)} (format parquet)")
    cut = Cut(
        path=path,
        source=read_as,
        files=_files_of_days(connection, read_as, path, files),
        exports=_exports(connection, source, files),
        name=_name(source),
        first=min((span.first for span in spans), default=None),
        last=max((span.last for span in spans), default=None),
    )
    for table in ("text_lines", *TABLES):
        connection.execute(f"drop table {table}")
    return cut


def covered_days(
    connection: duckdb.DuckDBPyConnection, settings: Settings, shop: Shop, source: Source
) -> set[date]:
    """Every day that an export covers; arguments and errors are those of `cut_exports`."""
    _placed(connection, settings, shop, source)
    return _covered(connection)


def _placed(
    connection: duckdb.DuckDBPyConnection, settings: Settings, shop: Shop, source: Source
) -> tuple[list[File], list[Span]]:
    """Fill `placed_lines`; the exports that were read, and what each with lines covers, the last one last."""
    landing = settings.landing_folder
    by_hash: dict[str, File] = {}
    for path in source.exports_in(landing):
        file = inspect(path, landing, date.max, required(source), settings.max_file_mb)
        earlier = by_hash.pop(file.hash, None)
        # the place of the later name is what counts, as another export may stand between the two
        by_hash[file.hash] = file
        if earlier:
            notice = Notice(date.max, earlier.name, "same_bytes", earlier.records, earlier.name, SAME_BYTES)
            file.notices += [*earlier.notices, notice]
    files = list(by_hash.values())
    read_inputs(connection, files, source)
    carry_cells(connection, shop, source)
    count_money(connection, shop, source)
    name, column = source.of.happened, source.columns[source.of.happened]
    connection.execute(
        rendered(
            PLACED_LINES,
            columns=list(with_money(source).columns),
            happened=name,
            written=cast(name, column),
            instant=instant(name, column, shop),
            clock=clock(name, column, shop),
            left_out=left_out(shop, source),
            nothing=_nothing(source),
            # what the book of time zones knows
            first=f"timestamp {literal(str(FIRST))}",
            first_year=FIRST.year,
            last=f"timestamp {literal(str(LAST))}",
            last_year=LAST.year - 1,
        )
    )
    rows = connection.execute(
        "select file_name, min(instant), max(instant) from placed_lines group by file_name"
    ).fetchall()
    of_file = {file_name: Span(file_name, first, last) for file_name, first, last in rows}
    for file in files:
        if file.name in of_file and of_file[file.name].first is None:
            raise DataProblem(
                f"{file.name} has {file.records:,} lines, and none of them says when it happened; mend the "
                f"file, or {source.prefix}columns.{name} in {source.mapping_file}"
            )
    return files, [of_file[file.name] for file in files if file.name in of_file]


def _nothing(source: Source) -> str:
    """SQL for whether a line of `text_lines` tells of nothing: a return of no amount, in a file of orders."""
    if not source.columns[source.of.happened].first_seen:
        return "false"
    amount = cast("amount", source.columns["amount"])
    return f"fault is null and coalesce({amount} = 0, coalesce(trim(amount), '') = '')"


def _name(source: Source) -> str:
    """What the days of a source's exports are named by; several kinds may be in one export."""
    return source.files.path if source.of is ORDERS else f"{source.files.path} ({source.name})"


def _covered(connection: duckdb.DuckDBPyConnection) -> set[date]:
    spans = connection.execute(
        "select min(event_day), max(event_day) from placed_lines group by file_name"
    ).fetchall()
    return {first + timedelta(days=n) for first, last in spans for n in range((last - first).days + 1)}


def _require_few_withdrawn(connection: duckdb.DuckDBPyConnection, shop: Shop) -> None:
    """Refuse an export that lacks much of what earlier ones have of its time.

    A line with a wrong date, or an export of some orders alone, would withdraw a shop's history.

    Raises:
        DataProblem: names the export, and what to do.
    """
    share = shop.limits.withdrawn_share
    for name, statements, withdrawn, example in connection.execute(WITHDRAWALS.read_text()).fetchall():
        if withdrawn >= SOME_WITHDRAWN and withdrawn > share * statements:
            raise DataProblem(
                f"{name} covers the time of {statements:,} orders or statements of earlier exports and lacks "
                f"{withdrawn:,} of them, like {example}: more than {share:.0%} (limits.withdrawn_share). If "
                "it holds some orders alone, or a line of it has a wrong date, take it away or mend it; if "
                f"the shop did delete them, raise limits.withdrawn_share in {shop.mapping_file}"
            )


def _require_all_lines(connection: duckdb.DuckDBPyConnection, files: Sequence[File]) -> None:
    """Check export by export: lines counted in it = lines that were judged.

    Raises:
        DataProblem: they differ. This is a fault of goodstanding, not of the file.
    """
    judged = dict(
        connection.execute(
            "select file_name, count(*) filter (where part = 0) from judged_lines group by file_name"
        ).fetchall()
    )
    for file in files:
        if judged.get(file.name, 0) != file.records:
            raise DataProblem(
                f"{file.name} has {file.records} lines, but {judged.get(file.name, 0)} were cut into days; "
                "nothing was changed. Please report this file's shape as a fault of goodstanding"
            )


def _exports(connection: duckdb.DuckDBPyConnection, source: Source, files: Sequence[File]) -> list[Export]:
    """What each export holds; `judged_lines` has their lines."""
    invoice = INVOICE if INVOICE in source.columns else "null"
    rows = connection.execute(
        f"""
        select
            judged_lines.file_name,
            count(distinct {invoice}),
            count(distinct {invoice}) filter (
                where counts and left_out_as is null and order_fault is not null
            ),
            any_value(first_day),
            any_value(last_day)
        from judged_lines
        join (
            select file_name, min(event_day) as first_day, max(event_day) as last_day
            from placed_lines group by file_name
        ) as covered using (file_name)
        group by judged_lines.file_name
        """
    ).fetchall()
    held = {name: (orders, off, Days(first, last)) for name, orders, off, first, last in rows}
    return [Export(file, *held.get(file.name, ())) for file in files]


def _files_of_days(
    connection: duckdb.DuckDBPyConnection, source: Source, path: Path, exports: Sequence[File]
) -> dict[date, File]:
    """A file of each covered day; its hash is of what it says and of what is noticed about it.

    So an example is a place that no further export moves: what counts lies in the newest one, and is named by
    its day.
    """
    days = sorted(_covered(connection))
    names = {day: f"{_name(source)}/{day}" for day in days}
    notices = {day: list[Notice]() for day in days}
    told = connection.execute("select event_day, topic, lines, example from told_lines").fetchall()
    for day, topic, lines, place in told:
        example = place if topic in EARLIER else names[day]
        notices[day].append(Notice(day, names[day], topic, lines, example, MESSAGES[topic]))
    if source.columns[source.of.happened].first_seen:
        undated = "select event_day, count(*) from cut_lines group by event_day"
        for day, lines in connection.execute(undated).fetchall():
            notices[day].append(Notice(day, names[day], "undated", lines, names[day], MESSAGES["undated"]))
    for export in exports:
        for one in export.notices if days else ():
            notices[days[-1]].append(
                Notice(days[-1], names[days[-1]], one.topic, one.lines, one.example, one.message)
            )
    length = " + ".join(f"coalesce(strlen({identifier(name)}), 0)" for name in (*source.columns, "record"))
    contents = {
        day: (lines, length, content)
        for day, lines, length, content in connection.execute(
            f"""
            select event_day, count(*), sum({length}), sha256(string_agg(content, '' order by line_number))
            from cut_lines group by event_day
            """
        ).fetchall()
    }
    files = {}
    for day in days:
        lines, length_of_day, content = contents.get(day, (0, 0, ""))
        said = f"{content}{[(one.topic, one.lines, one.example, one.message) for one in notices[day]]}"
        files[day] = File(
            path=path,
            name=names[day],
            day=day,
            hash=hashlib.sha256(said.encode()).hexdigest(),
            bytes=int(length_of_day),
            header=(),
            records=lines,
            plain=True,
            kind=source.name,
            notices=notices[day],
        )
    return files
