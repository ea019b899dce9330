"""Clumpiness equals hand counts and its definition, and uses only orders that counted at the cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from math import log

import numpy as np
import pytest

from ml.features import read_snapshot
from ml.segments.clumpiness import clumpiness, read_clumpiness
from tests.ml.order_log import FIRST_DAY, NEWEST_DAY, add_orders, count, open_shop


def of(histories: Sequence[Sequence[int]], until: int) -> list[float]:
    customers = np.repeat(np.arange(len(histories)), [len(days) for days in histories])
    return clumpiness(customers, np.array([day for days in histories for day in days]), until).tolist()


def by_definition(days: Sequence[int], until: int) -> float:
    events, opportunities = [day - days[0] for day in days[1:]], until - days[0]
    ends = [0, *events, opportunities + 1]
    shares = [(later - earlier) / (opportunities + 1) for earlier, later in pairwise(ends)]
    return 1 + sum(share * log(share) for share in shares) / log(len(events) + 1)


def test_clumpiness_equals_the_values_counted_by_hand() -> None:
    # of 30 days: three intervals of 10; of 1, 1 and 28; of 15, 10 and 5
    even, burst, between = of([[0, 10, 20], [0, 1, 2], [0, 15, 25]], 29)
    assert even == pytest.approx(0, abs=1e-12)
    # 1 + (2/30 ln 1/30 + 28/30 ln 28/30) / ln 3 = 1 - (.226747 + .064393) / 1.098612
    assert burst == pytest.approx(0.734993, abs=2e-6)
    # 1 + (1/2 ln 1/2 + 1/3 ln 1/3 + 1/6 ln 1/6) / ln 3 = 1 - (.346574 + .366204 + .298627) / 1.098612
    assert between == pytest.approx(0.079382, abs=2e-6)


def test_the_vectorised_values_follow_the_definition_whatever_rows_are_beside_them() -> None:
    generator = np.random.default_rng(1)
    histories = [
        sorted(generator.choice(np.arange(100, 200), size, replace=False).tolist())
        for size in generator.integers(3, 40, 200)
    ]
    assert of(histories, 199) == pytest.approx([by_definition(days, 199) for days in histories])


def test_fewer_than_three_order_days_give_no_value() -> None:
    found = of([[5], [0, 1, 2], [3, 9], [7, 8, 20]], 29)
    assert np.isnan(found).tolist() == [True, False, True, False]
    assert clumpiness(np.empty(0, dtype=int), np.empty(0, dtype=int), 9).tolist() == []


def test_clumpiness_uses_the_days_of_the_orders_that_counted_at_the_cut() -> None:
    name, cut = "the customer", NEWEST_DAY - timedelta(days=30)
    with open_shop(customers=20) as shop:
        days = [0, 40, 41, 200]
        kept = [(name, FIRST_DAY + timedelta(days=day), 9.0, None) for day in days]
        twice = [(name, FIRST_DAY + timedelta(days=40), 5.0, None)]
        cancelled = [(name, FIRST_DAY + timedelta(days=100), 5.0, cut)]
        cancelled_later = [(name, FIRST_DAY + timedelta(days=120), 5.0, cut + timedelta(days=1))]
        later = [(name, cut + timedelta(days=1), 5.0, None)]
        add_orders(shop, [*kept, *twice, *cancelled, *cancelled_later, *later])
        count(shop, cut)
        snapshot = read_snapshot(shop, cut)
        found = read_clumpiness(shop, snapshot)
        reversed_ = replace(snapshot, customers=snapshot.customers[::-1])
        again = read_clumpiness(shop, reversed_)

    counted = sorted([*days, 120])
    expected = by_definition(counted, (cut - FIRST_DAY).days)
    assert found[snapshot.customers.tolist().index(name)] == pytest.approx(expected)
    assert again[::-1].tobytes() == found.tobytes()
    order_days = snapshot.features["frequency"]
    assert np.isnan(found[order_days.to_numpy() < 3]).all()
