"""Segments do not depend on any order of rows, have unique names, and need enough customers."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from goodstanding.core.errors import DataProblem
from ml.features import Snapshot
from ml.segments import assign as segments
from ml.segments.assign import (
    NAMES,
    RFM,
    Points,
    assign,
    k_means,
    points,
    scaled,
    segment_names,
    segment_numbers,
    segment_of_each,
)

Floats = NDArray[np.float64]

# recency, frequency, monetary of four kinds of customers, the most valuable first
KINDS = np.array([[4, 20, 5000], [60, 6, 1200], [10, 1, 150], [250, 1, 100]], dtype=float)


def four_kinds() -> tuple[Floats, NDArray[np.intp]]:
    """Customers around `KINDS`, which are far apart, and the number of each customer's kind."""
    generator = np.random.default_rng(1)
    kind = generator.permutation(np.repeat(np.arange(4), [50, 80, 50, 120]))
    spread = generator.lognormal(0, 0.08, (len(kind), 3))
    values = KINDS[kind] * spread
    return np.column_stack([values[:, :2].round(), values[:, 2].round(2)]), kind + 1


def cloud(seed: int = 1, customers: int = 600) -> Floats:
    """Customers of all kinds and between, as in a real shop; some are equal in all three measures."""
    generator = np.random.default_rng(seed)
    frequency = generator.geometric(0.3, customers).astype(float)
    recency = generator.integers(0, 300, customers).astype(float)
    monetary = np.round(frequency * generator.lognormal(3, 1, customers), 2)
    values = np.column_stack([recency, frequency, monetary])
    return np.vstack([values, values[:30]])


def snapshot(values: Floats) -> Snapshot:
    names = np.array([f"customer-{number:05d}" for number in range(len(values))], dtype=object)
    return Snapshot(date(2011, 12, 9), names, pd.DataFrame(values, columns=list(RFM)))


@pytest.mark.parametrize("k", [2, 4, 7])
def test_the_same_customers_in_another_order_are_in_the_same_segments(k: int) -> None:
    values = cloud()
    numbers, names = segment_of_each(snapshot(values), k)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(values))
        again, named = segment_of_each(snapshot(values[order]), k)
        assert scaled(values[order]).tobytes() == scaled(values)[order].tobytes()
        assert again.tolist() == numbers[order].tolist()
        assert named.tolist() == names[order].tolist()


def test_the_same_customers_on_one_and_two_threads_are_in_the_same_segments() -> None:
    found = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            found.append(segment_numbers(cloud(customers=3000)).tolist())
    assert found[0] == found[1]


@pytest.mark.parametrize("order", [[3, 2, 1, 0], [1, 3, 0, 2]])
def test_numbers_and_names_are_the_same_however_the_fit_numbers_its_clusters(
    monkeypatch: pytest.MonkeyPatch, order: list[int]
) -> None:
    expected = segment_of_each(snapshot(cloud()))
    fit = segments.k_means

    def renumbered(of: Points, k: int) -> Any:
        model = fit(of, k)
        model.cluster_centers_ = np.ascontiguousarray(model.cluster_centers_[order])
        return model

    monkeypatch.setattr(segments, "k_means", renumbered)
    found = segment_of_each(snapshot(cloud()))
    assert [part.tolist() for part in found] == [part.tolist() for part in expected]


def test_distinct_kinds_are_found_named_and_numbered_from_the_most_valuable() -> None:
    values, kinds = four_kinds()
    numbers, names = segment_of_each(snapshot(values))

    assert adjusted_rand_score(kinds, numbers) == 1
    assert numbers.tolist() == kinds.tolist()
    assert dict(zip(numbers.tolist(), names, strict=True)) == {
        1: "Loyal big spenders",
        2: "Loyal customers slipping away",
        3: "New or occasional buyers",
        4: "Lost small buyers",
    }


def test_the_name_gives_the_third_of_recency_and_which_medians_are_above_the_overall_ones() -> None:
    # twelve segments of nine, one for each name: a third of recency, often or not, much or not
    cells = [(third, often, much) for third in range(3) for often in (1, 0) for much in (1, 0)]
    values = np.array(
        [
            [100 * third + customer, 1 + often * 5, 10.0 + much * 50]
            for third, often, much in cells
            for customer in range(9)
        ]
    )
    names = segment_names(values, np.repeat(np.arange(1, 13), 9))
    assert names == [name for row in NAMES for name in row]


