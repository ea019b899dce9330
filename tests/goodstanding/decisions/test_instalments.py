"""Instalments follow the annuity formula, and every schedule sums exactly to the cent."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodstanding.decisions.instalments import CENT, emi, schedule

amounts = st.integers(0, 10_000_000).map(lambda cents: Decimal(cents) * CENT)
months = st.integers(1, 60)
rates = st.integers(0, 6000).map(lambda points: Decimal(points) / 10_000)


@pytest.mark.parametrize(
    ("amount", "months", "rate", "expected"),
    [
        # textbook figures, computed by the formula with exact fractions
        ("1200.00", 12, "0.12", "106.62"),
        ("100000.00", 12, "0.10", "8791.59"),
        ("5000.00", 24, "0.199", "254.23"),
        ("100.00", 3, "0", "33.33"),
        ("200.00", 3, "0", "66.67"),
        ("120.00", 1, "0.12", "121.20"),
        ("120.00", 1, "0", "120.00"),
        ("0.00", 6, "0.1", "0.00"),
    ],
)
def test_an_instalment_follows_the_annuity_formula(amount, months, rate, expected):
    assert emi(Decimal(amount), months, Decimal(rate)) == Decimal(expected)


@given(amounts, months, rates)
def test_an_instalment_is_the_exact_fraction_rounded_half_up(amount, months, rate):
    monthly = Fraction(rate) / 12
    growth = (1 + monthly) ** months
    exact = Fraction(amount) * monthly * growth / (growth - 1) if monthly else Fraction(amount) / months
    cents = exact * 100
    rounded = int(cents + Fraction(1, 2))
    assert emi(amount, months, rate) == Decimal(rounded) * CENT


@given(amounts, months, rates)
def test_a_schedule_sums_exactly(amount, months, rate):
    plan = schedule(amount, months, rate)
    assert len(plan) == months and [row.month for row in plan] == list(range(1, months + 1))
    assert sum(row.principal for row in plan) == amount
    assert sum(row.instalment for row in plan) == amount + sum(row.interest for row in plan)
    assert plan[-1].balance == 0
    balance = amount
    for row in plan:
        balance -= row.principal
        assert row.balance == balance
        assert min(row.instalment, row.principal, row.interest, row.balance) >= 0
        assert row.instalment == row.instalment.quantize(CENT)


@given(amounts, months, rates)
def test_all_but_the_last_instalment_are_equal_until_nothing_is_owed(amount, months, rate):
    equal = emi(amount, months, rate)
    for row in schedule(amount, months, rate)[:-1]:
        assert row.instalment == equal or row.balance == 0 or row.principal == 0


@given(amounts, months)
def test_without_interest_the_last_instalment_takes_the_cents(amount, months):
    plan = schedule(amount, months, Decimal(0))
    assert sum(row.instalment for row in plan) == amount
    assert all(row.interest == 0 for row in plan)
    assert abs(plan[-1].instalment - emi(amount, months, Decimal(0))) <= CENT * months


@pytest.mark.parametrize(
    ("amount", "months", "rate"),
    [("-1.00", 3, "0.1"), ("1.005", 3, "0.1"), ("1.00", 0, "0.1"), ("1.00", 3, "-0.1")],
)
def test_an_impossible_plan_is_refused(amount, months, rate):
    with pytest.raises(ValueError, match=r"."):
        schedule(Decimal(amount), months, Decimal(rate))
