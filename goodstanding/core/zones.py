"""The one book of time zones: the locked package `tzdata`. Nobody asks the system's zone files or DuckDB's.

Two books of zones differ as soon as a government changes a rule, and then one part of a program has a day
begin when another does not. So Python reads a zone here (`zone`), and SQL gets the zone's offsets as
conditions on a time (`clock_of`, `instant_of`), made from the same zone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from importlib.metadata import version
from zoneinfo import ZoneInfo

from goodstanding.core.sql import literal

# Outside of these years a zone's clock keeps the offset that it has at their edge.
FIRST, LAST = datetime(1970, 1, 1), datetime(2100, 1, 1)


def book_version() -> str:
    """The version of the book, like 2026.6: another one may move orders to another day."""
    return version("tzdata")


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The zone of that name in the book.

    Raises:
        LookupError: there is none.
    """
    if name not in _names():
        raise LookupError(f"'{name}' is no time zone; write it like Europe/London")
    with resources.files("tzdata.zoneinfo").joinpath(*name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@lru_cache(maxsize=16)
def transitions(name: str) -> tuple[tuple[datetime, int, int], ...]:
    """When the zone's clock changes: the instant (UTC), and its seconds ahead of UTC before and after.

    No zone has changed its clock twice within a day, so that looking once a day finds every change.
    """
    here = zone(name)

    def ahead(instant: datetime) -> int:
        offset = instant.replace(tzinfo=UTC).astimezone(here).utcoffset()
        assert offset is not None
        return round(offset.total_seconds())

    found = []
    day, before = FIRST, ahead(FIRST)
    while day < LAST:
        day += timedelta(days=1)
        after = ahead(day)
        if after != before:
            low, high = day - timedelta(days=1), day
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                low, high = (middle, high) if ahead(middle) == before else (low, middle)
            found.append((high, before, after))
            before = after
    return tuple(found)


def clock_of(name: str, instant: str) -> str:
    """SQL: the clock of a zone at an instant (a timestamp in UTC)."""
    changes = [(when, after) for when, _, after in transitions(name)]
    return f"({instant} + to_seconds({_chosen(instant, changes, _first_offset(name))}))"


def instant_of(name: str, clock: str) -> str:
    """SQL: the instant (a timestamp in UTC) at which a zone's clock shows a time.

    A time that is shown twice is the first of the two; one that is skipped counts as if the clock had not yet
    been put forward. Python's `zoneinfo` reads both so.
    """
    changes = [
        (when + timedelta(seconds=max(before, after)), after) for when, before, after in transitions(name)
    ]
    return f"({clock} - to_seconds({_chosen(clock, changes, _first_offset(name))}))"


def _first_offset(name: str) -> int:
    changes = transitions(name)
    if changes:
        return changes[0][1]
    offset = zone(name).utcoffset(FIRST)
    assert offset is not None
    return round(offset.total_seconds())


def _chosen(time: str, changes: list[tuple[datetime, int]], first: int) -> str:
    """SQL: the seconds that hold at a time, of those after each change; halved again and again, so that a row
    takes 8 comparisons where one after the other would be 260."""
    if not changes:
        return str(first)
    middle = len(changes) // 2
    when, seconds = changes[middle]
    earlier = _chosen(time, changes[:middle], first)
    later = _chosen(time, changes[middle + 1 :], seconds)
    return f"case when {time} < {literal(when)} then {earlier} else {later} end"
