"""Computes what credit costs in a year (APR), by the formulas of the European Union and of the United States.

Both find the rate at which the payments are worth, on the day of the loan, what was lent. They differ in how
they turn it into a year, and so in their result: of 1 % a month the European rate is 12.68 %, which is
compounded, and the American one 12 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from dateutil.relativedelta import relativedelta

# A rate is a share with four decimals: 0.1268 is 12.68 %.
PRECISION = Decimal("0.0001")
DAYS_OF_A_MONTH, DAYS_OF_A_YEAR, MONTHS_OF_A_YEAR = 30, 365, 12
# The search ends once a rate of a period is known this precisely, far below what is shown.
CLOSE = 1e-13
MOST_STEPS = 200
# What payments are worth at a rate, and how much more (less than 0) at a rate a little higher.
Worth = tuple[float, float]


@dataclass(frozen=True)
class Payment:
    """What the borrower pays on a day; `amount` is above 0."""

    day: date
    amount: Decimal


def apr_eu(lent: Decimal, day: date, payments: Sequence[Payment]) -> Decimal:
    """The annual percentage rate of charge, as a share.

    By Directive 2008/48/EC, Annex I (the same equation in Directive (EU) 2023/2225, Annex III): time is
    counted in equal months, twelve to a year, and in days of a year of 365 for what is left over.

    Args:
        lent: what the borrower gets, above 0.
        day: on which he gets it.
        payments: on or after that day, one or more.

    Raises:
        ValueError: an argument is outside these bounds, or less is paid than was lent.
    """
    times = [_years(day, payment.day) for payment in _checked(lent, day, payments)]

    amounts = [float(payment.amount) for payment in payments]

    def worth(rate: float) -> Worth:
        value = slope = 0.0
        for amount, time in zip(amounts, times, strict=True):
            part = amount / math.pow(1 + rate, time)
            value += part
            slope -= part * time / (1 + rate)
        return value, slope

    return _share(_rate(worth, float(lent)))


def apr_us(lent: Decimal, day: date, payments: Sequence[Payment]) -> Decimal:
    """The annual percentage rate of one loan that is paid back monthly, as a share.

    By the actuarial method of Regulation Z (12 CFR 1026, Appendix J): the unit period is a month; what lies
    between the loan and a payment is counted back from the payment in months, the days left over as a part of
    a month of 30 days, for which interest is simple.

    Arguments and errors are those of `apr_eu`.
    """
    times = [_months(day, payment.day) for payment in _checked(lent, day, payments)]

    amounts = [float(payment.amount) for payment in payments]

    def worth(rate: float) -> Worth:
        value = slope = 0.0
        for amount, (months, days) in zip(amounts, times, strict=True):
            of_month = days / DAYS_OF_A_MONTH
            part = amount / ((1 + of_month * rate) * (1 + rate) ** months)
            value += part
            slope -= part * (of_month / (1 + of_month * rate) + months / (1 + rate))
        return value, slope

    return _share(MONTHS_OF_A_YEAR * _rate(worth, float(lent)))


def _checked(lent: Decimal, day: date, payments: Sequence[Payment]) -> Sequence[Payment]:
    if lent <= 0:
        raise ValueError(f"a loan of {lent} has no yearly cost")
    if any(payment.day < day or payment.amount <= 0 for payment in payments):
        raise ValueError(f"a payment is before the loan of {day}, or of nothing")
    if (paid := sum(payment.amount for payment in payments)) < lent:
        raise ValueError(f"less is paid, {paid}, than was lent, {lent}")
    return payments


def _rate(worth: Callable[[float], Worth], lent: float) -> float:
    """The rate of a period, 0 or more, at which the payments are worth what was lent.

    Newton's steps from 0: worth falls with the rate, and ever more slowly, so no step goes beyond.
    """
    rate = 0.0
    for _ in range(MOST_STEPS):
        value, slope = worth(rate)
        if value <= lent:
            break
        step = (lent - value) / slope if slope else math.inf
        rate += step
        if rate > 1e9:
            raise ValueError("all is paid on the day of the loan, so it has no yearly cost")
        if step <= CLOSE * max(1.0, rate):
            break
    return rate


# each answer of a day asks for the months to the same days
@lru_cache(maxsize=4096)
def _months(first: date, last: date) -> tuple[int, int]:
    """Whole months counted back from the last day, and the days that are left before them.

    From 31 May to 30 June is a month, as June has no such day.
    """
    months = 12 * (last.year - first.year) + last.month - first.month
    if first + relativedelta(months=months) == last:
        return months, 0
    months -= last - relativedelta(months=months) < first
    return months, (last - relativedelta(months=months) - first).days


def _years(first: date, last: date) -> float:
    months, days = _months(first, last)
    return months / MONTHS_OF_A_YEAR + days / DAYS_OF_A_YEAR


def _share(rate: float) -> Decimal:
    return Decimal(repr(rate)).quantize(PRECISION, ROUND_HALF_UP)
