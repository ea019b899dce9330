"""The law of replay: however the days came in, readers see what one clean build of the landing shows."""

from __future__ import annotations

import random

import pytest

from tests.laws.conftest import STEPS, days_from, fill
from tests.shop import line, write_day


def clean_build(warehouse, landing, days):
    fresh = warehouse("clean", landing)
    fresh.run(days[0], days[-1])
    return fresh.seen_by_readers()


def test_days_in_any_order_with_reruns_and_corrected_files_end_as_one_clean_build(warehouse):
    days, draw = days_from(5), random.Random(1)
    lived = warehouse("lived")
    fill(lived.landing, 1, days)
    order = draw.sample(days, len(days))
    for day in order:
        lived.run(day)
    corrected, withdrawn, late = draw.sample(days, 3)
    fill(lived.landing, 101, [corrected])
    (lived.landing / f"{withdrawn}.csv").unlink()
    for day in (corrected, withdrawn, late):
        lived.run(day)
    assert lived.seen_by_readers() == clean_build(warehouse, lived.landing, days)


def test_runs_of_several_days_that_interleave_task_by_task_end_as_one_clean_build(warehouse):
    days, draw = days_from(4), random.Random(7)
    lived = warehouse("lived")
    fill(lived.landing, 7, days)
    lived.run(days[1])
    left = {day: list(STEPS) for day in (*days, days[1])}
    while any(left.values()):
        day = draw.choice([day for day, steps in left.items() if steps])
        lived.step(left[day].pop(0), day)
    assert lived.seen_by_readers() == clean_build(warehouse, lived.landing, days)


def test_an_unchanged_file_changes_nothing_and_is_no_change_to_the_marts(warehouse):
    days = days_from(2)
    lived = warehouse("lived")
    fill(lived.landing, 3, days)
    lived.run(days[0], days[1])
    before = lived.seen_by_readers()
    lived.step("ingest", days[0])
    from goodstanding.settings import settings
    from warehouse.files import open_intake

    with open_intake(settings()) as connection:
        assert connection.execute("select count(*) from raw.changes").fetchone() == (0,)
    lived.run(days[0])
    assert lived.seen_by_readers() == before


class Crash(BaseException):
    """Stands for a killed process: no code of ours may catch it and tidy up as if it were an error."""


# one day each: inside which function, and which step that is
CRASHES = [
    ("ingest.load._check_nothing_lost", "ingest"),
    ("goodstanding.pipeline.record_verdict", "check_raw"),
    ("goodstanding.transform.run_dbt", "transform"),
    ("goodstanding.transform.settle_changes", "transform"),
    ("ml.score._replace", "score"),
    ("warehouse.publish._sync", "publish"),
]


def test_after_crashes_inside_every_step_the_next_runs_end_as_one_clean_build(warehouse, monkeypatch):
    days = days_from(len(CRASHES) + 1)
    lived = warehouse("lived")
    fill(lived.landing, 5, days)
    lived.run(days[0])

    def crash(*_args, **_kwargs):
        raise Crash

    for day, (target, step) in zip(days[1:], CRASHES, strict=True):
        before = lived.seen_by_readers()
        with monkeypatch.context() as patch:
            patch.setattr(target, crash)
            for name in STEPS[: STEPS.index(step)]:
                lived.step(name, day)
            with pytest.raises(Crash):
                lived.step(step, day)
        assert lived.seen_by_readers() == before, f"{target}: readers keep the last good day"
        lived.run(day)
    assert lived.seen_by_readers() == clean_build(warehouse, lived.landing, days)


def test_a_late_line_of_an_old_day_reaches_every_later_snapshot(warehouse):
    days = days_from(4)
    lived = warehouse("lived")
    for day in days:
        write_day(lived.landing, day, [line(day, f"{day:%d}", 11), line(day, f"9{day:%d}", 12)])
    for day in days:
        lived.run(day)
    write_day(lived.landing, days[1], [line(days[1], "30", 11), line(days[1], "77", 13, quantity=9)])
    lived.run(days[1])
    found = lived.rows(
        "select as_of, count(*) filter (monetary = 22.5) from marts.rfm_scores group by 1 order by 1"
    )
    assert found == [(days[0], 0), (days[1], 1), (days[2], 1), (days[3], 1)]
    assert lived.seen_by_readers() == clean_build(warehouse, lived.landing, days)
