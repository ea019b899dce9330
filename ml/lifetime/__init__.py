"""Lifetime models: forecast how many orders a customer will place, when the next one comes, and the spend."""

from ml.lifetime.blend import Blend, Fitted, Forecast, InnerCuts, forecast, inner_cuts
from ml.lifetime.counts import BGNBD, NBD, ParetoNBD
from ml.lifetime.history import Histories, histories
from ml.lifetime.intervals import Intervals, level_that_held, order_intervals, spend_intervals
from ml.lifetime.known import Known, OrderLog, known_as_of, outcome
from ml.lifetime.measures import amount_measures, gini, spearman
from ml.lifetime.spend import MOST_CORRELATED, GammaGamma, Purchases, expected_spend
from ml.lifetime.timing import NextOrder, next_order_day

__all__ = [
    "BGNBD",
    "MOST_CORRELATED",
    "NBD",
    "Blend",
    "Fitted",
    "Forecast",
    "GammaGamma",
    "Histories",
    "InnerCuts",
    "Intervals",
    "Known",
    "NextOrder",
    "OrderLog",
    "ParetoNBD",
    "Purchases",
    "amount_measures",
    "expected_spend",
    "forecast",
    "gini",
    "histories",
    "inner_cuts",
    "known_as_of",
    "level_that_held",
    "next_order_day",
    "order_intervals",
    "outcome",
    "spearman",
    "spend_intervals",
]
