"""The small shop whose days are good, for the tests of this folder."""

from tests.good_days import _good_days, judge, own_warehouse, settings, stops, warehouse

__all__ = ["_good_days", "judge", "own_warehouse", "settings", "stops", "warehouse"]
