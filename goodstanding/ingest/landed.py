"""What the landing holds for a shop: files of one day each, and exports of any range, cut into days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from goodstanding.core.days import Days, is_over, ranges
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import moment
from goodstanding.ingest.exports.cut import Cut, covered_days, cut_exports
from goodstanding.ingest.neighbours import HeldFiles
from goodstanding.ingest.read import File, inspect
from goodstanding.shops.mapping import Shop, Source
from goodstanding.warehouse.notices import Notice


class Landed:
    """The files of each day. Exports are read whole, once.

    Attributes:
        cuts: the exports of each kind of source that has some, by `Kind.name`.
    """

    def __init__(
        self, settings: Settings, shop: Shop, reader: duckdb.DuckDBPyConnection, folder: Path
    ) -> None:
        """Read the exports, where the shop has some.

        Args:
            settings: where the landing is.
            shop: its mapping.
            reader: a connection of the intake file that has no transaction.
            folder: for the lines of exports as they are written, which are the customers' own: the caller
                removes it.

        Raises:
            DataProblem: an export cannot be read.
        """
        self._settings, self._shop = settings, shop
        self.cuts: dict[str, Cut] = {}
        for source in shop.sources:
            if not source.files.is_of_a_day:
                path = folder / f"{source.name}.parquet"
                self.cuts[source.name] = cut_exports(reader, settings, shop, source, path)

    def files_of(self, day: date) -> list[File]:
        """The files of one day; one with the bytes of another is listed and not read.

        Raises:
            WrongUse: two kinds of sources name the same file.
            DataProblem: a file cannot be read.
        """
        landing, files = self._settings.landing_folder, self.exported_on(day)
        found = [
            (source, source.files_of(landing, day))
            for source in self._shop.sources
            if source.files.is_of_a_day
        ]
        _require_one_kind(found)
        for source, paths in found:
            by_hash: dict[str, File] = {}
            for path in paths:
                file = inspect(path, landing, day, source, self._settings.max_file_mb)
                first = by_hash.setdefault(file.hash, file)
                if first is not file:
                    file.note = f"the same content as {first.name}: not read"
                    said = "a file with the same bytes as another of the day: not read"
                    file.notices.append(Notice(day, file.name, "same_bytes", file.records, file.name, said))
                files.append(file)
        return files

    def exported_on(self, day: date) -> list[File]:
        """What exports hold of a day."""
        return [cut.files[day] for cut in self.cuts.values() if day in cut.files]

    def files_in(self, days: Days) -> list[File]:
        """The files of a range, in the order of days; errors are those of `files_of`."""
        return [file for day in days for file in self.files_of(day)]

    def differing(self, held: HeldFiles, but: Days) -> list[Days]:
        """The held days outside a range of which the exports say another thing than what is held.

        A day that no export covers any more stays as it is held.
        """
        days = sorted(
            day
            for day, names in held.items()
            if day not in but and any(names.get(file.name) != file.hash for file in self.exported_on(day))
        )
        return ranges(days)

    def ahead(self) -> dict[date, int]:
        """How many lines of exports are of days that no order of today can be of, by day: a wrong date."""
        tomorrow = moment().date() + timedelta(days=2)
        return {
            day: file.records
            for cut in self.cuts.values()
            for day, file in cut.files.items()
            if day > tomorrow and file.records
        }

    def require_kept(self, connection: duckdb.DuckDBPyConnection, days: Iterable[date]) -> None:
        """Refuse to lose lines of held days that the exports in the landing do not cover any more.

        Raises:
            DataProblem: the export that had them has left the landing.
        """
        for cut in self.cuts.values():
            kind, happened = cut.source.of, cut.source.columns[cut.source.of.happened]
            if happened.first_seen:
                continue
            names = [f"{cut.name}/{day}" for day in days]
            lost = connection.execute(
                f"""
                select count(*), min(event_day) from raw.{kind.table}
                where file_name in (select unnest($names))
                    and not coalesce({kind.happened}_utc between $first and $last, false)
                """,
                {"names": names, "first": cut.first, "last": cut.last},
            ).fetchone()
            if lost and lost[0]:
                raise DataProblem(
                    f"{lost[1]} would lose lines: no file that matches '{cut.source.files.path}' covers the "
                    f"time of {lost[0]:,} lines held of the days of this run any more. Put the exports back "
                    "that had them (an export that begins later belongs beside them), or run other days"
                )

    def keep_exports(self, connection: duckdb.DuckDBPyConnection, run_id: str) -> None:
        """Note in `raw.exports` which exports were read."""
        rows = [
            (
                *(self._shop.source, kind, export.file.name, export.file.hash, export.file.bytes),
                *(export.file.records, export.orders, export.orders_off),
                *((export.days.first, export.days.last) if export.days else (None, None)),
                run_id,
            )
            for kind, cut in self.cuts.items()
            for export in cut.exports
        ]
        connection.execute("delete from raw.exports where source = ?", [self._shop.source])
        if rows:
            marks = ", ".join("?" for _ in rows[0])
            connection.executemany(f"insert into raw.exports values ({marks})", rows)

    @property
    def days(self) -> Days | None:
        """First and last day that the landing holds something of, or None where it is empty."""
        days = set[date]().union(*(cut.files for cut in self.cuts.values()))
        named = self._shop.days_named(self._settings.landing_folder)
        return _range(days | named)


def days_in_landing(settings: Settings, shop: Shop) -> Days | None:
    """First and last day that the landing holds something of, or None where it is empty.

    Raises:
        DataProblem: an export cannot be read.
    """
    days = shop.days_named(settings.landing_folder)
    exported = [source for source in shop.sources if not source.files.is_of_a_day]
    if exported:
        with _own_connection(settings) as connection:
            for source in exported:
                covered = covered_days(connection, settings, shop, source)
                # an export of this morning has the orders of a day that is not over
                days |= {day for day in covered if is_over(day, shop.timezone)}
    return _range(days)


@contextmanager
def _own_connection(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to no file, whatever another process does in the home."""
    settings.warehouse.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.warehouse, prefix="exports-") as folder:
        limits = {
            "memory_limit": settings.memory_limit,
            "threads": settings.threads,
            "temp_directory": folder,
        }
        with duckdb.connect(config=limits) as connection:
            connection.execute("set timezone = 'UTC'")
            yield connection


def _range(days: set[date]) -> Days | None:
    return Days(min(days), max(days)) if days else None


def _require_one_kind(files_of_day: Sequence[tuple[Source, list[Path]]]) -> None:
    """Refuse a file of two kinds: if it were loaded twice, its lines would not add up.

    Raises:
        WrongUse: the path patterns of two kinds both match a file.
    """
    taken: dict[Path, Source] = {}
    for source, paths in files_of_day:
        for path in paths:
            first = taken.setdefault(path, source)
            if first is not source:
                raise WrongUse(
                    f"{source.mapping_file}: {first.prefix}files.path and {source.prefix}files.path both "
                    f"match {path.name}; put each kind in a folder of its own, or give them different names"
                )
