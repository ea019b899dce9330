"""Computes instalments (EMI, equated monthly instalments): equal monthly payments, exact to the cent.

By the annuity formula, with a monthly rate i = yearly rate / 12, n months and an amount P, an instalment is
P i (1 + i)^n / ((1 + i)^n - 1), rounded half up to the cent; without interest it is P / n. Each month's
interest is that of the balance, rounded to the cent, and the last instalment pays the rest of balance and
interest. So the schedule is exact: its principals sum to the amount, and its instalments to amount plus
interest.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext

CENT = Decimal("0.01")
# (1 + i)^n is rounded only once, at far more digits than money has.
DIGITS = 40


@dataclass(frozen=True)
class Instalment:
    """One month's payment: `instalment` = `principal` + `interest`; `balance` is still owed after it."""

    month: int
    instalment: Decimal
    principal: Decimal
    interest: Decimal
    balance: Decimal


def emi(amount: Decimal, months: int, yearly_rate: Decimal) -> Decimal:
    """The equal monthly payment, rounded half up to the cent.

    Args:
        amount: the sum that is financed, in whole cents, not below 0.
        months: 1 or more.
        yearly_rate: nominal, as a share (0.12 is 12 % a year, 1 % a month), not below 0.

    Raises:
        ValueError: an argument is outside these bounds.
    """
    if amount < 0 or amount != amount.quantize(CENT):
        raise ValueError(f"an amount of {amount} is no sum of whole cents")
    if months < 1:
        raise ValueError(f"a plan of {months} months has no instalment")
    if yearly_rate < 0:
        raise ValueError(f"a yearly rate of {yearly_rate} is below 0")
    with localcontext(prec=DIGITS):
        rate = yearly_rate / 12
        growth = (1 + rate) ** months
        # a rate too small to show in so many digits counts as none
        exact = amount * rate * growth / (growth - 1) if growth > 1 else amount / months
        return exact.quantize(CENT, ROUND_HALF_UP)


def schedule(amount: Decimal, months: int, yearly_rate: Decimal) -> tuple[Instalment, ...]:
    """Every month's payment, `months` entries; arguments and errors are those of `emi`.

    No payment is negative and none pays more than is owed, even for an amount of a few cents.
    """
    equal = emi(amount, months, yearly_rate)
    balance = amount.quantize(CENT)
    payments = []
    for month in range(1, months + 1):
        with localcontext(prec=DIGITS):
            interest = (balance * yearly_rate / 12).quantize(CENT, ROUND_HALF_UP)
        principal = balance if month == months else min(max(equal - interest, Decimal(0)), balance)
        balance -= principal
        payments.append(Instalment(month, principal + interest, principal, interest, balance))
    return tuple(payments)
