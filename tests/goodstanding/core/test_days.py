"""The days of a run are the same however the run was started."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from goodstanding.core.days import Days, days_of, require_over
from goodstanding.core.errors import DayNotOver, WrongUse


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def interval(start: str, end: str) -> dict:
    return {"data_interval_start": at(start), "data_interval_end": at(end)}


@pytest.mark.parametrize(
    ("context", "first", "last"),
    [
        # scheduled and backfilled runs: the interval is the day, also when the shop changes its clock
        (interval("2011-03-27", "2011-03-28"), "2011-03-27", None),
        (interval("2011-10-30", "2011-10-31"), "2011-10-30", None),
        # a week's interval
        (interval("2011-03-21", "2011-03-28"), "2011-03-21", "2011-03-27"),
        # started by hand: an interval of zero length
        (interval("2011-03-27 15:00", "2011-03-27 15:00"), "2011-03-27", None),
        # params override the interval
        ({"params": {"day": "2011-01-05"}, **interval("2011-03-27", "2011-03-28")}, "2011-01-05", None),
        ({"params": {"from": "2011-01-05", "to": "2011-01-07"}}, "2011-01-05", "2011-01-07"),
    ],
)
def test_the_days_of_a_run_are_its_params_or_its_interval(context, first, last):
    assert days_of(context) == Days.parse(first, last)


def test_a_run_without_any_day_says_what_to_pass():
    with pytest.raises(WrongUse, match="trigger it with a day"):
        days_of({"params": {"day": None}})


@pytest.mark.parametrize("text", ["2011-02-30", "yesterday", ""])
def test_a_text_that_is_no_day_is_named_in_the_error(text):
    with pytest.raises(WrongUse, match=f"'{text}' is no day"):
        Days.parse(text)


def test_a_range_that_ends_before_it_begins_is_refused():
    with pytest.raises(WrongUse, match="ends"):
        Days.parse("2011-01-02", "2011-01-01")


def test_a_range_counts_and_lists_every_calendar_day():
    days = Days.parse("2011-02-27", "2011-03-01")
    assert len(days) == 3
    assert list(days) == [date(2011, 2, 27), date(2011, 2, 28), date(2011, 3, 1)]


@pytest.mark.parametrize(
    ("zone", "now", "is_over"),
    [
        ("Europe/London", "2011-07-01 22:59", False),
        ("Europe/London", "2011-07-01 23:00", True),
        ("Pacific/Auckland", "2011-07-01 12:00", True),
        ("Pacific/Auckland", "2011-07-01 11:59", False),
        ("America/New_York", "2011-07-02 03:59", False),
        ("America/New_York", "2011-07-02 04:00", True),
    ],
)
def test_a_day_is_over_at_midnight_in_the_shop(zone, now, is_over):
    day = Days.parse("2011-07-01")
    if is_over:
        require_over(day, zone, at(now))
    else:
        with pytest.raises(DayNotOver, match="is not over in"):
            require_over(day, zone, at(now))


# shops at, east and west of UTC, on both days of a clock change, and the moment at which the day ends
CLOCK_CHANGES = [
    ("Europe/London", "2011-03-27", "2011-03-27 23:00:00"),
    ("Europe/London", "2011-10-30", "2011-10-31 00:00:00"),
    ("Pacific/Auckland", "2011-09-25", "2011-09-25 11:00:00"),
    ("Pacific/Auckland", "2011-04-03", "2011-04-03 12:00:00"),
    ("America/New_York", "2011-03-13", "2011-03-14 04:00:00"),
    ("America/New_York", "2011-11-06", "2011-11-07 05:00:00"),
]


def runs_of(day: str) -> dict[str, dict]:
    """The contexts of every kind of run for a day."""
    first = at(day)
    next_day = first + timedelta(days=1)
    elsewhere = interval("2012-01-05 15:00", "2012-01-05 15:00")
    return {
        "scheduled": {"data_interval_start": first, "data_interval_end": next_day, "params": {"day": None}},
        # an interval may be given in any time zone
        "backfill": {
            "data_interval_start": first.astimezone(ZoneInfo("America/New_York")),
            "data_interval_end": next_day.astimezone(ZoneInfo("America/New_York")),
        },
        "manual, of a day": {"params": {"day": day}, **elsewhere},
        "manual, at the day's last second": interval(f"{day} 23:59:59", f"{day} 23:59:59"),
        "manual, at the day's first second": interval(f"{day} 00:00:00", f"{day} 00:00:00"),
        "history": {"params": {"from": day, "to": day}, **elsewhere},
    }


@pytest.mark.parametrize("kind", runs_of("2011-03-27"))
@pytest.mark.parametrize(("zone", "day", "over"), CLOCK_CHANGES)
def test_every_kind_of_run_uses_the_shops_day_and_waits_for_its_last_second(kind, zone, day, over):
    days = days_of(runs_of(day)[kind])
    assert days == Days.parse(day)
    with pytest.raises(DayNotOver, match=f"{day} is not over in {zone} before {over[:16]} UTC"):
        require_over(days, zone, at(over) - timedelta(seconds=1))
    require_over(days, zone, at(over))


@pytest.mark.parametrize(("zone", "day", "over"), CLOCK_CHANGES)
def test_a_range_waits_for_the_end_of_its_last_day(zone, day, over):
    days = days_of({"params": {"from": "2011-01-05", "to": day}})
    with pytest.raises(DayNotOver):
        require_over(days, zone, at(over) - timedelta(seconds=1))
    require_over(days, zone, at(over))
