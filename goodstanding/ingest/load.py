"""Taking days in: the files of a range of days replace the partitions of those days in one transaction.

All kinds of sources (`goodstanding.shops.kinds`) go the same way, each into tables of its own; what is said
here of order lines holds for payments, returns and deliveries too.

A long range is taken in part by part, so that memory depends on the size of a part and not of the range.

What reaches `raw` is typed, has pseudonyms instead of customers, and is complete: every line of a file is
either in `raw.order_lines` or, with its reason, in `raw.rejected_order_lines`; the sums are checked before
the commit. What changed against the partition that stood there before goes to `raw.changes`, which tells the
transform whose figures to compute anew: nothing, when the same file comes again. What was there before stays:
the lines of a file that is replaced or withdrawn go to `raw.superseded_order_lines`, those set aside to
`raw.superseded_rejected_order_lines`, with the time for which they were known.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

import duckdb
import pandas as pd

from goodstanding.core.days import Days, require_over
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import now_utc
from goodstanding.identity.pseudonyms import pseudonym, pseudonym_key
from goodstanding.ingest.read import File, inspect, load_text
from goodstanding.ingest.stage import cast_lines, read_staged, stage_nothing
from goodstanding.shops.kinds import KINDS, OPTIONAL_KINDS, REJECTED, Kind
from goodstanding.shops.mapping import Shop, Source, load_shop
from goodstanding.warehouse.files import open_intake, spill_folder

log = logging.getLogger(__name__)

SIMULATED_MARKER = "SIMULATED"
# the longest closure that a shop's calendar is likely to hold
LONGEST_PAUSE_DAYS = 31
# Lines taken in at a time, unless a single day has more: the real year is one part. Taken in at once, 10.8
# million lines spilled 3.1 GB beside 2 GB of memory; in parts 0.8 GB.
PART_LINES = 600_000
REJECTED_COLUMNS = ", ".join(REJECTED)


def ingest(settings: Settings, days: Days, run_id: str) -> dict[str, int]:
    """Replace the partitions of `days` by what their files in the landing hold now.

    Returns:
        Counts: files, lines, accepted, rejected, changed_customers.

    Raises:
        WrongUse: the landing or the mapping cannot be used, or this home belongs to another shop or key.
        DataProblem: a trading day has no file, or a file cannot be read at all; nothing has changed.
        DayNotOver: the last day is not over in the shop's time zone.
    """
    shop = load_shop(settings)
    require_over(days, shop.timezone)
    files = _inspected(settings, shop, days)
    simulated = (settings.landing_folder / SIMULATED_MARKER).exists()
    key = pseudonym_key(settings)
    now = now_utc()
    # Reading has a connection of its own: a file that DuckDB refuses and Python then reads would abort the
    # transaction, which also keeps every frame that was registered in it until its end.
    with open_intake(settings) as connection, connection.cursor() as reader:
        for each in (connection, reader):
            each.execute("set timezone = 'UTC'")
        connection.execute("begin")  # whatever fails from here on, closing the connection rolls back
        _claim_home(connection, shop, simulated, key)
        kinds = _kinds(connection, shop)
        for number, (part, its_files) in enumerate(_parts(files, days)):
            for kind in kinds:
                readable = [file for file in its_files if file.kind == kind.name and file.note is None]
                source = next((source for source in shop.sources if source.of is kind), None)
                if source is None or not readable:
                    stage_nothing(connection, kind)
                    continue
                # a name for each: what DuckDB has read of a file it may keep by the name
                staged = spill_folder(settings) / f"staged-{number}-{kind.table}.parquet"
                load_text(reader, readable, source)
                cast_lines(reader, readable, shop, source, key, staged)
                read_staged(connection, kind, staged)
            _replace(connection, its_files, shop, kinds, part, simulated, now, run_id)
            for staged in spill_folder(settings).glob(f"staged-{number}-*.parquet"):
                staged.unlink()
        counts = _counts(connection, shop, kinds, days)
        connection.execute("commit")
    return counts


def _kinds(connection: duckdb.DuckDBPyConnection, shop: Shop) -> list[Kind]:
    """The kinds that the shop maps, and those that it mapped before: their lines leave with their day."""
    held = connection.execute(
        "select " + ", ".join(f"exists (from raw.{kind.table})" for kind in OPTIONAL_KINDS)
    ).fetchone()
    assert held is not None
    return [
        kind
        for kind, is_held in zip(KINDS, (True, *held), strict=True)
        if is_held or any(source.of is kind for source in shop.sources)
    ]


def _parts(files: Sequence[File], days: Days) -> Iterator[tuple[Days, list[File]]]:
    """Split a range and its files, which come in the order of days, so that a part has PART_LINES at most."""
    first, part, lines = days.first, list[File](), 0
    for day, files_of_day in groupby(files, key=lambda file: file.day):
        its_files = list(files_of_day)
        its_lines = sum(file.records for file in its_files if file.note is None)
        if part and lines + its_lines > PART_LINES:
            yield Days(first, day - timedelta(days=1)), part
            first, part, lines = day, [], 0
        part += its_files
        lines += its_lines
    yield Days(first, days.last), part


def _inspected(settings: Settings, shop: Shop, days: Days) -> list[File]:
    landing = settings.landing_folder
    if not landing.is_dir():
        raise WrongUse(
            f"there is no landing {landing}; set GOODSTANDING_LANDING to the folder of the day files"
        )
    missing, files = [], []
    for day in days:
        found = [(source, source.files_of(landing, day)) for source in shop.sources]
        _require_one_kind(found)
        for source, paths in found:
            if source is shop.orders and not paths and shop.trades_on(day):
                missing.append(day)
            by_hash: dict[str, File] = {}
            for path in paths:
                file = inspect(path, landing, day, source)
                first = by_hash.setdefault(file.hash, file)
                if first is not file:
                    file.note = f"the same content as {first.name}: not read"
                    log.warning("%s has the same content as %s and is not read", file.name, first.name)
                files.append(file)
    if missing:
        if not any(landing.iterdir()):
            raise DataProblem(
                f"the landing {landing} is empty; put the shop's daily files there and run the day again "
                "(with docker compose it is the folder that `make compose-env` names)"
            )
        named = ", ".join(str(day) for day in missing[:5]) + (" ..." if len(missing) > 5 else "")
        assert shop.orders is not None
        expected = landing / shop.orders.files.path.format(day=missing[0])
        raise DataProblem(
            f"no file for {len(missing)} trading day(s): {named}; expected {expected}. "
            f"Put the files there, or list the days under 'closed' in {shop.mapping_file}"
        )
    if not files or files[-1].day < days.last:
        _require_live_export(shop, settings, days)
    return files


def _require_one_kind(found: Sequence[tuple[Source, list[Path]]]) -> None:
    """A file is of one kind: kept twice, its lines would be in no account.

    Raises:
        WrongUse: the path patterns of two kinds both match a file.
    """
    taken: dict[Path, Source] = {}
    for source, paths in found:
        for path in paths:
            first = taken.setdefault(path, source)
            if first is not source:
                raise WrongUse(
                    f"{source.mapping_file}: {first.prefix}files.path and {source.prefix}files.path both "
                    f"match {path.name}; put each kind in a folder of its own, or name the files apart"
                )


def _require_live_export(shop: Shop, settings: Settings, days: Days) -> None:
    """Tell a day on which nobody bought from a landing that nobody fills any more.

    Without this, the first scheduled run over a historical landing would move the newest day to yesterday.

    Raises:
        DataProblem: the range ends long after the newest file.
    """
    found = shop.days_in(settings.landing_folder)
    if found is not None and (days.last - found.last).days > LONGEST_PAUSE_DAYS:
        raise DataProblem(
            f"the newest file in {settings.landing_folder} is of {found.last}, more than "
            f"{LONGEST_PAUSE_DAYS} days before {days.last}: is the shop's export still running? "
            "A day so far from all data is not taken in"
        )


def _claim_home(connection: duckdb.DuckDBPyConnection, shop: Shop, simulated: bool, key: bytes) -> None:
    """One home holds one shop, real or simulated, under one key: a mixture would be a lie in every figure."""
    mine = {
        "shop": f"{shop.source}{' (simulated)' if simulated else ''}",
        "pseudonym_key": pseudonym("", key),  # no customer's: tells keys apart and says nothing about them
    }
    connection.executemany("insert or ignore into ops.facts values (?, ?)", list(mine.items()))
    held = dict(connection.execute("select name, value from ops.facts").fetchall())
    if held["shop"] != mine["shop"]:
        raise WrongUse(
            f"this home holds the shop {held['shop']}, the landing is of {mine['shop']}; "
            "set GOODSTANDING_HOME to a folder of its own for it"
        )
    if held["pseudonym_key"] != mine["pseudonym_key"]:
        raise WrongUse(
            "this home's pseudonyms were made with another key: restore GOODSTANDING_PSEUDONYM_KEY or the "
            "home's pseudonym.key, or set GOODSTANDING_HOME to a new folder and take everything in again"
        )


def _replace(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[File],
    shop: Shop,
    kinds: Sequence[Kind],
    days: Days,
    simulated: bool,
    now: datetime,
    run_id: str,
) -> None:
    """Inside a transaction: swap the partitions, note what changed, and check that no line is lost."""
    scope = [shop.source, days.first, days.last]
    where = "source = ? and event_day between ? and ?"
    _stage_days(connection, files, shop, kinds, days, simulated, now, run_id)
    _note_changes(connection, kinds, scope)
    _keep_versions(connection, kinds, scope, now, run_id)
    for table in (*(f"{rejected}{kind.table}" for kind in kinds for rejected in ("", "rejected_")), "files"):
        connection.execute(f"delete from raw.{table} where {where}", scope)
    for kind in kinds:
        # in the order of the file: rows of a day lie together, and ties are the same in every rebuild
        connection.execute(
            f"""
            insert into raw.{kind.table} ({kind.columns})
            select {kind.columns} from staged_{kind.table}
            where reason is null order by event_day, file_name, line_number
            """
        )
        connection.execute(
            f"""
            insert into raw.rejected_{kind.table}
            select {REJECTED_COLUMNS}
            from staged_{kind.table} where reason is not null
            union all
            select * exclude (kind) from staged_unreadable where kind = '{kind.name}'
            order by event_day, file_name, line_number
            """
        )
    connection.execute("insert into raw.files select * from staged_files order by event_day, file_name")
    connection.execute(
        """
        insert into raw.days by name (select * from staged_days order by event_day)
        on conflict do update set
            version = excluded.version, files = excluded.files, lines = excluded.lines,
            accepted = excluded.accepted, rejected = excluded.rejected, simulated = excluded.simulated,
            loaded_at = excluded.loaded_at, run_id = excluded.run_id,
            admitted = raw.days.admitted and raw.days.version = excluded.version
        """
    )
    _check_nothing_lost(connection, scope)


def _counts(
    connection: duckdb.DuckDBPyConnection, shop: Shop, kinds: Sequence[Kind], days: Days
) -> dict[str, int]:
    lines = _of_all(
        kinds,
        """
        select event_day, customer_id from raw.{table}
        semi join (from raw.days where transformed_version is null) using (source, event_day)
        """,
    )
    row = connection.execute(
        f"""
        select
            coalesce(sum(files), 0), coalesce(sum(lines), 0), coalesce(sum(accepted), 0),
            coalesce(sum(rejected), 0),
            (
                select count(distinct customer_id)
                from (
                    select event_day, customer_id from raw.changes
                    union all
                    {lines}
                )
                where event_day between ? and ?
            )
        from raw.days where source = ? and event_day between ? and ?
        """,
        [days.first, days.last, shop.source, days.first, days.last],
    ).fetchone()
    assert row is not None
    names = ("files", "lines", "accepted", "rejected", "changed_customers")
    return {name: int(value) for name, value in zip(names, row, strict=True)}


def _of_all(kinds: Sequence[Kind], query: str) -> str:
    """The same query over the tables of several kinds, one below the other.

    `{table}` and `{name}` are those of a kind, `{content}` is what lines in any order say: something else too
    where the same bytes are read otherwise, by a changed mapping.
    """
    return " union all ".join(
        query.format(
            table=kind.table,
            name=kind.name,
            content=f"count(*) || '-' || bit_xor(hash({kind.content}))",
        )
        for kind in kinds
    )


def _stage_days(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[File],
    shop: Shop,
    kinds: Sequence[Kind],
    days: Days,
    simulated: bool,
    now: datetime,
    run_id: str,
) -> None:
    """Temporary tables for what the set-aside lines, `raw.files` and `raw.days` will hold."""
    unreadable = pd.DataFrame(
        [
            (shop.source, file.day.isoformat(), file.name, file.hash, *set_aside, file.kind)
            for file in files
            for set_aside in file.unreadable
        ],
        columns=[*REJECTED_COLUMNS.split(", "), "kind"],
        dtype=object,
    )
    connection.register("unreadable_lines", unreadable)
    connection.execute(
        "create or replace temp table staged_unreadable as"
        " select *, cast(null as varchar) as kind from raw.rejected_order_lines limit 0"
    )
    connection.execute("insert into staged_unreadable select * from unreadable_lines")
    connection.unregister("unreadable_lines")
    found = pd.DataFrame(
        [(f.day, f.name, f.hash, f.bytes, f.records if f.note is None else 0, f.note) for f in files],
        columns=["event_day", "file_name", "file_hash", "bytes", "lines", "note"],
        dtype=object,
    )
    found["event_day"] = found["event_day"].astype(str)
    connection.register("found_files", found)
    lines = _of_all(kinds, "select file_name, reason from staged_{table}")
    connection.execute(
        f"""
        create or replace temp table staged_files as
        with
        lines as (
            {lines}
        ),
        accepted as (
            select file_name, count(*) as n from lines where reason is null group by file_name
        ),
        rejected as (
            select file_name, count(*) as n
            from (
                select file_name from lines where reason is not null
                union all
                select file_name from staged_unreadable
            )
            group by file_name
        )
        select
            ? as source, cast(event_day as date) as event_day, found_files.file_name,
            cast(file_hash as varchar) as file_hash, cast(bytes as bigint) as bytes,
            cast(lines as bigint) as lines, coalesce(accepted.n, 0) as accepted,
            coalesce(rejected.n, 0) as rejected, cast(note as varchar) as note, ? as loaded_at, ? as run_id
        from found_files
        left join accepted using (file_name)
        left join rejected using (file_name)
        """,
        [shop.source, now, run_id],
    )
    connection.unregister("found_files")
    # that of orders alone is what it was before there were other kinds: a known day is not another for it
    contents = _of_all(
        kinds,
        """
        select '{name}' as kind, event_day, {content} as content
        from staged_{table} where reason is null group by event_day
        """,
    )
    connection.execute(
        f"""
        create or replace temp table staged_days as
        with
        all_days as (
            select cast(unnest(generate_series(?::timestamp, ?::timestamp, interval 1 day)) as date)
                as event_day
        ),
        contents as (
            select
                event_day,
                string_agg(if(kind = 'orders', '', kind || ':') || content, ',' order by kind) as content
            from ({contents})
            group by event_day
        ),
        counted as (
            select
                event_day, count(*) as files, sum(lines) as lines, sum(accepted) as accepted,
                sum(rejected) as rejected, string_agg(file_hash, ',' order by file_name) as hashes
            from staged_files group by event_day
        )
        select
            ? as source, event_day, md5(coalesce(content, '') || '/' || coalesce(hashes, '')) as version,
            coalesce(files, 0) as files, coalesce(lines, 0) as lines, coalesce(accepted, 0) as accepted,
            coalesce(rejected, 0) as rejected, ? as simulated, ? as loaded_at, ? as run_id,
            false as admitted
        from all_days
        left join contents using (event_day)
        left join counted using (event_day)
        """,
        [days.first, days.last, shop.source, simulated, now, run_id],
    )


def _note_changes(connection: duckdb.DuckDBPyConnection, kinds: Sequence[Kind], scope: list[object]) -> None:
    """Tell the transform which days are another now and, of those it may hold, whose lines differ.

    The lines of a day that it has never taken up it looks up by itself
    (`goodstanding.warehouse.ledger.note_whole_days`).
    """
    is_known = "event_day in (select event_day from differing_days where is_known)"
    contents = ", ".join(
        f"""
        before_{kind.table} as (
            select {kind.content} from raw.{kind.table} where source = $source and {is_known}
        ),
        after_{kind.table} as (
            select {kind.content} from staged_{kind.table} where reason is null and {is_known}
        ),
        differing_{kind.table} as (
            (from before_{kind.table} except all from after_{kind.table})
            union all
            (from after_{kind.table} except all from before_{kind.table})
        )
        """
        for kind in kinds
    )
    differing = " union all by name ".join(
        f"""
        select distinct {kind.change}
        from differing_{kind.table} where customer_id is not null
        """
        for kind in kinds
    )
    connection.execute(
        f"""
        insert into raw.changes by name
        with
        known_days as (
            select event_day, version from raw.days
            where source = $source and event_day between $first and $last
        ),
        differing_days as (
            select staged_days.event_day, known_days.event_day is not null as is_known
            from staged_days left join known_days using (event_day)
            where known_days.version is distinct from staged_days.version
        ),
        {contents}
        {differing}
        union all by name
        select event_day, 'day' as kind from differing_days
        """,
        dict(zip(("source", "first", "last"), scope, strict=True)),
    )


def _keep_versions(
    connection: duckdb.DuckDBPyConnection,
    kinds: Sequence[Kind],
    scope: list[object],
    now: datetime,
    run_id: str,
) -> None:
    """Before the swap: end the versions of days and files that are no longer so, and begin the new ones.

    The lines of an ended file are kept. What is as it was is not touched: it costs nothing, and stays known
    since it first was.
    """
    of_ended_days = "event_day in (select event_day from ended_days) group by file_name"
    old = _of_all(kinds, f"select file_name, {{content}} as content from raw.{{table}} where {of_ended_days}")
    new = _of_all(
        kinds,
        "select file_name, {content} as content from staged_{table}"
        f" where reason is null and {of_ended_days}",
    )
    connection.execute(
        f"""
        create or replace temp table ended_days as
        select versions.event_day
        from raw.day_versions as versions
        join staged_days using (source, event_day)
        where versions.known_until is null and versions.version <> staged_days.version;

        create or replace temp table ended_files as
        with
        old_contents as (
            {old}
        ),
        new_contents as (
            {new}
        )
        select versions.event_day, versions.file_name, versions.known_from
        from raw.file_versions as versions
        join ended_days using (event_day)
        left join staged_files using (source, event_day, file_name)
        left join old_contents using (file_name)
        left join new_contents using (file_name)
        where
            versions.known_until is null
            and (
                versions.file_hash is distinct from staged_files.file_hash
                or old_contents.content is distinct from new_contents.content
            )
        """
    )
    for table, columns in [
        pair
        for kind in kinds
        for pair in ((kind.table, kind.columns), (f"rejected_{kind.table}", REJECTED_COLUMNS))
    ]:
        connection.execute(
            f"""
            insert into raw.superseded_{table} ({columns}, known_from, known_until)
            select {columns}, known_from, ? from raw.{table}
            join ended_files using (event_day, file_name)
            where source = ? order by event_day, file_name, line_number
            """,
            [now, scope[0]],
        )
    for kind, key in (("day", "event_day"), ("file", "event_day, file_name")):
        connection.execute(
            f"""
            update raw.{kind}_versions set known_until = ?, ended_by_run_id = ?
            where source = ? and known_until is null and ({key}) in (select ({key}) from ended_{kind}s)
            """,
            [now, run_id, scope[0]],
        )
    for kind, key, content in (
        ("day", "event_day", "event_day, version"),
        ("file", "event_day, file_name", "event_day, file_name, file_hash"),
    ):
        connection.execute(
            f"""
            insert into raw.{kind}_versions
            select source, {content}, lines, ?, null, ?, null from staged_{kind}s
            where ({key}) not in (
                select ({key}) from raw.{kind}_versions
                where known_until is null and source = ? and event_day between ? and ?
            )
            order by {key}
            """,
            [now, run_id, *scope],
        )


def _check_nothing_lost(connection: duckdb.DuckDBPyConnection, scope: list[object]) -> None:
    """Lines counted in the files = rows accepted + rows set aside, file by file.

    Raises:
        DataProblem: a file does not add up. This is a fault of goodstanding, not of the file.
    """
    odd = connection.execute(
        """
        select file_name, lines, accepted, rejected from raw.files
        where source = ? and event_day between ? and ? and lines <> accepted + rejected
        order by event_day, file_name limit 1
        """,
        scope,
    ).fetchone()
    if odd:
        raise DataProblem(
            f"{odd[0]} has {odd[1]} lines, but {odd[2]} were accepted and {odd[3]} set aside; nothing was "
            "changed. Please report this file's shape as a fault of goodstanding"
        )
