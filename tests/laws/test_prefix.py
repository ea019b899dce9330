"""The law of the prefix: the rows as of a day depend only on the days up to it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as rules
from hypothesis import strategies as st

from goodstanding.core.days import Days
from goodstanding.core.settings import Settings
from pipeline import steps
from tests.conftest import Year
from tests.laws.history import DAYS, Shop, new_home, write_files

FEATURES = ("customer_features", "return_behaviour", "payment_behaviour", "master_data")
AS_OF_TABLES = ("rfm_borders", "rfm_scores", "class_borders", "customer_classes", *FEATURES)
# two halves, so that two processes share the work
HALVES = (1, 2)
SHOPS_OF_A_HALF = 3
REAL_DAYS = 10


def hashed(table: str, condition: str) -> str:
    """A query for the number of rows that meet a condition, and the hash of all of them in order."""
    return f"""
        select count(*), md5(string_agg(row_hash, '' order by row_hash))
        from (select md5(part::varchar) as row_hash from marts.{table} as part where {condition})
    """


@pytest.mark.parametrize("half", HALVES)
def test_a_landing_cut_off_at_any_day_gives_the_same_rows_up_to_that_day(half: int, tmp_path: Path) -> None:
    @seed(half)
    @rules(
        max_examples=SHOPS_OF_A_HALF,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.builds(
            Shop,
            st.integers(0, 9999),
            st.sets(st.integers(0, 4), max_size=1).map(tuple),
            accounts=st.sampled_from([True, True, False]),
        )
    )
    def law(shop: Shop) -> None:
        whole = new_home(tmp_path, "whole", shop)
        shutil.rmtree(whole.landing, ignore_errors=True)
        for number, day in enumerate(DAYS):
            if number not in shop.missing:
                write_files(whole.landing, day, shop.lines(number, 0))
        whole.run(DAYS[0], DAYS[-1])
        for cut_at in DAYS[:-1]:
            cut = new_home(tmp_path, "cut", shop)
            shutil.rmtree(cut.landing, ignore_errors=True)
            cut.landing.mkdir()
            for file in whole.landing.rglob("*.csv"):
                if date.fromisoformat(file.stem) <= cut_at:
                    copy = cut.landing / file.relative_to(whole.landing)
                    copy.parent.mkdir(exist_ok=True)
                    shutil.copy(file, copy)
            cut.run(DAYS[0], cut_at)
            for table in AS_OF_TABLES:
                # features exist for month ends and the newest day, which differs between the two homes
                kept = "as_of = last_day(as_of)" if table in FEATURES else "true"
                sql = hashed(table, f"as_of <= date '{cut_at}' and {kept}")
                assert cut.rows(sql) == whole.rows(sql), f"{table} as of {cut_at} and before, {shop}"

    law()


@pytest.fixture
def growing(any_year: Year, tmp_path: Path, use_settings: Callable[..., Settings]) -> Iterator[Settings]:
    """An empty home for the year, with the key of the whole year's home, so pseudonyms are equal."""
    key = (any_year.home / "pseudonym.key").read_text().strip()
    yield use_settings(home=tmp_path / "home", landing=any_year.landing, pseudonym_key=key)


def test_the_marts_of_a_year_as_of_ten_days_are_the_same_without_any_later_day(
    any_year: Year, growing: Settings
) -> None:
    first, last = date(2010, 12, 1), date(2011, 12, 9)
    chosen = sorted(random.Random(1).sample(range(20, (last - first).days), REAL_DAYS))
    known_until = first - timedelta(days=1)
    for day in (first + timedelta(days=n) for n in chosen):
        days = Days(known_until + timedelta(days=1), day)
        # without the gates and publish, which do not change the marts
        for step in (steps.ingest, steps.check_raw, steps.transform):
            step(days, f"run of {days}")
        known_until = day
        for table in AS_OF_TABLES[:4]:
            sql = hashed(table, f"as_of = date '{day}'")
            with duckdb.connect(str(growing.warehouse / "standing.duckdb"), read_only=True) as connection:
                seen = connection.execute(sql).fetchall()
            assert seen == any_year.rows(sql), f"{table} as of {day}"
            assert seen[0][0] > 0, f"{table} as of {day} has nothing to compare"
