"""The law of as-known: a day as known on some evening equals what was published that evening."""

from __future__ import annotations

import hashlib
import random
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

import goodstanding.ingest.load as load
from goodstanding.core.errors import GateFailed
from pipeline.as_known import build_as_known
from tests.laws.conftest import days_from, drawn_accounts, drawn_day, fill
from tests.shop import write_accounts, write_day

MADE_BY_PUBLISHING = ("publication", "as_known", "restatements", "source_files", "notices", "exposure")
AS_OF_TABLES = ("rfm_borders", "rfm_scores", "class_borders", "customer_classes")


def marts(path: Path) -> dict[str, str]:
    """Each mart of a file as a hash of its ordered rows."""
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'marts' order by 1"
        ).fetchall()
        hashes = {}
        for (table,) in tables:
            if table not in MADE_BY_PUBLISHING:
                rows = connection.execute(f"select * from marts.{table} order by all").fetchall()
                hashes[table] = f"{len(rows)} rows {hashlib.sha256(repr(rows).encode()).hexdigest()[:12]}"
        return hashes


def as_known(lived, day, on):
    """Build the marts as of a day, as they were known at the end of another."""
    settings = lived.use(home=lived.home, landing=lived.landing, shop=lived.shop, pseudonym_key="ab" * 32)
    return build_as_known(settings, day, on)


@pytest.fixture
def mornings(monkeypatch):
    """Set the morning on which the next ingests take place."""

    def on(day: date) -> None:
        monkeypatch.setattr(load, "now_utc", lambda: datetime(day.year, day.month, day.day, 4))

    return on


@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_known_on_an_evening_equals_what_was_published_that_day(warehouse, mornings, seed):
    """Each morning takes in the day before; earlier files are also corrected, withdrawn or put back."""
    days, draw = days_from(4), random.Random(seed)
    lived = warehouse("lived", accounts=seed == 2)
    published, contents = {}, {}
    for newest in days:
        morning = newest + timedelta(days=1)
        mornings(morning)
        for day in [newest, *draw.sample(days[: days.index(newest)], min(2, days.index(newest)))]:
            path = lived.landing / f"{day}.csv"
            kept = contents.setdefault(day, [])
            if kept and draw.random() < 0.3:
                path.unlink(missing_ok=True)
            elif kept and draw.random() < 0.4:
                path.write_text(draw.choice(kept))
            else:
                write_day(lived.landing, day, drawn_day(draw, day))
                kept.append(path.read_text())
            if seed == 2:
                write_accounts(lived.landing, day, drawn_accounts(draw, day))
            lived.run(day)
        published[newest, morning] = marts(lived.home / "published" / "current.duckdb")
    working = (lived.home / "warehouse" / "standing.duckdb").read_bytes()
    shown = (lived.home / "published" / "current.duckdb").read_bytes()
    table = "order_lines" if seed == 1 else "payment_behaviour"
    assert len({hashes[table] for hashes in published.values()}) == len(published)
    for (day, evening), expected in published.items():
        assert marts(Path(as_known(lived, day, evening)["path"])) == expected, (day, evening)
    assert (lived.home / "warehouse" / "standing.duckdb").read_bytes() == working
    assert (lived.home / "published" / "current.duckdb").read_bytes() == shown


def test_an_earlier_day_as_known_today_equals_the_marts_of_now(warehouse):
    days = days_from(4)
    lived = warehouse("lived")
    fill(lived.landing, 1, days)
    for day in days:
        lived.run(day)
    fill(lived.landing, 9, [days[1]])
    lived.run(days[1])
    for day in (days[-1], days[2]):
        path = as_known(lived, day, date.today())["path"]
        with duckdb.connect(path, read_only=True) as connection:
            for table in AS_OF_TABLES:
                sql = f"select * from marts.{table} where as_of <= '{day}' order by all"
                seen = connection.execute(sql).fetchall()
                assert seen and seen == lived.rows(sql), (table, day)
            header = connection.execute("select as_of, known_on, simulated from marts.as_known").fetchall()
            assert header == [(day, date.today(), False)]


def test_a_day_that_was_barred_that_evening_is_left_out_and_reported(warehouse, mornings):
    days = days_from(3)
    lived = warehouse("lived")
    fill(lived.landing, 1, days)
    mornings(days[-1])
    lived.run(days[0])
    write_day(lived.landing, days[1], ["unreadable"] * 9)
    lived.step("ingest", days[1])
    with pytest.raises(GateFailed):
        lived.step("check_raw", days[1])
    lived.step("ingest", days[2])
    lived.step("check_raw", days[2])
    found = as_known(lived, days[2], days[2])
    assert found["left_out"] == [days[1]]
    without = warehouse("without", lived.landing)
    (lived.landing / f"{days[1]}.csv").unlink()
    without.run(days[0])
    without.run(days[2])
    assert marts(Path(found["path"])) == marts(without.home / "published" / "current.duckdb")
