"""Says on which days instalments are due: each month on the day of the purchase, or the next business day."""

from __future__ import annotations

from collections.abc import Container
from datetime import date, timedelta
from functools import lru_cache

from dateutil.relativedelta import relativedelta

from goodstanding.core.errors import WrongUse

SATURDAY = 5


# each answer of a day asks for the same days
@lru_cache(maxsize=1024)
def due_dates(day: date, months: int, country: str | None = None) -> tuple[date, ...]:
    """The days on which the payments of `months` months are due.

    A month without such a day has its last one instead (31 January, 28 February, 31 March). With a country,
    a day on which its banks are closed, a Saturday or Sunday too, gives way to the next on which they are
    open, as it is usual of payments: nobody is late for a holiday.

    Args:
        day: of the purchase.
        months: 1 or more.
        country: two letters of ISO 3166, or with a subdivision after a hyphen, such as DE-BY.

    Raises:
        WrongUse: the holidays of such a country are not known.
    """
    days = [day + relativedelta(months=month) for month in range(1, months + 1)]
    return tuple(days if country is None else [_next_business_day(due, country) for due in days])


def require_country(country: str) -> None:
    """Refuse a country whose holidays are not known.

    Raises:
        WrongUse: it is none of ISO 3166, or its holidays are in no book.
    """
    _holidays(country, 2000)


def _next_business_day(day: date, country: str) -> date:
    while day.weekday() >= SATURDAY or day in _holidays(country, day.year):
        day += timedelta(days=1)
    return day


# answers are made one at a time, and a year costs as much as an answer
@lru_cache(maxsize=256)
def _holidays(country: str, year: int) -> Container[date]:
    # only a policy that names a country pays for the import
    import holidays

    code, _, subdivision = country.partition("-")
    try:
        return frozenset(holidays.country_holidays(code, subdiv=subdivision or None, years=year))
    except NotImplementedError:
        raise WrongUse(
            f"the holidays of {country} are not known: give two letters of ISO 3166, such as GB, "
            "or with a subdivision, such as DE-BY"
        ) from None
