"""What the landing holds for a shop: files of one day each, and exports of any range, cut into days."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import duckdb

from goodstanding.core.days import Days, is_over, ranges
from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import Settings
from goodstanding.ingest.exports.cut import Cut, covered_days, cut_exports
from goodstanding.ingest.neighbours import HeldFiles
from goodstanding.ingest.read import File, inspect
from goodstanding.shops.mapping import Shop, Source
from goodstanding.warehouse.files import spill_folder
from goodstanding.warehouse.notices import Notice


class Landed:
    """The files of each day. Exports are read whole, once.

    Attributes:
        cuts: the exports of each kind of source that has some, by `Kind.name`.
    """

    def __init__(self, settings: Settings, shop: Shop, reader: duckdb.DuckDBPyConnection) -> None:
        """Read the exports, where the shop has some.

        Args:
            settings: where the landing is.
            shop: its mapping.
            reader: a connection of the intake file that has no transaction.

        Raises:
            DataProblem: an export cannot be read.
        """
        self._settings, self._shop = settings, shop
        self.cuts: dict[str, Cut] = {}
        for source in shop.sources:
            if not source.files.is_of_a_day:
                folder = Path(mkdtemp(prefix="cut-", dir=spill_folder(settings)))
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

    def delete_cuts(self) -> None:
        """Delete what was read of the exports: it has the shop's own ids. The next run sweeps what a fault
        leaves."""
        for cut in self.cuts.values():
            shutil.rmtree(cut.path.parent)

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
