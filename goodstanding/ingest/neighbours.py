"""Lines of a day in the file of the day before or after, for shops whose mapping takes them in.

A shop whose files are cut at another hour than its days end (by UTC, say) has some lines of each day in a
neighbour's file. With `files.rows_of_other_days: take_in` the partition of a day holds its lines from its
own file and from those of its two neighbours. What a file holds of a neighbour day is a row of that day in
`raw.files`, so every line of a file counts on one day. Only days that are held or run take lines in: until
its day is loaded, a line is set aside. So a run brings the held neighbours of its days up to date too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta

from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem
from goodstanding.ingest.read import File
from goodstanding.shops.mapping import Shop

DAY = timedelta(days=1)
# {day: {file name: hash}} of the files by which a home holds its days
HeldFiles = Mapping[date, Mapping[str, str]]


def days_beside(day: date) -> tuple[date, date]:
    """The days before and after a day, as far as there are such: groups of people are of no day."""
    return (max(day, date.min + DAY) - DAY, min(day, date.max - DAY) + DAY)


def with_neighbours(
    days: Days, files: Sequence[File], held: HeldFiles, files_on: Callable[[date], list[File]]
) -> tuple[Days, list[File], list[File]]:
    """The days whose partitions a run has to replace: its own, and the held ones beside them.

    A held day beside them whose files have changed since they were read is like a day of the run: the day
    beyond it is replaced too.

    Args:
        days: the days of the run.
        files: their files.
        held: what the home holds.
        files_on: gives the files of a day, as the landing has them now.

    Returns:
        The days; their files; and the files of the two days beyond, which have lines of them perhaps.

    Raises:
        DataProblem: a file from which a held day was read has left the landing.
    """
    before, far_before = _beyond(days.first, -DAY, held, files_on)
    after, far_after = _beyond(days.last, DAY, held, files_on)
    widened = Days(days.first - len(before) * DAY, days.last + len(after) * DAY)
    own = [*(file for of_day in reversed(before) for file in of_day), *files]
    return widened, [*own, *(file for of_day in after for file in of_day)], [*far_before, *far_after]


def _beyond(
    edge: date, step: timedelta, held: HeldFiles, files_on: Callable[[date], list[File]]
) -> tuple[list[list[File]], list[File]]:
    """The files of each day to replace beyond an edge of a run, nearest first, and of the day behind them."""
    replaced = list[list[File]]()
    day, is_changed = edge + step, True
    while day in held:
        found = files_on(day)
        if held[day] and not found:
            raise DataProblem(
                f"the files of {day} are not in the landing any more, and {day - step} may have lines in "
                "them (files.rows_of_other_days: take_in); put them back there and run the day again"
            )
        if not is_changed:
            return replaced, found
        replaced.append(found)
        is_changed = {file.name: file.hash for file in found} != held[day]
        day += step
    return replaced, []


def let_neighbours_take(files: Iterable[File], shop: Shop, present: Collection[date]) -> None:
    """Note at each file which days beside its own take lines in from it: of those that are held or run."""
    kinds = {source.name for source in shop.sources if source.takes_in}
    for file in files:
        taking = days_beside(file.day) if file.kind in kinds else ()
        file.neighbours = tuple(day for day in taking if day in present)


def beside(days: Days, files: Iterable[File]) -> list[File]:
    """Those files of the days before and after a range from which it takes lines in."""
    edges = (days.first - DAY, days.last + DAY)
    return [file for file in files if file.day in edges and file.neighbours]
