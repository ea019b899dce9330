"""Lifetime: how many orders a customer will place, when the next one comes, and what they will be worth."""

from ml.lifetime.counts import BGNBD, NBD, ParetoNBD
from ml.lifetime.history import Histories, histories
from ml.lifetime.intervals import Intervals, level_that_held, order_intervals, spend_intervals
from ml.lifetime.spend import GammaGamma, expected_spend
from ml.lifetime.timing import NextOrder, next_order_day

__all__ = [
    "BGNBD",
    "NBD",
    "GammaGamma",
    "Histories",
    "Intervals",
    "NextOrder",
    "ParetoNBD",
    "expected_spend",
    "histories",
    "level_that_held",
    "next_order_day",
    "order_intervals",
    "spend_intervals",
]
