"""A day that a later run brings up to date is judged by that run too, and by no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from goodstanding.core.days import Days
from goodstanding.core.errors import GateFailed
from goodstanding.core.settings import Settings
from goodstanding.warehouse.files import open_intake
from pipeline.steps import check_raw, ingest
from tests.shop import line, mapping, write_day

FIRST, SECOND, THIRD = "2011-03-01", "2011-03-02", "2011-03-03"


def admitted(settings: Settings) -> list[bool]:
    """Of each day that is held, whether the marts may have it."""
    with open_intake(settings) as connection:
        rows = connection.execute("select admitted from raw.days order by event_day").fetchall()
    return [is_admitted for (is_admitted,) in rows]


def run(day: str) -> None:
    """Ingest a day and judge it."""
    ingest(Days.parse(day), f"run of {day}")
    check_raw(Days.parse(day), f"run of {day}")


@pytest.fixture
def home(tmp_path: Path, use_settings: Callable[..., Settings]) -> Settings:
    """A shop whose days take lines in from the files of their neighbours; two days are loaded and judged."""
    shop = mapping(tmp_path)
    shop.write_text(shop.read_text().replace("files:", "files:\n  rows_of_other_days: take_in", 1))
    landing = tmp_path / "landing"
    write_day(landing, FIRST, [line(FIRST, "1", 17850)])
    write_day(landing, SECOND, [line(SECOND, "2", 17850)])
    settings = use_settings(home=tmp_path / "home", landing=landing, shop=str(shop))
    run(FIRST)
    run(SECOND)
    assert admitted(settings) == [True, True]
    return settings


def test_a_day_that_takes_lines_in_is_judged_by_the_run_that_brings_them(home: Settings) -> None:
    write_day(home.landing_folder, THIRD, [line(SECOND, "3", 17850), line(THIRD, "4", 17850)])
    ingest(Days.parse(THIRD), "third")
    assert admitted(home) == [True, False, False]
    check_raw(Days.parse(THIRD), "third")
    assert admitted(home) == [True, True, True]


def test_lines_that_wait_for_their_day_are_not_counted_as_lost(home: Settings) -> None:
    waiting = [line("2011-03-04", f"{n}", 17850) for n in range(50)]
    write_day(home.landing_folder, THIRD, [*waiting, *(line(THIRD, f"9{n}", 17850) for n in range(9))])
    run(THIRD)
    assert admitted(home) == [True, True, True]


def test_a_bad_day_does_not_bar_its_neighbour_that_took_nothing_in(home: Settings) -> None:
    write_day(home.landing_folder, THIRD, [line(THIRD, "4", 17850, quantity=10_000_000)])
    with pytest.raises(GateFailed):
        run(THIRD)
    assert admitted(home) == [True, True, False]


def test_a_neighbour_that_is_again_as_it_was_when_it_passed_is_admitted_again(home: Settings) -> None:
    with_a_line_of_the_day_before = [line(SECOND, "3", 17850), line(THIRD, "4", 17850)]
    for lines in (
        with_a_line_of_the_day_before,
        with_a_line_of_the_day_before[1:],
        with_a_line_of_the_day_before,
    ):
        write_day(home.landing_folder, THIRD, lines)
        run(THIRD)
        assert admitted(home) == [True, True, True]
