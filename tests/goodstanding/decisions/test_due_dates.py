"""Instalments are due each month on the day of the purchase, and never while the banks are closed."""

from datetime import date, timedelta

import holidays
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodstanding.core.errors import WrongUse
from goodstanding.decisions.due_dates import due_dates, require_country

DAYS = st.dates(date(2020, 1, 1), date(2032, 12, 31))


def test_the_last_day_of_a_month_stands_for_a_day_that_it_does_not_have():
    assert due_dates(date(2023, 1, 31), 3) == (date(2023, 2, 28), date(2023, 3, 31), date(2023, 4, 30))
    assert due_dates(date(2024, 1, 31), 1) == (date(2024, 2, 29),)


def test_a_day_on_which_banks_are_closed_gives_way_to_the_next_on_which_they_are_open():
    # Saturday, 25 December; in England the holidays are made up for on Monday and Tuesday
    assert due_dates(date(2021, 11, 25), 1, "GB-ENG") == (date(2021, 12, 29),)
    assert due_dates(date(2021, 11, 25), 1, "US") == (date(2021, 12, 27),)
    # Corpus Christi is a holiday in Bavaria and none in Berlin
    assert due_dates(date(2024, 4, 30), 1, "DE-BY") == (date(2024, 5, 31),)
    assert due_dates(date(2024, 4, 30), 1, "DE-BE") == (date(2024, 5, 30),)


@given(DAYS, st.integers(1, 36), st.sampled_from(["GB", "US", "DE-BY", "IN"]))
def test_business_days_come_in_order_and_at_most_ten_days_late(day, months, country):
    plain, moved = due_dates(day, months), due_dates(day, months, country)
    assert all(
        timedelta(0) <= late - due <= timedelta(days=10) for due, late in zip(plain, moved, strict=True)
    )
    assert list(moved) == sorted(set(moved))
    assert all(due.weekday() < 5 for due in moved)


def test_the_holidays_of_a_year_are_looked_up_once(monkeypatch):
    looked_up, look_up = [], holidays.country_holidays

    def counted(*arguments, years, **more):
        looked_up.append(years)
        return look_up(*arguments, years=years, **more)

    monkeypatch.setattr(holidays, "country_holidays", counted)
    for _ in range(3):
        # of a country and years that no other test asks for
        due_dates(date(2041, 1, 31), 24, "PT")
    assert looked_up == [2041, 2042, 2043]


@pytest.mark.parametrize("country", ["XX", "England", "DE-XX", ""])
def test_a_country_without_known_holidays_is_refused_with_what_to_give(country):
    with pytest.raises(WrongUse, match="ISO 3166"):
        require_country(country)
