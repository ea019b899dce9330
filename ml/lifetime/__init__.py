"""Lifetime: how many orders a customer will place, and what they will be worth."""

from ml.lifetime.counts import BGNBD, NBD, ParetoNBD
from ml.lifetime.history import Histories, histories
from ml.lifetime.intervals import Intervals, level_that_held, order_intervals, spend_intervals
from ml.lifetime.spend import GammaGamma, expected_spend

__all__ = [
    "BGNBD",
    "NBD",
    "GammaGamma",
    "Histories",
    "Intervals",
    "ParetoNBD",
    "expected_spend",
    "histories",
    "level_that_held",
    "order_intervals",
    "spend_intervals",
]
