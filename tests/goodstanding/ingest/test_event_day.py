"""The event day of an order is its day in the shop's zone, exact to the second, also on clock changes."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from tests.goodstanding.ingest.homes import Home, home_with, line

LOCAL, IN_UTC = 'format: "%Y-%m-%d %H:%M:%S"', 'format: "%Y-%m-%d %H:%M:%S", zone: UTC'


def home_in(zone: str, folder: Path, times: str) -> Home:
    """A home of a shop in a time zone; its files give times in that zone or in UTC."""
    return home_with(folder, ("Europe/London", zone), (LOCAL, times))


@pytest.mark.parametrize(
    ("zone", "day", "first", "last"),
    [
        ("Europe/London", "2011-03-27", "2011-03-27 00:00:00", "2011-03-27 22:59:59"),
        ("Europe/London", "2011-10-30", "2011-10-29 23:00:00", "2011-10-30 23:59:59"),
        ("Pacific/Auckland", "2011-09-25", "2011-09-24 12:00:00", "2011-09-25 10:59:59"),
        ("Pacific/Auckland", "2011-04-03", "2011-04-02 11:00:00", "2011-04-03 11:59:59"),
        ("America/New_York", "2011-03-13", "2011-03-13 05:00:00", "2011-03-14 03:59:59"),
        ("America/New_York", "2011-11-06", "2011-11-06 04:00:00", "2011-11-07 04:59:59"),
    ],
)
def test_with_times_in_utc_the_shops_day_holds_exactly_its_first_to_last_second(
    tmp_path: Path, zone: str, day: str, first: str, last: str
) -> None:
    home = home_in(zone, tmp_path, IN_UTC)
    second = timedelta(seconds=1)
    before = datetime.fromisoformat(first) - second
    after = datetime.fromisoformat(last) + second
    event_day = date.fromisoformat(day)
    times = (before, first, last, after)
    home.put(*(line(invoice=n, time=time) for n, time in enumerate(times)), day=event_day)
    home.ingest(event_day)
    assert home.accepted("event_day, invoice_no, cast(ordered_at as varchar)") == [
        (event_day, "1", f"{day} 00:00:00"),
        (event_day, "2", f"{day} 23:59:59"),
    ]
    neighbours = [event_day - timedelta(days=1), event_day + timedelta(days=1)]
    assert home.rejected("reason") == [
        (f"ordered_at: a row of {neighbour} in the file of {day}",) for neighbour in neighbours
    ]


@pytest.mark.parametrize("zone", ["Europe/London", "Pacific/Auckland", "America/New_York"])
def test_with_local_times_every_second_of_the_day_belongs_to_it_despite_clock_changes(
    tmp_path: Path, zone: str
) -> None:
    home = home_in(zone, tmp_path, LOCAL)
    for day in ("2011-03-13", "2011-03-27", "2011-04-03", "2011-09-25", "2011-10-30", "2011-11-06"):
        # 02:30 does not exist on one of these days and exists twice on another
        times = [f"{day} {time}" for time in ("00:00:00", "02:30:00", "23:59:59")]
        lines = (line(invoice=n, time=time) for n, time in enumerate(times))
        home.put(*lines, day=date.fromisoformat(day))
        assert home.ingest(date.fromisoformat(day))["accepted"] == 3
        stored = home.rows("select cast(ordered_at as varchar) from raw.order_lines where event_day = ?", day)
        assert sorted(stored) == [(time,) for time in times]
