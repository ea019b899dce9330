"""What was known when: every version of a day and of a file, and the lines of replaced versions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import goodstanding.ingest.load as load
import goodstanding.ingest.partitions as partitions
from tests.goodstanding.ingest.homes import DAY, SHOPS, Home, line

NEXT = DAY + timedelta(days=1)
MONDAY, TUESDAY, WEDNESDAY = (datetime(2011, 1, day, 3) for day in (10, 11, 12))
At = Callable[[datetime], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> At:
    """Set the time of the next ingest."""

    def at(moment: datetime) -> None:
        monkeypatch.setattr(load, "now_utc", lambda: moment)

    return at


@pytest.fixture
def some_files_a_day(tmp_path: Path) -> Home:
    """A home of the shop whose days may have any number of files."""
    text = (SHOPS.parents[3] / "shops" / "online_retail.yml").read_text()
    mapping = tmp_path / "parts.yml"
    text = text[: text.index("closed:")].replace('"{day}.csv"', '"{day}*.csv"')
    mapping.write_text(text)
    return Home(tmp_path / "parts", str(mapping))


def versions(home: Home) -> list[tuple[Any, ...]]:
    """Every version of every file: name, times, and how many of its lines are current and how many kept."""
    return home.rows(
        """
        select
            file_name, known_from, known_until,
            (
                select count(*) from raw.order_lines as taken
                where taken.file_name = versions.file_name and known_until is null
            ),
            (
                select count(*) from raw.superseded_order_lines as kept
                where kept.file_name = versions.file_name and kept.file_hash = versions.file_hash
                    and kept.known_from = versions.known_from and kept.known_until = versions.known_until
            )
        from raw.file_versions as versions order by file_name, known_from
        """
    )


def day_versions(home: Home) -> list[tuple[Any, ...]]:
    return home.rows(
        "select event_day, known_from, known_until from raw.day_versions order by event_day, known_from"
    )


def test_a_new_file_is_known_from_its_ingest_on(home: Home, at: At) -> None:
    home.put(line(), line(invoice=2, quantity="x"))
    at(MONDAY)
    home.ingest()
    assert versions(home) == [(f"{DAY}.csv", MONDAY, None, 1, 0)]
    assert home.rows("select file_hash, lines, run_id, ended_by_run_id from raw.file_versions") == home.rows(
        "select file_hash, lines, run_id, null from raw.files"
    )
    assert home.rows("select event_day, version, lines, run_id from raw.day_versions") == home.rows(
        "select event_day, version, lines, run_id from raw.days"
    )


def test_an_unchanged_file_keeps_its_first_known_time_and_leaves_no_old_lines(home: Home, at: At) -> None:
    home.put(line())
    at(MONDAY)
    home.ingest()
    at(TUESDAY)
    home.ingest()
    assert versions(home) == [(f"{DAY}.csv", MONDAY, None, 1, 0)]
    assert day_versions(home) == [(DAY, MONDAY, None)]
    assert home.rows("select count(*) from raw.superseded_order_lines") == [(0,)]


def test_a_replaced_file_leaves_its_old_lines_with_the_time_they_were_valid(home: Home, at: At) -> None:
    home.put(line(invoice=1, price="2.55"), line(invoice=2), line(invoice=3, quantity="x"))
    at(MONDAY)
    home.ingest()
    aside = "select * from raw.rejected_order_lines"
    set_aside = home.rows(aside)
    columns = "columns(lambda name: name not in ('known_from', 'known_until'))"
    before = home.accepted("*")
    home.put(line(invoice=1, price="9.99"))
    at(TUESDAY)
    home.ingest()
    assert versions(home) == [
        (f"{DAY}.csv", MONDAY, TUESDAY, 0, 2),
        (f"{DAY}.csv", TUESDAY, None, 1, 0),
    ]
    assert (
        home.rows(f"select {columns} from raw.superseded_order_lines order by file_name, line_number")
        == before
    )
    assert len(set_aside) == 1 and home.rows(aside) == []
    assert home.rows("from raw.superseded_rejected_order_lines") == [(*set_aside[0], MONDAY, TUESDAY)]
    assert day_versions(home) == [(DAY, MONDAY, TUESDAY), (DAY, TUESDAY, None)]


def test_only_the_file_that_changed_ends(some_files_a_day: Home, at: At) -> None:
    home = some_files_a_day
    home.put(line(invoice=1), name=f"{DAY}-a.csv")
    home.put(line(invoice=2), name=f"{DAY}-b.csv")
    home.put(line(invoice=3, time=f"{NEXT} 08:00:00"), name=f"{NEXT}-a.csv")
    at(MONDAY)
    home.ingest(DAY, NEXT)
    home.put(line(invoice=2, price="9.99"), name=f"{DAY}-b.csv")
    at(TUESDAY)
    home.ingest(DAY, NEXT)
    assert versions(home) == [
        (f"{DAY}-a.csv", MONDAY, None, 1, 0),
        (f"{DAY}-b.csv", MONDAY, TUESDAY, 0, 1),
        (f"{DAY}-b.csv", TUESDAY, None, 1, 0),
        (f"{NEXT}-a.csv", MONDAY, None, 1, 0),
    ]


def test_a_withdrawn_file_ends_and_its_day_goes_on_without_it(some_files_a_day: Home, at: At) -> None:
    home = some_files_a_day
    file = home.put(line())
    at(MONDAY)
    home.ingest()
    file.unlink()
    at(TUESDAY)
    home.ingest()
    assert versions(home) == [(f"{DAY}.csv", MONDAY, TUESDAY, 0, 1)]
    assert home.rows("select run_id, ended_by_run_id from raw.file_versions") == [("test", "test")]
    assert day_versions(home) == [(DAY, MONDAY, TUESDAY), (DAY, TUESDAY, None)]


def test_a_file_that_comes_back_is_a_new_version_with_its_own_lines(home: Home, at: At) -> None:
    for moment, price in ((MONDAY, "1"), (TUESDAY, "2"), (WEDNESDAY, "1")):
        home.put(line(price=price))
        at(moment)
        home.ingest()
    name = f"{DAY}.csv"
    assert versions(home) == [
        (name, MONDAY, TUESDAY, 0, 1),
        (name, TUESDAY, WEDNESDAY, 0, 1),
        (name, WEDNESDAY, None, 1, 0),
    ]
    hashes = [
        file_hash for (file_hash,) in home.rows("select file_hash from raw.file_versions order by known_from")
    ]
    assert hashes[0] == hashes[2] != hashes[1]


def test_a_copy_under_another_name_is_a_version_without_lines_until_it_is_read(
    some_files_a_day: Home, at: At
) -> None:
    home = some_files_a_day
    first = home.put(line(), name=f"{DAY}-a.csv")
    home.put(line(), name=f"{DAY}-b.csv")
    at(MONDAY)
    home.ingest()
    known = home.rows("select file_name, lines from raw.file_versions order by file_name")
    assert known == [(f"{DAY}-a.csv", 1), (f"{DAY}-b.csv", 0)]
    first.unlink()
    at(TUESDAY)
    home.ingest()
    assert versions(home) == [
        (f"{DAY}-a.csv", MONDAY, TUESDAY, 0, 1),
        (f"{DAY}-b.csv", MONDAY, TUESDAY, 0, 0),
        (f"{DAY}-b.csv", TUESDAY, None, 1, 0),
    ]


def test_the_same_bytes_read_by_another_mapping_are_another_version(some_files_a_day: Home, at: At) -> None:
    home = some_files_a_day
    home.put(line(code="POST"), line(code="M"), line(code="A"))
    at(MONDAY)
    home.ingest()
    mapping = Path(home.settings.shop)
    mapping.write_text(mapping.read_text().replace("POST,", ""))
    at(TUESDAY)
    home.ingest()
    assert versions(home) == [
        (f"{DAY}.csv", MONDAY, TUESDAY, 0, 3),
        (f"{DAY}.csv", TUESDAY, None, 3, 0),
    ]


def test_a_day_without_a_file_is_known_too(home: Home, at: At) -> None:
    saturday = date(2011, 1, 8)
    home.put(line())
    at(MONDAY)
    home.ingest(saturday)
    at(TUESDAY)
    home.ingest(saturday)
    assert day_versions(home) == [(saturday, MONDAY, None)]
    assert versions(home) == []


def test_a_crash_before_the_commit_leaves_versions_and_lines_unchanged(
    home: Home, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.put(line())
    at(MONDAY)
    home.ingest()
    before = home.everything()
    home.put(line(price="9.99"))
    at(TUESDAY)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(partitions, "_check_nothing_lost", crash)
        home.ingest()
    assert home.everything() == before
    at(WEDNESDAY)
    home.ingest()
    assert [(begun, ended) for _, begun, ended, *_ in versions(home)] == [
        (MONDAY, WEDNESDAY),
        (WEDNESDAY, None),
    ]


@pytest.mark.parametrize(
    ("back", "is_doubted"),
    [
        (timedelta(0), False),
        (timedelta(microseconds=1), False),
        (timedelta(seconds=40), False),
        (timedelta(hours=7), True),
        (timedelta(days=400), True),
    ],
)
def test_a_clock_that_goes_back_makes_no_version_that_was_never_known(
    some_files_a_day: Home, at: At, back: timedelta, is_doubted: bool
) -> None:
    home = some_files_a_day
    # a file corrected twice by a clock that has gone back, another withdrawn, then by a good clock again
    for moment, price in ((TUESDAY, "1"), (TUESDAY - back, "2"), (TUESDAY - back, "3"), (WEDNESDAY, "4")):
        home.put(line(price=price), name=f"{DAY}-a.csv")
        other = home.put(line(invoice=2, time=f"{NEXT} 08:00:00"), name=f"{NEXT}-b.csv")
        if price == "3":
            other.unlink()
        at(moment)
        counts = home.ingest(DAY, NEXT)
        assert ("clock" in counts) == (is_doubted and price in "23")
        if "clock" in counts:
            assert f"it shows {moment} UTC" in str(counts["clock"])
            assert f"an earlier run was at {TUESDAY} UTC" in str(counts["clock"])
    for table, key in (("day_versions", "event_day"), ("file_versions", "file_name")):
        assert home.rows(f"select * from raw.{table} where known_until <= known_from") == []
        moments = home.rows(
            f"select known_from from raw.{table} union select known_until from raw.{table} "
            "where known_until is not null"
        )
        for (moment,) in moments:
            just_after = moment + timedelta(microseconds=1)
            known = home.rows(
                f"select {key} from raw.{table} where known_from < timestamp '{just_after}' "
                f"and coalesce(known_until >= timestamp '{just_after}', true)"
            )
            assert len(known) == len(set(known)), (table, moment)
            if table == "day_versions":
                assert sorted(known) == [(DAY,), (NEXT,)], moment
    # what was recorded of a day stands in the order in which it was ingested
    prices = home.rows(
        """
        select unit_price from (
            select unit_price, known_from, file_name from raw.superseded_order_lines
            union all by name
            select unit_price, known_from, file_name
            from raw.order_lines inner join raw.file_versions using (event_day, file_name)
            where known_until is null
        ) where file_name like '%-a.csv' order by known_from
        """
    )
    assert [float(price) for (price,) in prices] == [1, 2, 3, 4]


def test_when_a_run_loaded_a_day_is_what_its_clock_showed(home: Home, at: At) -> None:
    home.put(line())
    at(TUESDAY)
    home.ingest()
    home.put(line(price="9.99"))
    at(MONDAY)
    home.ingest()
    assert home.rows("select loaded_at from raw.days") == [(MONDAY,)]
    assert [begun > TUESDAY for _, begun, ended in day_versions(home) if ended is None] == [True]
