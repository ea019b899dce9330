"""Lifetime: how many orders a customer will place, when the next one comes, and what they are worth."""

from ml.lifetime.counts import BGNBD, NBD, ParetoNBD
from ml.lifetime.history import Histories, histories

__all__ = ["BGNBD", "NBD", "Histories", "ParetoNBD", "histories"]
