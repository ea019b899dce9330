"""The segment study: curves equal scikit-learn's and toy cases, sums add up, and customers stay unnamed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from goodstanding.core.settings import Settings
from goodstanding.warehouse.files import open_warehouse
from ml.features import Snapshot
from ml.pairs import Pair
from ml.segments import study as segment_study
from ml.segments.assign import RFM, points, scaled, segment_numbers
from ml.segments.study import (
    CLUMPINESS,
    HAS_CLUMPINESS,
    History,
    curves,
    describe_segments,
    elbow,
    read_history,
    silhouettes,
    study,
)
from tests.conftest import Year
from tests.ml.order_log import NEWEST_DAY, add_orders, count, open_shop
from tests.ml.segments.test_assign import cloud, four_kinds


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    """Few resamples, and one thread, as two would wait for each other."""
    with pytest.MonkeyPatch.context() as patch, threadpool_limits(limits=1):
        patch.setattr("ml.segments.study.RESAMPLES", 3)
        patch.setattr("ml.segments.study.RESAMPLES_ALONE", 2)
        yield


@pytest.fixture(scope="module")
def history() -> History:
    with open_shop() as shop:
        return read_history(shop, NEWEST_DAY)


@pytest.fixture(scope="module")
def found(history: History, quick: None) -> dict[str, Any]:
    return study(history)


def test_the_silhouette_of_every_labelling_at_once_equals_that_of_scikit_learn() -> None:
    values = scaled(cloud())
    distinct, position = points(values)
    assert len(distinct.rows) < len(values), "some stand on one point"
    generator = np.random.default_rng(1)
    labelings = [generator.integers(0, k, len(distinct.rows)) for k in (2, 5, 9)]
    # a segment of one customer
    labelings.append(np.where(np.arange(len(distinct.rows)) == distinct.counts.argmin(), 1, 0))

    expected = [silhouette_score(values, labels[position]) for labels in labelings]
    assert silhouettes(distinct, labelings) == pytest.approx(expected, abs=1e-9)


def test_the_elbow_is_where_the_inertia_bends_and_the_least_k_of_a_straight_line() -> None:
    ks = range(2, 9)
    assert elbow(ks, [100, 40, 10, 8, 6, 4, 2]) == 4
    assert elbow(ks, [100, 10, 8, 6, 4, 3, 2]) == 3
    for power in (0.5, 1, 2):
        assert elbow(ks, [k**-power for k in ks]) == 4, "any even fall"
    assert elbow(ks, [70, 60, 50, 40, 30, 20, 10]) == 2
    assert elbow([2], [5.0]) == 2
    assert elbow(ks, [0.0] * 7) == 2


def test_every_curve_and_every_resample_finds_distinct_kinds() -> None:
    values, _ = four_kinds()
    curve = curves({"rfm": (points(scaled(values))[0], 10)})["rfm"]

    assert [row["k"] for row in curve["by_k"]] == [2, 3, 4, 5, 6], "50 customers a segment, of 300"
    assert (curve["elbow"], curve["greatest_silhouette"]) == (4, 4)
    stability = {row["k"]: row["stability"] for row in curve["by_k"]}
    assert stability[4] == [1, 1, 1]
    assert stability[6][0] < 0.95 and stability[6][1] <= stability[6][0] <= stability[6][2]
    inertia = [row["inertia"] for row in curve["by_k"]]
    assert inertia == sorted(inertia, reverse=True)


def test_resamples_draw_customers_so_a_cloud_is_never_divided_twice_the_same() -> None:
    row = curves({"rfm": (points(scaled(cloud()))[0], 10)})["rfm"]["by_k"][0]
    assert row["k"] == 2 and 0.5 < row["stability"][0] < 0.98, "the same customers give .999"


def test_the_result_is_json_of_sums_over_customers_without_any_id(
    found: dict[str, Any], history: History
) -> None:
    text = json.dumps(found)
    assert json.loads(text) == found
    assert not any(name in text for name in history.newest.customers)
    assert found["refused"] is None and found["customers"] == len(history.newest.customers)


def test_segments_and_the_map_count_every_customer_and_every_pound_once(
    found: dict[str, Any], history: History
) -> None:
    values = history.newest.matrix(RFM)
    numbers = segment_numbers(values)
    for row, cells in zip(found["segments"], found["map"]["customers"], strict=True):
        inside = values[numbers == row["number"]]
        assert row["customers"] == len(inside) == np.sum(cells)
        assert row["money_share"] == pytest.approx(inside[:, 2].sum() / values[:, 2].sum(), abs=1e-6)
        assert [row[measure] for measure in RFM] == pytest.approx(np.median(inside, axis=0), abs=1e-6)
        assert row["bought_90d"] is None, "the window is not over"
    assert sum(row["share"] for row in found["segments"]) == pytest.approx(1, abs=1e-5)

    borders = [[*found["map"][name], np.inf] for name in ("recency_from", "monetary_from")]
    expected = [
        np.histogram2d(*values[numbers == number][:, [0, 2]].T, bins=borders)[0].tolist()
        for number in range(1, 5)
    ]
    assert found["map"]["customers"] == expected


def test_the_outcome_of_past_segments_is_the_share_that_bought(
    found: dict[str, Any], history: History
) -> None:
    cut = history.pairs[-1].test_on
    numbers = segment_numbers(cut.matrix(RFM))
    assert (found["past"]["as_of"], found["past"]["label_until"]) == ("2011-08-31", "2011-11-29")
    for row in found["past"]["segments"]:
        assert row["bought_90d"] == pytest.approx(cut.labels[numbers == row["number"]].mean(), abs=1e-6)


def test_the_order_of_customers_changes_no_digit_of_the_description(
    found: dict[str, Any], history: History
) -> None:
    def shuffled(snapshot: Snapshot) -> Snapshot:
        order = np.random.default_rng(1).permutation(len(snapshot.customers))
        outcome = None if snapshot.outcome is None else snapshot.outcome[order]
        features = snapshot.features.iloc[order].reset_index(drop=True)
        return Snapshot(snapshot.as_of, snapshot.customers[order], features, outcome)

    pairs = [Pair(shuffled(pair.fit_on), shuffled(pair.test_on)) for pair in history.pairs]
    again = study(History(shuffled(history.newest), pairs))
    for part in ("segments", "map", "past", "curves"):
        assert again[part] == found[part]
    assert again["clumpiness"]["segments"] == found["clumpiness"]["segments"]


def test_later_days_do_not_change_the_study() -> None:
    day = date(2011, 9, 30)
    with open_shop() as shop:
        before = describe_segments(shop, day)
        everybody = shop.execute("select distinct customer_id from features.customer_features").fetchall()
        add_orders(shop, [(customer, day + timedelta(days=1), 5.0, None) for (customer,) in everybody])
        cancelled = """
            update features.invoice_states set valid_until = $1
            where valid_from < $1 and valid_until is null
        """
        shop.execute(cancelled, [day + timedelta(days=1)])
        count(shop)
        assert describe_segments(shop, day) == before
        assert describe_segments(shop, NEWEST_DAY) != before


def test_a_shop_with_too_few_customers_is_refused_with_the_number_that_is_enough() -> None:
    with open_shop(customers=150) as shop:
        found = describe_segments(shop, NEWEST_DAY)
        nobody = describe_segments(shop, date(2010, 1, 1))
    enough = 200 - found["customers"]
    assert f"{enough} more would be enough" in found["refused"]
    assert {found[part] for part in ("segments", "map", "past", "curves", "clumpiness")} == {None}
    assert "there are 0, 200 more would be enough" in nobody["refused"]


def test_before_any_window_closes_the_present_is_described_and_the_past_refused() -> None:
    with open_shop() as shop:
        found = describe_segments(shop, date(2011, 3, 31))
    assert found["refused"] is None and len(found["segments"]) == 4
    assert found["past"]["segments"] is None and "would be enough" in found["past"]["refused"]
    assert found["clumpiness"]["everybody"] is None and found["clumpiness"]["refused"]


def test_clumpiness_is_measured_over_everybody_and_over_only_those_with_a_value(history: History) -> None:
    def two_in_three(snapshot: Snapshot) -> Snapshot:
        have = (np.arange(len(snapshot.customers)) % 3 > 0).astype(float)
        return replace(snapshot, features=snapshot.features.assign(**{HAS_CLUMPINESS: have}))

    pairs = [Pair(two_in_three(pair.fit_on), two_in_three(pair.test_on)) for pair in history.pairs]
    measured = segment_study._clumpiness(History(two_in_three(history.newest), pairs))

    customers = [len(pair.test_on.customers) for pair in pairs]
    assert measured["everybody"]["customers"] == sum(customers)
    assert measured["with_value"]["customers"] == sum(number * 2 // 3 for number in customers)
    assert measured["segments"]["customers"] == len(history.newest.customers) * 2 // 3
    assert measured["share_with_value"] == pytest.approx(2 / 3, abs=0.002)
    smaller, larger = sorted(
        (measured["everybody"], measured["with_value"]), key=lambda part: part["p_value"]
    )
    assert smaller["p_holm"] == pytest.approx(min(1, 2 * smaller["p_value"]))
    assert larger["p_holm"] == max(larger["p_value"], smaller["p_holm"])


@pytest.mark.parametrize("planted", [True, False])
def test_clumpiness_gains_if_it_predicts_buying_and_not_if_it_is_random(
    history: History, planted: bool
) -> None:
    def with_planted(snapshot: Snapshot) -> Snapshot:
        noise = np.random.default_rng(len(snapshot.labels)).normal(size=len(snapshot.labels))
        columns = {CLUMPINESS: snapshot.labels * planted + noise, HAS_CLUMPINESS: np.ones(len(noise))}
        return replace(snapshot, features=snapshot.features.assign(**columns))

    pairs = [Pair(with_planted(pair.fit_on), with_planted(pair.test_on)) for pair in history.pairs]
    gain = segment_study._clumpiness(History(history.newest, pairs))["everybody"]
    _, low, high = gain["auc_gain"]
    assert (low > 0.02 and gain["p_holm"] <= 0.05) if planted else (low <= 0.005 and high < 0.02)


def test_the_real_year_has_the_measured_segments(real_year: Year, tmp_path: Path) -> None:
    # a copy, because other processes also read this home
    shutil.copytree(real_year.home / "warehouse", tmp_path / "warehouse")
    with open_warehouse(Settings(home=tmp_path, _env_file=None)) as connection:
        history = read_history(connection, NEWEST_DAY)
    values = history.newest.matrix(RFM)
    curve = curves({"rfm": (points(scaled(values))[0], 5)})["rfm"]
    gain = segment_study._clumpiness(history)

    assert (curve["elbow"], curve["greatest_silhouette"]) == (4, 2)
    stability = {row["k"]: row["stability"][0] for row in curve["by_k"]}
    assert stability[2] > stability[4] > 0.8 > stability[8]
    assert gain["everybody"]["auc_gain"][1] < 0 < gain["everybody"]["auc_gain"][2]
    assert gain["share_with_value"] == pytest.approx(0.44, abs=0.005)
    bought = {row["name"]: row["bought_90d"] for row in segment_study._past(history)["segments"]}
    assert bought["Loyal big spenders"] > 0.9 > 0.4 > bought["Lost small buyers"]
