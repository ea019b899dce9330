"""The law of replay: two cases that are named, while test_histories.py draws many."""

from __future__ import annotations

from goodstanding.core.settings import settings
from goodstanding.warehouse.files import open_intake
from tests.laws.conftest import days_from, fill
from tests.shop import line, write_day


def test_an_unchanged_file_changes_nothing_and_is_not_recorded_as_a_change(warehouse):
    days = days_from(2)
    lived = warehouse("lived")
    fill(lived.landing, 3, days)
    lived.run(days[0], days[1])
    before = lived.seen_by_readers()
    lived.step("ingest", days[0])
    with open_intake(settings()) as connection:
        assert connection.execute("select count(*) from raw.changes").fetchone() == (0,)
    lived.run(days[0])
    assert lived.seen_by_readers() == before


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
