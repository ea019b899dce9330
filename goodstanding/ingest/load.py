"""Ingest: loads the files of a range of days into `raw`, and replaces what it held of those days, in one
transaction.

All kinds of sources (`goodstanding.shops.kinds`) are loaded alike, each into tables of its own: what is said
here of order lines holds for payments, returns and deliveries too. A long range is loaded part by part, so
that memory depends on the size of a part and not on the range.

Lines in `raw` are typed, have pseudonyms instead of customers, and are complete: every line of a file is
either in `raw.order_lines` or, with its reason, in `raw.rejected_order_lines`; the sums are checked before
the commit. What differs from the previous partition goes to `raw.changes`, which says what the transform has
to recompute: nothing, when the same file comes again. Replaced lines are kept: the lines of a file that is
replaced or withdrawn go to `raw.superseded_order_lines`, those set aside to
`raw.superseded_rejected_order_lines`, with the time for which they were known.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain, groupby
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import NotRequired, TypedDict

import duckdb

from goodstanding.core.days import Days, in_words, require_over
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import now_utc
from goodstanding.identity.pseudonyms import pseudonym, pseudonym_key
from goodstanding.ingest.invoices import make_invoices_whole, tell_equal_lines
from goodstanding.ingest.landed import Landed
from goodstanding.ingest.misread import mark_other_notations, mark_second_headers
from goodstanding.ingest.neighbours import HeldFiles, beside, let_neighbours_take, with_neighbours
from goodstanding.ingest.partitions import Part, differing_days, replace_partitions
from goodstanding.ingest.read import File, load_text
from goodstanding.ingest.reading import Change, change_of, keep_reading
from goodstanding.ingest.stage import cast_lines, read_staged, stage_nothing
from goodstanding.shops.kinds import KINDS, OPTIONAL_KINDS, ORDERS, Kind
from goodstanding.shops.mapping import Shop, load_shop
from goodstanding.warehouse.files import open_intake, spill_folder
from goodstanding.warehouse.ledger import moment_known
from goodstanding.warehouse.notices import stage_notices

log = logging.getLogger(__name__)

SIMULATED_MARKER = "SIMULATED"
# the longest closure that a shop's calendar is likely to hold
LONGEST_PAUSE_DAYS = 31
# Lines loaded at a time, unless a single day has more: the real year is one part. Loaded at once, 10.8
# million lines spilled 3.1 GB beside 2 GB of memory; in parts 0.8 GB.
PART_LINES = 600_000


class IngestCounts(TypedDict):
    """The counts of an ingest over a range of days; a day without a file adds nothing.

    Attributes:
        files: files of these days in the landing.
        lines: lines in them; accepted + rejected.
        accepted: lines that are in the tables of their kinds.
        rejected: lines that were set aside, each with its reason.
        changed_customers: customers with a line in these days that the transform has yet to compute.
        reading: what is to be said where the mapping or the code that reads has changed.
        clock: what is to be said where the clock has gone back since an earlier ingest.
        ahead: how many lines of exports are of days still to come and do not count.
        restated: which held days besides were read again, because exports state them otherwise by now.
    """

    files: int
    lines: int
    accepted: int
    rejected: int
    changed_customers: int
    reading: NotRequired[str]
    clock: NotRequired[str]
    ahead: NotRequired[int]
    restated: NotRequired[str]


def ingest(settings: Settings, days: Days, run_id: str) -> IngestCounts:
    """Replace the partitions of `days` by what their files in the landing hold now.

    Raises:
        WrongUse: the landing or the mapping cannot be used, this home belongs to another shop or key, or its
            days were read in another way (see `goodstanding.ingest.reading`).
        DataProblem: a trading day has no file, or a file cannot be read at all; nothing has changed.
        DayNotOver: the last day is not over in the shop's time zone.
    """
    shop = load_shop(settings)
    require_over(days, shop.timezone)
    _require_landing(settings)
    simulated = (settings.landing_folder / SIMULATED_MARKER).exists()
    key = pseudonym_key(settings)
    now = now_utc()
    # Reading has a connection of its own: a file that DuckDB refuses and Python then reads would abort the
    # transaction, which also keeps every frame that was registered in it until its end.
    with (
        open_intake(settings) as connection,
        connection.cursor() as reader,
        TemporaryDirectory(prefix="cut-", dir=spill_folder(settings)) as folder,
    ):
        for session in (connection, reader):
            session.execute("set timezone = 'UTC'")
        # first of all: by the files that another mapping names nothing could be said
        _require_mapping(connection, shop, days)
        held = held_files(connection)
        landed = Landed(settings, shop, reader, Path(folder))
        files, far_files, replaced = _inspected(landed, settings, shop, days), list[File](), days
        if shop.takes_in_rows:
            replaced, files, far_files = with_neighbours(days, files, held, landed.files_of)
            let_neighbours_take([*files, *far_files], shop, {*held, *replaced})
        stale = landed.differing(held, replaced)
        landed.require_kept(connection, [*replaced, *(day for past in stale for day in past)])
        connection.execute("begin")  # whatever fails from here on, closing the connection rolls back
        _claim_home(connection, shop, simulated, key)
        known_at, doubt = moment_known(connection, now)
        if doubt:
            log.warning("%s", doubt)
        kinds = _kinds(connection, shop)
        change = _require_mapping(connection, shop, days)
        said: str | None = None
        loader = _Loader(settings, shop, connection, reader, key, landed)
        if change:
            if change.covered_by(days):
                said = change.told()
                _require_files(settings, held, change, {file.day for file in files})
            else:
                said = _compared(loader, kinds, change, days, held)
            log.warning("%s", said)
        parts = chain(_parts(files, replaced), *(_parts(landed.files_in(past), past) for past in stale))
        for part_days, part_files in parts:
            taken_from = beside(part_days, [*files, *far_files])
            part = Part(
                shop.source, part_days, part_files, kinds, simulated, now, known_at, run_id, taken_from
            )
            with loader.staged(part):
                replace_partitions(connection, part)
        read_anew = not held or (change is not None and change.covered_by(days))
        keep_reading(connection, shop, read_anew)
        landed.keep_exports(connection, run_id)
        counts = _counts(connection, shop, kinds, days)
        connection.execute("commit")
    if said:
        counts["reading"] = said
    if stale:
        counts["restated"] = (
            "later exports state other lines of days held, which were read again: "
            f"{in_words(day for past in stale for day in past)}"
        )
        log.warning("%s", counts["restated"])
    if doubt:
        counts["clock"] = doubt
    if ahead := landed.ahead():
        counts["ahead"] = sum(ahead.values())
        log.warning(
            f"{counts['ahead']:,} lines of exports are of days to come, like {min(ahead)}, and do not count: "
            "is a date of theirs wrong?"
        )
    return counts


def _require_mapping(connection: duckdb.DuckDBPyConnection, shop: Shop, days: Days) -> Change | None:
    """How the held days were read otherwise, if they were.

    Raises:
        WrongUse: by another mapping, and the run does not read all of them anew.
    """
    change = change_of(connection, shop)
    if change and change.keys and not change.covered_by(days):
        raise change.refused(days)
    return change


def _require_files(settings: Settings, held: HeldFiles, change: Change, days: set[date]) -> None:
    """Refuse to read all held days anew where some have lost their files: their lines would be gone.

    Raises:
        WrongUse: names the first of these days.
    """
    lost = sorted({day for day, names in held.items() if names} - days)
    if lost:
        raise WrongUse(
            f"{change.what}. All held days have to be read anew, and {len(lost):,} have no file in "
            f"{settings.landing_folder} any more, like {lost[0]}; nothing was touched. Put the files "
            "back, or take a new home by GOODSTANDING_HOME for what is there"
        )


def _compared(loader: _Loader, kinds: Sequence[Kind], change: Change, days: Days, held: HeldFiles) -> str:
    """Read the held days outside a range again, and say that no line came out otherwise.

    Raises:
        WrongUse: the lines of a day did.
    """
    files, left_out = [], 0
    for day in (day for day in change.held if day not in days):
        found = loader.landed.files_of(day) if held.get(day) else []
        if {file.name: file.hash for file in found} == held.get(day, {}):
            files += found
        else:
            left_out += 1
    let_neighbours_take(files, loader.shop, held)
    read_days = {file.day for file in files}
    for part_days, part_files in _parts(files, change.held):
        now, taken_from = now_utc(), beside(part_days, files)
        part = Part(loader.shop.source, part_days, part_files, kinds, False, now, now, "", taken_from)
        with loader.staged(part):
            # without the files from which a day takes lines in, nothing can be said of it
            compared = {
                file.day
                for file in part_files
                if all(day in read_days or not held.get(day) for day in file.neighbours)
            }
            differing = [day for day in differing_days(loader.connection, part) if day in compared]
            if differing:
                named = f"{differing[0]}" + (f" and {len(differing) - 1} more days" * (len(differing) > 1))
                raise change.refused(days, f"{named} would be read otherwise than held")
    gone = f"; {left_out:,} days could not be compared: their files have changed or gone" if left_out else ""
    return f"{change.what}; the days held were read again, and no line came out otherwise{gone}"


@dataclass(frozen=True)
class _Loader:
    """What reading the files of any days needs."""

    settings: Settings
    shop: Shop
    connection: duckdb.DuckDBPyConnection
    reader: duckdb.DuckDBPyConnection
    key: bytes
    landed: Landed

    @contextmanager
    def staged(self, part: Part) -> Iterator[None]:
        """Have the lines of a part staged, in a folder that is deleted at the end."""
        # a name for each part: what DuckDB has read of a file it may keep by the name
        folder = Path(mkdtemp(prefix="staged-", dir=spill_folder(self.settings)))
        self._stage(part, folder)
        yield  # what a fault leaves there is swept by the next run
        shutil.rmtree(folder)

    def _stage(self, part: Part, folder: Path) -> None:
        """Read and type the lines of a part, each kind into a file of `folder`."""
        stage_notices(self.connection)
        files = [file for file in (*part.files, *part.beside) if file.note is None]
        for kind in part.kinds:
            readable = [file for file in files if file.kind == kind.name]
            source = next((source for source in self.shop.sources if source.of is kind), None)
            if source is None or not readable:
                stage_nothing(self.connection, kind)
                continue
            staged = folder / f"{kind.table}.parquet"
            cut = self.landed.cuts.get(kind.name)
            if cut:
                cut.load_text(self.reader, readable)
                source = cut.source
            else:
                load_text(self.reader, readable, source)
                mark_second_headers(self.reader, readable, source)
                mark_other_notations(self.reader, source)
            cast_lines(self.reader, readable, self.shop, source, self.key, staged)
            read_staged(self.connection, kind, staged)
            if kind is ORDERS:
                make_invoices_whole(self.connection, self.shop, part.days, staged)
            tell_equal_lines(self.connection, kind, part.days)


def held_files(connection: duckdb.DuckDBPyConnection) -> HeldFiles:
    """{day: {file name: hash}} of the days that a home holds; empty for a day without a file."""
    rows = connection.execute(
        """
        select days.event_day, file_name, file_hash from raw.days as days
        left join raw.files as files
            on days.event_day = files.event_day and coalesce(file_day, files.event_day) = files.event_day
        """
    ).fetchall()
    held: dict[date, dict[str, str]] = {day: {} for day, _, _ in rows}
    for day, name, file_hash in rows:
        if name is not None:
            held[day][name] = file_hash
    return held


def _kinds(connection: duckdb.DuckDBPyConnection, shop: Shop) -> list[Kind]:
    """The kinds that the shop maps, and those of earlier mappings, whose lines have to be removed."""
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


def _require_landing(settings: Settings) -> None:
    if not settings.landing_folder.is_dir():
        raise WrongUse(
            f"there is no landing {settings.landing_folder}; set GOODSTANDING_LANDING to the folder of the "
            "day files"
        )


def _inspected(landed: Landed, settings: Settings, shop: Shop, days: Days) -> list[File]:
    """The files of these days, in the order of days, hashed and counted but not read.

    Raises:
        WrongUse: two kinds of sources name the same file.
        DataProblem: a trading day has no file, a file cannot be read, or the landing is no longer filled.
    """
    landing = settings.landing_folder
    files = list[File]()
    missing = []
    for day in days:
        of_day = landed.files_of(day)
        files += of_day
        if shop.orders and shop.trades_on(day) and not any(file.kind == ORDERS.name for file in of_day):
            missing.append(day)
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
        _require_live_export(landed, settings, days)
    return files


def _require_live_export(landed: Landed, settings: Settings, days: Days) -> None:
    """Refuse days long after the newest file: then the export has stopped, not the trade.

    Without this, the first scheduled run over a historical landing would move the newest day to yesterday.

    Raises:
        DataProblem: the range ends long after the newest file.
    """
    newest = landed.days.last if landed.days else None
    if newest is not None and (days.last - newest).days > LONGEST_PAUSE_DAYS:
        raise DataProblem(
            f"the newest file in {settings.landing_folder} is of {newest}, more than "
            f"{LONGEST_PAUSE_DAYS} days before {days.last}: is the shop's export still running? "
            "A day so far from all data is not loaded"
        )


def _claim_home(connection: duckdb.DuckDBPyConnection, shop: Shop, simulated: bool, key: bytes) -> None:
    """One home holds one shop, real or simulated, under one key: with two, every figure would be wrong.

    Raises:
        WrongUse: the home belongs to another shop or key; says what to set.
    """
    claimed = {
        "shop": f"{shop.source}{' (simulated)' if simulated else ''}",
        "pseudonym_key": pseudonym("", key),  # of no customer: it identifies the key
    }
    connection.executemany("insert or ignore into ops.facts values (?, ?)", list(claimed.items()))
    held = dict(connection.execute("select name, value from ops.facts").fetchall())
    if held["shop"] != claimed["shop"]:
        raise WrongUse(
            f"this home holds the shop {held['shop']}, the landing is of {claimed['shop']}; "
            "set GOODSTANDING_HOME to a folder of its own for it"
        )
    if held["pseudonym_key"] != claimed["pseudonym_key"]:
        raise WrongUse(
            "this home's pseudonyms were made with another key: restore GOODSTANDING_PSEUDONYM_KEY or the "
            "home's pseudonym.key, or set GOODSTANDING_HOME to a new folder and load everything again"
        )


def _counts(
    connection: duckdb.DuckDBPyConnection, shop: Shop, kinds: Sequence[Kind], days: Days
) -> IngestCounts:
    new_lines = " union all ".join(
        f"""
        select event_day, customer_id from raw.{kind.table}
        semi join (from raw.days where transformed_version is null) using (source, event_day)
        """
        for kind in kinds
    )
    row = connection.execute(
        f"""
        select
            coalesce(sum(files), 0), coalesce(sum(lines), 0), coalesce(sum(accepted), 0),
            coalesce(sum(rejected), 0),
            (
                select count(distinct customer_id)
                from (select event_day, customer_id from raw.changes union all {new_lines})
                where event_day between $first and $last
            )
        from raw.days where source = $source and event_day between $first and $last
        """,
        {"first": days.first, "last": days.last, "source": shop.source},
    ).fetchone()
    assert row is not None
    files, lines, accepted, rejected, changed_customers = map(int, row)
    return {
        "files": files,
        "lines": lines,
        "accepted": accepted,
        "rejected": rejected,
        "changed_customers": changed_customers,
    }
