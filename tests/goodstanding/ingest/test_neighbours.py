"""Lines of a day in its neighbours' files: each line counts once, on its day, in whatever order days run."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import PROJECT
from goodstanding.shops.kinds import WAITS
from tests.goodstanding.ingest.homes import Home, line

FIRST = date(2011, 7, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(5)]
# what a home holds and shows, without the times and runs at which it came to hold it
HELD = (
    "select * from raw.order_lines",
    "select * from raw.rejected_order_lines",
    "select event_day, file_name, file_hash, lines, accepted, rejected, file_day from raw.files",
    "select event_day, version, files, lines, accepted, rejected from raw.days",
    "select event_day, version, lines from raw.day_versions where known_until is null",
    "select event_day, file_name, file_hash, lines from raw.file_versions where known_until is null",
)


def taking_in(folder: Path, name: str = "home") -> Home:
    """A home of a shop whose files are cut by UTC, and whose days take in their rows."""
    text = (PROJECT / "shops" / "online_retail.yml").read_text()
    text = text[: text.index("closed:")]
    text = text.replace("files:", "files:\n  rows_of_other_days: take_in", 1)
    text = text.replace("as: timestamp", "as: timestamp, zone: UTC", 1)
    assert "take_in" in text
    assert "zone: UTC" in text
    shop = folder / "utc.yml"
    shop.write_text(text)
    home = Home(folder / name, str(shop))
    home.landing = folder / "landing"
    home.landing.mkdir(exist_ok=True)
    one_key = SecretStr("ab" * 32)
    home.settings = home.settings.model_copy(update={"landing": home.landing, "pseudonym_key": one_key})
    return home


def at(day: date, hour: str, invoice: str, **fields: object) -> str:
    """A line that is written at an hour of UTC; from 23:00 on it is of the next day in London in July."""
    return line(invoice=invoice, time=f"{day} {hour}:00", **fields)


def held(home: Home) -> list[list[tuple[object, ...]]]:
    """All that a home holds of its days."""
    return [home.rows(f"{select} order by all") for select in HELD]


def clean_build(folder: Path, days: Iterable[date]) -> list[list[tuple[object, ...]]]:
    """What a new home holds after one run over these days."""
    days = sorted(days)
    home = taking_in(folder, f"clean-{random.random()}")
    (home.settings.home).mkdir(parents=True, exist_ok=True)
    home.ingest(days[0], days[-1])
    return held(home)


def by_day(home: Home) -> dict[date, list[str]]:
    """The invoices of each day."""
    invoices: dict[date, list[str]] = {}
    for day, invoice in home.accepted("event_day, invoice_no"):
        invoices.setdefault(day, []).append(invoice)
    return invoices


def test_a_row_of_the_next_day_counts_there_once_that_day_is_loaded(tmp_path: Path) -> None:
    home = taking_in(tmp_path)
    home.put(at(FIRST, "10:00", "1"), at(FIRST, "23:30", "2"), day=DAYS[0])
    home.put(at(DAYS[1], "09:00", "3"), day=DAYS[1])
    home.ingest(DAYS[0])
    assert by_day(home) == {DAYS[0]: ["1"]}
    [(number, reason)] = home.rejected()
    assert (number, reason.endswith(WAITS)) == (3, True)
    assert reason.startswith("ordered_at: a row of 2011-07-02 in the file of 2011-07-01")
    home.ingest(DAYS[1])
    assert by_day(home) == {DAYS[0]: ["1"], DAYS[1]: ["2", "3"]}
    assert home.rejected() == []
    shares = "select event_day, file_name, lines, accepted, rejected from raw.files order by all"
    assert home.rows(shares) == [
        (DAYS[0], "2011-07-01.csv", 1, 1, 0),
        (DAYS[1], "2011-07-01.csv", 1, 1, 0),
        (DAYS[1], "2011-07-02.csv", 1, 1, 0),
    ]
    assert home.rows("select files from raw.days order by event_day") == [(1,), (1,)]


def test_a_row_of_the_day_before_brings_that_day_up_to_date(tmp_path: Path) -> None:
    home = taking_in(tmp_path)
    home.put(at(DAYS[0], "10:00", "1"), day=DAYS[0])
    home.put(at(DAYS[1], "10:00", "2"), at(DAYS[0], "20:00", "3"), day=DAYS[1])
    home.ingest(DAYS[0])
    [(before,)] = home.rows("select version from raw.days")
    home.ingest(DAYS[1])
    assert by_day(home) == {DAYS[0]: ["1", "3"], DAYS[1]: ["2"]}
    versions = home.rows(
        "select version, known_until is null from raw.day_versions where event_day = ?", DAYS[0]
    )
    assert (before, False) in versions
    assert len(versions) == 2


def test_rows_of_days_farther_away_and_rows_with_another_fault_stay_aside_in_their_file(
    tmp_path: Path,
) -> None:
    home = taking_in(tmp_path)
    home.put(at(DAYS[0], "10:00", "1"), day=DAYS[0])
    home.put(
        at(DAYS[1], "23:30", "2"),
        at(DAYS[0], "20:00", "3"),
        at(DAYS[0], "23:30", "4", price="dear"),
        day=DAYS[2],
    )
    home.put(at(DAYS[1], "10:00", "5"), day=DAYS[1])
    home.ingest(DAYS[0], DAYS[2])
    assert by_day(home) == {DAYS[0]: ["1"], DAYS[1]: ["5"], DAYS[2]: ["2"]}
    assert [number for number, _ in home.rejected()] == [3, 4]
    assert home.rejected("event_day") == [(DAYS[2],), (DAYS[2],)]
    assert not any(reason.endswith(WAITS) for _, reason in home.rejected())


def test_what_is_replaced_on_a_neighbour_day_is_kept_with_its_time(tmp_path: Path) -> None:
    home = taking_in(tmp_path)
    home.put(at(DAYS[0], "10:00", "1"), at(DAYS[0], "23:30", "2"), day=DAYS[0])
    home.put(at(DAYS[1], "10:00", "3"), day=DAYS[1])
    home.ingest(DAYS[0], DAYS[1])
    home.put(at(DAYS[0], "10:00", "1"), at(DAYS[0], "23:30", "2", quantity=9), day=DAYS[0])
    home.ingest(DAYS[0])
    kept = home.rows("select event_day, invoice_no, quantity from raw.superseded_order_lines order by all")
    assert (DAYS[1], "2", 6) in kept
    assert home.rows("select quantity from raw.order_lines where invoice_no = '2'") == [(9,)]
    open_versions = home.rows(
        "select event_day, file_name from raw.file_versions where known_until is null order by all"
    )
    assert open_versions == home.rows("select event_day, file_name from raw.files order by all")


def test_a_neighbour_whose_files_have_left_the_landing_stops_the_run(tmp_path: Path) -> None:
    home = taking_in(tmp_path)
    path = home.put(at(DAYS[0], "10:00", "1"), day=DAYS[0])
    home.put(at(DAYS[1], "10:00", "2"), day=DAYS[1])
    home.ingest(DAYS[0])
    before = held(home)
    path.unlink()
    with pytest.raises(
        DataProblem, match="the files of 2011-07-01 are not in the landing any more, and 2011-07-02"
    ):
        home.ingest(DAYS[1])
    assert held(home) == before


def test_a_year_loaded_part_by_part_is_as_one_loaded_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = taking_in(tmp_path)
    for day in DAYS:
        home.put(
            at(day, "10:00", "1"), at(day, "23:30", "2"), at(day - timedelta(days=1), "12:00", "3"), day=day
        )
    whole = clean_build(tmp_path, DAYS)
    monkeypatch.setattr("goodstanding.ingest.load.PART_LINES", 1)
    assert clean_build(tmp_path, DAYS) == whole


@pytest.mark.parametrize("seed", range(8))
def test_days_in_any_order_with_reruns_and_changed_files_end_as_one_clean_build(
    tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    home = taking_in(tmp_path)

    def put(day: date) -> None:
        hours = [(draw.randint(-2, 2), draw.choice(["03:00", "12:00", "23:30"])) for _ in range(6)]
        lines = [
            at(
                day + timedelta(days=draw.choice([0, 0, shift])),
                hour,
                f"{day.day}{n}",
                quantity=draw.randint(1, 9),
            )
            for n, (shift, hour) in enumerate(hours)
        ]
        home.put(*lines, *(["broken"] if draw.random() < 0.3 else []), day=day)

    files = [day for day in DAYS if draw.random() < 0.85] or [DAYS[0]]
    for day in files:
        put(day)
    runs = [*DAYS, *draw.choices(DAYS, k=3)]
    draw.shuffle(runs)
    changed = set()
    for day in runs:
        if draw.random() < 0.4 and day in files:
            put(other := draw.choice(files))
            changed.add(other)
        home.ingest(day)
        changed.discard(day)
    for day in sorted(changed):
        home.ingest(day)
    assert held(home) == clean_build(tmp_path, DAYS)
    physical = {path.name: path.read_text().count("\n") - 1 for path in home.landing.glob("*.csv")}
    assert dict(home.rows("select file_name, sum(lines)::int from raw.files group by all")) == physical
