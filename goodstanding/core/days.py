"""Event days: ranges of days, and the days that an Airflow run has to load.

The event day of an order is its day in the shop's own time zone. A run carries its day as a label, the UTC
date at which its data interval starts: so a backfill from the 1st to the 3rd is the shop's 1st to 3rd, in
every time zone and on both days of a clock change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TypedDict

from goodstanding.core.errors import DayNotOver, WrongUse
from goodstanding.core.vocabulary import moment
from goodstanding.core.zones import zone


@dataclass(frozen=True, order=True)
class Days:
    """A range of event days from `first` to `last`, both included.

    Raises:
        WrongUse: the range ends before it begins.
    """

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise WrongUse(f"the range of days ends ({self.last}) before it begins ({self.first})")

    def __iter__(self) -> Iterator[date]:
        return (self.first + timedelta(days=n) for n in range(len(self)))

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"

    @classmethod
    def parse(cls, first: str, last: str | None = None) -> Days:
        """Read ISO dates; `last` defaults to `first`.

        Raises:
            WrongUse: a text is no date written like 2011-12-09, or the range is empty.
        """
        return cls(parse_day(first), parse_day(last or first))


def ranges(days: Iterable[date]) -> list[Days]:
    """All of these days, those that follow one another as one range, by time."""
    found: list[Days] = []
    for day in sorted(set(days)):
        if found and found[-1].last + timedelta(days=1) == day:
            found[-1] = Days(found[-1].first, day)
        else:
            found.append(Days(day, day))
    return found


def in_words(days: Iterable[date]) -> str:
    """All of these days, those that follow one another as a range: 2011-01-02 to 2011-01-09, 2011-01-11."""
    return ", ".join(str(one) for one in ranges(days))


def parse_day(text: str) -> date:
    """Read one ISO date, or raise `WrongUse` saying what was given."""
    try:
        day = date.fromisoformat(text)
        _ = day + timedelta(days=1)  # a day that has no next one never ends
        return day
    except (ValueError, OverflowError):
        raise WrongUse(f"'{text}' is no day; write it like 2011-12-09") from None


class RunContext(TypedDict, total=False):
    """The keys of an Airflow context that say which days a run is about.

    Attributes:
        params: what the run was triggered with: `day`, or `from` and `to`, as ISO dates.
        data_interval_start: when its data interval starts, with a time zone.
        data_interval_end: when it ends.
    """

    params: Mapping[str, object] | None
    data_interval_start: datetime | None
    data_interval_end: datetime | None


def days_of(context: RunContext) -> Days:
    """The event days of an Airflow run, whatever started it.

    Params `from` and `to` (`orders_history`) come first, then `day` (a manual run of one day), then the
    data interval (scheduled runs, backfills, and manual runs without a day): a week's holds seven days.

    Raises:
        WrongUse: the run has neither; it says which params to give.
    """
    params = context.get("params") or {}
    if params.get("from") and params.get("to"):
        return Days.parse(str(params["from"]), str(params["to"]))
    if params.get("day"):
        return Days.parse(str(params["day"]))
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    if start is None or end is None:
        raise WrongUse("this run has no data interval: trigger it with a day, or with from and to")
    first = start.astimezone(UTC).date()
    return Days(first, max(first, end.astimezone(UTC).date() - timedelta(days=1)))


def require_over(days: Days, timezone: str, now: datetime | None = None) -> None:
    """Refuse days of which the last is not over in the shop's time zone: its file cannot be complete.

    Args:
        days: the range.
        timezone: the shop's, like Europe/London.
        now: with a time zone; the present unless given.

    Raises:
        DayNotOver: says when the day ends.
    """
    end, now = end_of(days.last, timezone), now or moment()
    if now < end:
        raise DayNotOver(
            f"{days.last} is not over in {timezone} before {end:%Y-%m-%d %H:%M} UTC; the clock here shows "
            f"{now.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        )


def is_over(day: date, timezone: str) -> bool:
    """Whether a day is over in the shop's time zone, by the clock of this machine."""
    return end_of(day, timezone) <= moment()


def end_of(day: date, timezone: str) -> datetime:
    """The moment, in UTC, at which a day of the shop is over and the next begins."""
    return datetime.combine(day + timedelta(days=1), time.min, zone(timezone)).astimezone(UTC)
