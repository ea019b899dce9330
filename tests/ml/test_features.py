"""Snapshots: which cuts may be read, how ranks are computed, and which values are refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import duckdb
import numpy as np
import pandas as pd
import pytest

from goodstanding.core.errors import DataProblem
from ml.features import (
    MEASURES,
    RANKS,
    RFM_RANK,
    mean_rfm_rank,
    month_end,
    percentile_ranks,
    read_snapshot,
    rolling_cuts,
)

Warehouse = Callable[..., duckdb.DuckDBPyConnection]

CUT = date(2011, 5, 31)


def test_equal_values_rank_equally_and_a_missing_one_highest() -> None:
    ranks = percentile_ranks(pd.DataFrame({"gap": [5.0, np.nan, 1.0, 5.0, np.nan]}))["gap"]

    # mid-ranks 2.5, 4.5, 1, 2.5, 4.5 of 5
    assert ranks.tolist() == pytest.approx([0.4, 0.8, 0.1, 0.4, 0.8])


def test_the_mean_rfm_rank_rewards_late_frequent_and_large() -> None:
    measures = pd.DataFrame({"recency_days": [10, 1, 5], "frequency": [1, 9, 1], "monetary": [1.0, 3.0, 2.0]})
    ranks = percentile_ranks(measures).add_prefix("rank_")

    # by hand, in sixths: recency reversed 1 5 3; frequency 2 5 2 (tied); monetary 1 5 3
    assert mean_rfm_rank(ranks).tolist() == pytest.approx([4 / 18, 15 / 18, 8 / 18])


def test_a_snapshot_depends_only_on_the_rows_of_its_day(warehouse: Warehouse) -> None:
    connection = warehouse(customers=50)
    before = read_snapshot(connection, CUT)
    connection.execute(
        "update features.customer_features set frequency = 1, monetary = 9 where as_of < $1", [CUT]
    )
    connection.execute("delete from features.customer_features where as_of > $1", [CUT])
    after = read_snapshot(connection, CUT)

    pd.testing.assert_frame_equal(before.features, after.features)
    assert list(before.features) == [*MEASURES, *RANKS, RFM_RANK]


def test_the_order_of_rows_in_the_warehouse_does_not_matter(warehouse: Warehouse) -> None:
    connection = warehouse(customers=50)
    before = read_snapshot(connection, CUT)
    connection.execute("create table shuffled as from features.customer_features order by hash(customer_id)")
    connection.execute("delete from features.customer_features")
    connection.execute("insert into features.customer_features from shuffled")
    after = read_snapshot(connection, CUT)

    assert before.customers.tolist() == after.customers.tolist()
    pd.testing.assert_frame_equal(before.features, after.features)


def test_a_day_without_rows_gives_an_empty_snapshot(warehouse: Warehouse) -> None:
    snapshot = read_snapshot(warehouse(customers=5), date(2011, 5, 15))

    assert len(snapshot.customers) == 0
    assert snapshot.matrix([RFM_RANK]).shape == (0, 1)


@pytest.mark.parametrize("bad", ["null", "'inf'::double", "'nan'::double"])
def test_a_feature_that_is_not_a_number_is_reported_with_its_count(warehouse: Warehouse, bad: str) -> None:
    connection = warehouse(customers=20)
    connection.execute(
        f"update features.customer_features set monetary = {bad} where customer_id like '%0000_'"
    )

    with pytest.raises(DataProblem, match=r"2011-05-31: monetary is missing or not finite for 10 of 20"):
        read_snapshot(connection, CUT)


def test_the_train_cut_is_the_newest_cut_whose_window_closed_by_the_test_cut() -> None:
    cuts = [month_end(date(2011, 1, 15), month) for month in range(6)]
    pairs = rolling_cuts(cuts, lambda cut: month_end(cut, 2), date(2011, 6, 30))

    assert pairs == [(date(2011, 1, 31), date(2011, 3, 31)), (date(2011, 2, 28), date(2011, 4, 30))]
    assert rolling_cuts(cuts, lambda cut: month_end(cut, 2), date(2011, 6, 29)) == pairs[:1]


def test_month_ends_are_found_across_the_ends_of_years_in_both_directions() -> None:
    assert month_end(date(2011, 12, 31), 0) == date(2011, 12, 31)
    assert month_end(date(2011, 12, 9), 2) == date(2012, 2, 29)
    assert month_end(date(2011, 2, 28), -2) == date(2010, 12, 31)
