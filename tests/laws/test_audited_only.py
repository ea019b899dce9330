"""Readers see audited days only: a failed day stops publishing with a message until it is repaired."""

from __future__ import annotations

import pytest

from goodstanding.core.errors import DataProblem, GateFailed
from goodstanding.core.settings import settings
from goodstanding.core.vocabulary import STEPS
from pipeline.report import read_status
from tests.laws.conftest import days_from, fill
from tests.shop import write_day


@pytest.mark.parametrize("is_shown", [False, True], ids=["a new day", "a day that readers have"])
def test_a_day_that_fails_its_gate_holds_back_later_days_until_it_is_repaired(warehouse, is_shown):
    days = days_from(3)
    lived = warehouse("lived")
    fill(lived.landing, 1, days)
    lived.run(days[0])
    if is_shown:
        lived.run(days[1])
    good = lived.seen_by_readers()
    # unchanged lines are not in the changes, yet they must leave the marts with their day
    kept = (lived.landing / f"{days[1]}.csv").read_text().splitlines()[1:]
    write_day(lived.landing, days[1], [*kept, *["unreadable"] * 99])
    lived.step("ingest", days[1])
    with pytest.raises(GateFailed, match="lines set aside: "):
        lived.step("check_raw", days[1])
    for name in STEPS[:-1]:
        lived.step(name, days[2])
    with pytest.raises(DataProblem, match=f"{days[2]} cannot be published: {days[1]} failed the gate of raw"):
        lived.step("publish", days[2])
    assert lived.seen_by_readers() == good
    fill(lived.landing, 9, [days[1]])
    lived.run(days[1])
    fresh = warehouse("fresh", lived.landing)
    fresh.run(days[0], days[-1])
    assert lived.seen_by_readers() == fresh.seen_by_readers()


def test_a_bad_day_of_a_range_bars_itself_alone_and_is_all_that_is_run_again(warehouse):
    days = days_from(4)
    lived = warehouse("lived")
    fill(lived.landing, 1, days)
    good = (lived.landing / f"{days[1]}.csv").read_text()
    write_day(lived.landing, days[1], ["unreadable"] * 9)
    for name in STEPS[:-1]:
        lived.step(name, days[0], days[-1])
    why = (
        f"gate raw_orders stops {days[1]}: .* 9 of 9 lines set aside: .* .9, first {days[1]}.csv:2.. Nothing"
    )
    with pytest.raises(
        DataProblem, match=f"cannot be published: {days[1]} failed the gate of raw_orders .{why}"
    ):
        lived.step("publish", days[0], days[-1])
    waiting = read_status(settings())["waiting"]
    assert [(day["day"], day["failed_gate"]) for day in waiting or []] == [(days[1], "raw_orders")]
    (lived.landing / f"{days[1]}.csv").write_text(good)
    lived.run(days[1])
    fresh = warehouse("fresh", lived.landing)
    fresh.run(days[0], days[-1])
    assert lived.seen_by_readers() == fresh.seen_by_readers()


def test_a_range_without_a_good_day_ends_at_its_gate(warehouse):
    days = days_from(3)
    lived = warehouse("lived")
    for day in days[:2]:
        write_day(lived.landing, day, ["unreadable"] * 9)
    lived.step("ingest", days[0], days[2])
    with pytest.raises(GateFailed, match=f"stops {days[0]} to {days[1]}: "):
        lived.step("check_raw", days[0], days[2])


def test_the_lines_of_a_day_in_flight_are_in_no_publication(warehouse):
    days = days_from(2)
    lived = warehouse("lived")
    fill(lived.landing, 1, days)
    for name in STEPS[:-1]:
        lived.step(name, days[0])
    for name in STEPS[:3]:
        lived.step(name, days[1])
    lived.step("publish", days[0])
    assert not (lived.home / "published" / "current.duckdb").exists(), "the run of the later day publishes"
    for name in STEPS[3:]:
        lived.step(name, days[1])
    assert lived.rows("select as_of from marts.publication") == [(days[1],)]
