"""Fixtures for this folder: a small shop whose days pass every gate."""

from tests.good_days import _good_days, judge, own_warehouse, settings, stops, warehouse

__all__ = ["_good_days", "judge", "own_warehouse", "settings", "stops", "warehouse"]
