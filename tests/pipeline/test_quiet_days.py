"""Of a range whose days become quiet the accepted ones pass, and of the others each is barred alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from goodstanding.core.days import Days
from goodstanding.core.settings import Settings
from goodstanding.warehouse.files import open_warehouse
from goodstanding.warehouse.ledger import gate_notes
from pipeline.steps import GateNumbers, check_raw, ingest
from tests.shop import line, mapping, write_day

# the shop has some 150 orders a day, and 5 from New Year on
FIRST, NEW_YEAR, LAST = date(2010, 12, 20), date(2011, 1, 1), date(2011, 1, 2)
RANGE = Days(FIRST, LAST)
QUIET_DAYS = [NEW_YEAR + timedelta(n) for n in range(2)]


def drawn_day(day: date, rng: random.Random) -> list[str]:
    """The lines of a day, of an order each."""
    orders = 5 if day >= NEW_YEAR else rng.randint(130, 170)
    return [
        line(
            day, f"{day:%m%d}{n:03}", rng.randint(10_000, 10_300), f"P{code}", rng.randint(1, 6), 1 + code / 4
        )
        for n, code in enumerate(rng.choices(range(1, 40), k=orders))
    ]


@pytest.fixture
def judged(tmp_path: Path, use_settings: Callable[..., Settings]) -> Callable[..., GateNumbers]:
    """Load the range, and judge it by gate 1 with a mapping that accepts the quiet days that are named."""

    def judged_accepting(*days: str) -> GateNumbers:
        rng = random.Random(31)
        landing = tmp_path / "landing"
        for day in RANGE:
            write_day(landing, day, drawn_day(day, rng))
        shop = mapping(tmp_path)
        entries = [
            f"  - {{days: {span}, expectation: {name}, by: Ann, why: by appointment}}\n"
            for span in days
            for name in ("lines_of_usual", "sales_of_usual")
        ]
        shop.write_text(shop.read_text() + ("accepted:\n" + "".join(entries) if entries else ""))
        use_settings(home=tmp_path / "home", landing=landing, shop=str(shop))
        ingest(RANGE, "run")
        return check_raw(RANGE, "run")

    return judged_accepting


def notes_of(home: Path) -> dict[date, str]:
    """What gate 1 noted on each day that it passed."""
    with open_warehouse(Settings(home=home, _env_file=None)) as connection:
        return {day: gate_notes(connection, day).get("raw_orders", "") for day in RANGE}


def test_accepted_quiet_days_do_not_stop_a_range(judged: Callable[..., GateNumbers], tmp_path: Path) -> None:
    result = judged("2011-01-01 to 2011-01-02")
    assert "barred" not in result
    assert "accepted: lines_of_usual on 2011-01-01 to 2011-01-02 by Ann (by appointment)" in result["notes"]
    notes = notes_of(tmp_path / "home")
    for day in RANGE:
        assert ("accepted" in notes[day]) == (day in QUIET_DAYS), day
    assert "accepted: lines_of_usual on 2011-01-02 by Ann (by appointment)" in notes[date(2011, 1, 2)]


def test_without_acceptance_the_quiet_days_alone_are_barred_and_the_others_keep_their_notes(
    judged: Callable[..., GateNumbers], tmp_path: Path
) -> None:
    result = judged("2011-01-01")
    assert result["barred"] == ["2011-01-02"]
    notes = notes_of(tmp_path / "home")
    assert "accepted: lines_of_usual on 2011-01-01 by Ann" in notes[NEW_YEAR]
    assert notes[FIRST].startswith("not judged: ") and "fewer than 7 trading days before it" in notes[FIRST]
    assert not any(notes[date(2010, 12, day)] for day in range(27, 32))


def test_without_any_acceptance_every_quiet_day_is_barred_and_no_other(
    judged: Callable[..., GateNumbers],
) -> None:
    assert judged()["barred"] == [str(day) for day in QUIET_DAYS]
