"""The yearly cost is that of the published examples of both laws, and moves with what it depends on."""

from datetime import date
from decimal import Decimal

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given, settings
from hypothesis import strategies as st

from goodstanding.decisions.apr import Payment, apr_eu, apr_us
from goodstanding.decisions.instalments import schedule

NEW_YEAR = date(1994, 1, 1)
TENTH = date(1978, 1, 10)


def payments(*parts: tuple[int, str], first: date = NEW_YEAR) -> list[Payment]:
    """Payments so many months after a day."""
    return [Payment(first + relativedelta(months=months), Decimal(amount)) for months, amount in parts]


@pytest.mark.parametrize(
    ("lent", "paid", "rate"),
    [
        ("1000", payments((18, "1200")), "0.1292"),
        ("950", payments((18, "1200")), "0.1685"),
        ("1000", payments((12, "600"), (24, "600")), "0.1307"),
        ("1000", payments((3, "272"), (6, "272"), (12, "544")), "0.1319"),
    ],
)
def test_the_rates_are_those_of_the_four_examples_of_the_european_directive(lent, paid, rate):
    # Directive 98/7/EC, Annex III, by standard months
    assert apr_eu(Decimal(lent), NEW_YEAR, paid) == Decimal(rate)


@pytest.mark.parametrize(
    ("lent", "day", "paid", "rate"),
    [
        ("5000", TENTH, payments(*((n, "230") for n in range(1, 25)), first=TENTH), "0.0969"),
        # the first period is a month and 19 days
        (
            "6000",
            date(1978, 2, 10),
            payments(*((n, "200") for n in range(36)), first=date(1978, 4, 1)),
            "0.1182",
        ),
        (
            "5000",
            TENTH,
            payments((1, "250"), *((n, "230") for n in range(2, 25)), first=TENTH),
            "0.1008",
        ),
        (
            "5000",
            TENTH,
            payments(*((n, "230") for n in range(1, 24)), (24, "280"), first=TENTH),
            "0.1050",
        ),
        (
            "5000",
            TENTH,
            payments((1, "250"), *((n, "230") for n in range(2, 24)), (24, "280"), first=TENTH),
            "0.1090",
        ),
    ],
)
def test_the_rates_are_those_of_the_monthly_examples_of_regulation_z(lent, day, paid, rate):
    # 12 CFR 1026, Appendix J, (c)(1)(i) and (ii), (c)(2)(i), (c)(3)(i), (c)(4)(i)
    assert apr_us(Decimal(lent), day, paid) == Decimal(rate)


@settings(deadline=None)
@given(
    amount=st.decimals("50", "5000", places=2),
    months=st.integers(1, 36),
    rate=st.decimals("0", "0.4", places=3),
    day=st.dates(date(2020, 1, 1), date(2030, 12, 31)),
)
def test_the_cost_of_a_plan_is_its_nominal_rate_compounded_in_europe_and_as_it_is_in_america(
    amount, months, rate, day
):
    paid = [
        Payment(day + relativedelta(months=instalment.month), instalment.instalment)
        for instalment in schedule(amount, months, rate)
    ]
    # a cent of rounding in a small sum is up to .001 of rate
    assert abs(apr_us(amount, day, paid) - rate) <= Decimal("0.003")
    compounded = (1 + rate / 12) ** 12 - 1
    assert abs(apr_eu(amount, day, paid) - compounded) <= Decimal("0.004")


def test_without_interest_credit_costs_nothing():
    assert apr_eu(Decimal(100), NEW_YEAR, payments((1, "50"), (2, "50"))) == 0
    assert apr_us(Decimal(100), NEW_YEAR, payments((1, "50"), (2, "50"))) == 0


def test_who_pays_later_pays_less_a_year():
    early, late = (apr_eu(Decimal(100), NEW_YEAR, payments((months, "110"))) for months in (6, 7))
    assert early > late


@pytest.mark.parametrize(
    ("lent", "paid", "error"),
    [
        ("0", payments((1, "1")), "a loan of 0"),
        ("10", payments((-1, "11")), "before the loan"),
        ("10", payments((1, "9")), "less is paid, 9, than was lent, 10"),
        ("10", payments((0, "11")), "on the day of the loan"),
    ],
)
def test_what_has_no_yearly_cost_is_refused(lent, paid, error):
    for rate in (apr_eu, apr_us):
        with pytest.raises(ValueError, match=error):
            rate(Decimal(lent), NEW_YEAR, paid)
