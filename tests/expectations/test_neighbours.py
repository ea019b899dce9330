"""Gate 1 names the neighbour day whose lines a file holds, and the key of the mapping that takes them in."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from expectations.gate import run_gate
from goodstanding.core.days import Days
from goodstanding.core.errors import GateFailed
from goodstanding.core.settings import Settings
from goodstanding.ingest.load import ingest
from goodstanding.warehouse.files import open_warehouse
from goodstanding.warehouse.ledger import record_verdict
from tests.shop import line, mapping, write_day

FIRST = date(2011, 7, 1)
KEY = "files.rows_of_other_days: take_in"


class UtcShop:
    """A shop in another zone whose files are cut by UTC: 93 order lines a day, the late ones of which
    are in two orders at a given time."""

    def __init__(self, folder: Path, zone: str = "Europe/London", take_in: bool = False) -> None:
        shop = mapping(folder)
        text = shop.read_text().replace("timezone: Europe/London", f"timezone: {zone}")
        text = text.replace('%H:%M:%S"}', '%H:%M:%S", zone: UTC}')
        shop.write_text(
            text.replace("files:", "files:\n  rows_of_other_days: take_in", 1) if take_in else text
        )
        self.landing = folder / "landing"
        self.landing.mkdir(exist_ok=True)
        self.settings = Settings(home=folder / "home", landing=self.landing, shop=str(shop), _env_file=None)

    def note_of(self, n: int, late: int = 3, at: str = "23:30:00") -> list[str]:
        """Write, load and judge one day; what the gate tells besides what it has not judged."""
        day = FIRST + timedelta(n)
        lines = [line(day, f"{n}{k:02}", 17850 + k, at="12:00:00") for k in range(93 - late)]
        lines += [line(day, f"{n}9{k // 2}", 17850 + k, f"P{k}", at=at) for k in range(late)]
        write_day(self.landing, day, lines)
        today = Days(day, day)
        ingest(self.settings, today, "run")
        with open_warehouse(self.settings) as connection:
            result = run_gate(connection, "raw_orders", today, "run", self.settings)
            record_verdict(connection, "raw_orders", today, "run", True, "")
        return [note for note in result["notes"] if not note.startswith("not judged")]


def test_lines_of_the_day_after_are_told_from_the_second_day_on(tmp_path: Path) -> None:
    shop = UtcShop(tmp_path)
    told = [shop.note_of(n) for n in range(9)]
    assert told[0] == []
    assert told[1] == [
        "on 2 of 2 days with lines, 6 lines of 4 orders are set aside as of the day after that of their file "
        f"(last 2011-07-02.csv:94): if the files are cut at another hour, {KEY} in the mapping counts them "
        "on their own day"
    ]
    assert [len(of_day) for of_day in told] == [0] + [1] * 8
    assert told[8][0].startswith(
        "on 7 of 7 days with lines, 21 lines of 14 orders are set aside as of the day after"
    )


def test_each_day_of_a_range_is_told_by_its_own_last_days(tmp_path: Path) -> None:
    shop = UtcShop(tmp_path)
    told = [shop.note_of(n, late=3 * (n in (2, 3, 4))) for n in range(14)]
    days = [FIRST + timedelta(n) for n in range(14)]
    assert [bool(of_day) for of_day in told] == [n in range(3, 10) for n in range(14)]
    with open_warehouse(shop.settings) as connection:
        result = run_gate(connection, "raw_orders", Days(days[0], days[-1]), "run", shop.settings)
    of_days = [
        [note for note in result["day_notes"][day] if not note.startswith("not judged")] for day in days
    ]
    assert of_days == told
    (of_range,) = [note for note in result["notes"] if not note.startswith("not judged")]
    # of the last day that it is told of, and the other days are named
    assert of_range == f"{told[9][0]}; it is told of 2011-07-04 to 2011-07-09 too"


def test_lines_of_the_day_before_are_told_too(tmp_path: Path) -> None:
    shop = UtcShop(tmp_path, "America/New_York")
    told = [shop.note_of(n, late=2, at="02:00:00") for n in range(2)]
    assert told[0] == []
    assert told[1][0].startswith(
        "on 2 of 2 days with lines, 4 lines of 2 orders are set aside as of the day before that of their file"
    )


def test_one_line_of_the_day_after_in_a_week_is_not_told(tmp_path: Path) -> None:
    shop = UtcShop(tmp_path)
    assert [shop.note_of(n, late=n == 3) for n in range(6)] == [[]] * 6


def test_a_shop_so_far_east_that_the_gate_stops_is_told_the_key(tmp_path: Path) -> None:
    shop = UtcShop(tmp_path, "Asia/Tokyo")
    with pytest.raises(GateFailed, match=f"40 lines of 20 orders are set aside as of the day after .*{KEY}"):
        shop.note_of(0, late=40, at="16:00:00")


def test_lines_that_are_taken_in_or_wait_for_their_day_are_not_told(tmp_path: Path) -> None:
    shop = UtcShop(tmp_path, take_in=True)
    assert [shop.note_of(n) for n in range(9)] == [[]] * 9
    with open_warehouse(shop.settings) as connection:
        rows = connection.execute(
            "select lines, accepted, rejected from intake.raw.days order by event_day"
        ).fetchall()
    assert rows == [(90, 90, 0), *[(93, 93, 0)] * 7, (96, 93, 3)]


def test_two_days_with_the_key_lose_nothing_of_a_week_without_it(tmp_path: Path) -> None:
    UtcShop(tmp_path).note_of(0)
    shop = UtcShop(tmp_path, take_in=True)
    ingest(shop.settings, Days(FIRST, FIRST), "again")
    assert shop.note_of(1) == []