@pytest.mark.parametrize("k", range(1, 13))
def test_every_segment_has_a_name_of_its_own_whatever_it_contains(k: int) -> None:
    for seed in range(20):
        generator = np.random.default_rng(seed)
        values = generator.integers(0, 4, (80, 3)).astype(float)
        numbers = np.append(np.arange(1, k + 1), generator.integers(1, k + 1, 80 - k))
        names = segment_names(values, numbers)
        assert len(names) == len(set(names)) == k and all(names)


def test_segments_with_one_name_are_distinguished_by_money_and_then_by_number() -> None:
    recency, frequency = np.zeros(50), np.ones(50)
    numbers = np.repeat([1, 2, 3, 4, 5], 10)
    monetary = np.array([5.0, 9.0, 5.0, 50.0, 60.0])[numbers - 1]
    names = segment_names(np.column_stack([recency, frequency, monetary]), numbers)
    base = names[0].partition(" (")[0]
    assert names[:3] == [
        f"{base} (2 of 3 by money)",
        f"{base} (1 of 3 by money)",
        f"{base} (3 of 3 by money)",
    ]
    assert names[3].endswith("(2 of 2 by money)") and names[4].endswith("(1 of 2 by money)")


def test_too_few_customers_are_refused_with_a_number_that_is_enough() -> None:
    values = cloud()
    with pytest.raises(DataProblem, match=r"4 segments need 200 customers; there are 163, 37 more would be"):
        segment_of_each(snapshot(values[:163]))
    assert set(segment_of_each(snapshot(values[:200]))[0]) == {1, 2, 3, 4}
    with pytest.raises(DataProblem, match="there are 0, 200 more"):
        segment_of_each(snapshot(values[:0]))


def test_customers_who_hardly_differ_cannot_be_divided() -> None:
    values = np.tile([[3.0, 1.0, 20.0], [3.0, 1.0, 30.0], [3.0, 1.0, 40.0]], (100, 1))
    with pytest.raises(DataProblem, match=r"need 4 customers who differ .* there are 3, 1 more would be"):
        segment_numbers(values)
    numbers = segment_numbers(values, 3)
    assert [values[numbers == number, 2].tolist() for number in (1, 2, 3)] == [
        [40] * 100,
        [30] * 100,
        [20] * 100,
    ]


def test_a_draw_is_seeded_and_takes_customers_without_replacement() -> None:
    distinct, position = points(scaled(cloud()))
    assert distinct.counts.sum() == 630 and (distinct.rows[position] == scaled(cloud())).all()
    drawn = distinct.sample(100)
    assert drawn.customers == 100
    assert drawn.rows.tolist() == distinct.sample(100).rows.tolist()
    of_each = {tuple(row): count for row, count in zip(distinct.rows, distinct.counts, strict=True)}
    assert all(count <= of_each[tuple(row)] for row, count in zip(drawn.rows, drawn.counts, strict=True))
    assert distinct.sample(630) is distinct


def test_each_customer_counts_in_the_fit_even_if_several_share_a_point() -> None:
    values = np.vstack([cloud(), np.tile([[2.0, 3.0, 400.0]], (300, 1))])
    columns = scaled(values)
    distinct, position = points(columns)
    model = k_means(distinct, 3)
    cluster = assign(model, distinct.rows)[position]
    means = [columns[cluster == number].mean(axis=0) for number in range(3)]
    assert model.cluster_centers_ == pytest.approx(np.array(means), abs=0.02)


def test_a_resample_draws_as_many_customers_with_replacement() -> None:
    distinct, _ = points(scaled(cloud()))
    generator = np.random.default_rng(1)
    drawn = [distinct.resample(generator) for _ in range(50)]
    assert {sample.customers for sample in drawn} == {630}
    assert np.mean([len(sample.rows) for sample in drawn]) == pytest.approx(600 * 0.64, rel=0.05)
    assert drawn[0].rows.tolist() != drawn[1].rows.tolist()
