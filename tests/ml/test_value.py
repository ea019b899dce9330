"""Customer value: every figure equals a plain computation, short data are refused, no later data are used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits

from goodstanding.core.settings import Settings
from goodstanding.warehouse.files import open_warehouse
from ml.lifetime import OrderLog
from ml.value import METHODS, SIMPLE, ValueQuestion, measure_value, read_value
from tests.conftest import Year
from tests.ml.order_log import FIRST_DAY, NEWEST_DAY, add_orders, open_shop

FOLDS = 60
CUTS = ["2011-06-30", "2011-07-31", "2011-08-31"]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(limits=1):
        yield


@pytest.fixture(scope="module")
def shop() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_shop(customers=700) as connection:
        yield connection


@pytest.fixture(scope="module")
def question(shop: duckdb.DuckDBPyConnection) -> ValueQuestion:
    return read_value(shop, NEWEST_DAY)


@pytest.fixture(scope="module")
def value_result(question: ValueQuestion) -> dict[str, Any]:
    return measure_value(question, folds=FOLDS)


def known_at(shop: duckdb.DuckDBPyConnection, cut: str) -> pd.DataFrame:
    """Each customer as of a cut, by plain SQL: score, money, and spend in the 90 days after it."""
    return shop.execute(
        """
        select customer_id, credit_score, monetary, features.spend_90d, coalesce(after.spend, 0) as spend
        from features.customer_features as features
        inner join features.customer_classes using (customer_id, as_of)
        left join (
            select customer_id, sum(net_amount)::double as spend
            from features.invoice_states
            where
                is_kept and invoice_day > $cut::date and invoice_day <= $cut::date + 90
                and valid_from <= $cut::date + 90
                and (valid_until is null or valid_until > $cut::date + 90)
            group by customer_id
        ) as after using (customer_id)
        where as_of = $cut::date
        order by customer_id
        """,
        {"cut": cut},
    ).df()


def test_the_result_is_json_of_aggregates_with_every_value_within_its_interval(
    value_result: dict[str, Any],
) -> None:
    text = json.dumps(value_result)
    assert json.loads(text) == value_result
    assert "customer-0" not in text
    assert value_result["refused"] is None and value_result["left_out"] == {}
    assert [cut["cut"] for cut in value_result["cuts"]] == CUTS
    for by_method in (
        value_result["pooled"],
        value_result["pooled_without_top"],
        *(cut["measures"] for cut in value_result["cuts"]),
    ):
        assert list(by_method) == list(METHODS)
        for measured in by_method.values():
            assert list(measured) == ["mae", "rmse", "bias", "spearman", "gini", "decile_mape", "top_share"]
            for name, (value, low, high) in measured.items():
                # resampling raises the error of a group, so its value may lie below its interval
                assert low <= high and (low <= value <= high or name == "decile_mape"), name


def test_the_simple_forecasts_and_the_actual_spend_equal_those_of_the_tables(
    shop: duckdb.DuckDBPyConnection, value_result: dict[str, Any]
) -> None:
    for cut in value_result["cuts"]:
        rows = known_at(shop, cut["cut"])
        assert cut["customers"] == len(rows) and cut["spenders"] == (rows.spend > 0).sum()
        assert cut["spend"] == pytest.approx(rows.spend.sum(), abs=0.01)
        for method, forecast in (("money_so_far", rows.monetary), ("spend_90d", rows.spend_90d)):
            measured = cut["measures"][method]
            assert measured["mae"][0] == pytest.approx((forecast - rows.spend).abs().mean(), abs=1e-4)
            assert measured["bias"][0] == pytest.approx(forecast.sum() / rows.spend.sum() - 1, abs=1e-4)
            assert measured["spearman"][0] == pytest.approx(
                stats.spearmanr(forecast, rows.spend)[0], abs=1e-4
            )
            less = rows.spend.rank(method="first") <= len(rows) - np.ceil(0.005 * len(rows))
            assert cut["without_top"][method]["mae"][0] == pytest.approx(
                (forecast - rows.spend)[less].abs().mean(), rel=0.01
            )


def test_pooled_measures_weigh_cuts_by_customers_and_gains_are_over_the_best_simple_method(
    value_result: dict[str, Any],
) -> None:
    customers = [cut["customers"] for cut in value_result["cuts"]]
    for method, measured in value_result["pooled"].items():
        for name, interval in measured.items():
            per_cut = [cut["measures"][method][name][0] for cut in value_result["cuts"]]
            assert interval[0] == pytest.approx(np.average(per_cut, weights=customers), abs=1e-5)
    gini = {method: measured["gini"][0] for method, measured in value_result["pooled"].items()}
    assert value_result["baseline"] == max(SIMPLE, key=gini.__getitem__)
    for method, gain in value_result["gini_gain"].items():
        assert gain[0] == pytest.approx(gini[method] - gini[value_result["baseline"]], abs=1e-5)


def test_the_correlation_of_score_and_value_equals_a_plain_computation(
    shop: duckdb.DuckDBPyConnection, value_result: dict[str, Any]
) -> None:
    cuts = [known_at(shop, cut) for cut in CUTS]
    per_cut = [stats.spearmanr(rows.credit_score, rows.spend)[0] for rows in cuts]
    expected = float(np.average(per_cut, weights=[len(rows) for rows in cuts]))
    value, low, high = value_result["rfm_score"]["spend"]["spearman"]

    assert value == pytest.approx(expected, abs=1e-5)
    assert low < expected < high
    # Fisher's interval of one cut; three cuts of the same customers are somewhat more informative
    width = 2 * 1.96 * (1 - expected**2) / np.sqrt(len(cuts[0]))
    assert 0.5 * width < high - low < 1.3 * width
    assert value_result["rfm_score"]["spend"]["p_value"] == pytest.approx(2 / (FOLDS + 1), abs=1e-6)
    assert value_result["rfm_score"]["predicted"]["spearman"][0] > value


def test_the_value_of_each_score_is_the_mean_of_its_customers(
    shop: duckdb.DuckDBPyConnection, value_result: dict[str, Any]
) -> None:
    together = pd.concat([known_at(shop, cut) for cut in CUTS])
    by_score = value_result["rfm_score"]["by_score"]

    assert [row["score"] for row in by_score] == sorted(together.credit_score.unique())
    for row in by_score:
        theirs = together[together.credit_score == row["score"]].spend
        assert row["customers"] == len(theirs)
        if len(theirs) < 10:
            assert row["spend"] is row["predicted_value"] is row["share_of_spend"] is None
        else:
            assert row["share_of_spend"] == pytest.approx(theirs.sum() / together.spend.sum(), abs=1e-5)
            assert row["spend"][0] == pytest.approx(theirs.mean(), abs=1e-4)


def test_intervals_hold_about_their_level_if_seasons_are_alike(value_result: dict[str, Any]) -> None:
    assert 0.74 <= value_result["coverage"][0] <= 0.86
    assert all(0.5 <= cut["level"] <= 0.95 for cut in value_result["cuts"])


def test_the_result_does_not_depend_on_processes_or_later_orders(
    question: ValueQuestion, shop: duckdb.DuckDBPyConnection
) -> None:
    last = replace(question, cuts=question.cuts[-1:])
    once = measure_value(last, folds=20)
    progress: list[tuple[str, int, int]] = []
    assert measure_value(last, lambda *step: progress.append(step), processes=2, folds=20) == once
    assert [done for _, done, _ in progress] == list(range(1, progress[-1][2] + 1))
    later = date.fromisoformat(CUTS[-1]) + timedelta(days=91)
    with shop.cursor() as cursor:
        cursor.begin()
        try:
            add_orders(cursor, [(f"customer-{n:05d}", later, 1e6, None) for n in range(300)])
            # and half of all orders are returned that day
            cursor.execute(
                """
                update features.invoice_states set valid_until = $1
                where valid_until is null and is_kept and invoice_day < $1 and hash(net_amount) % 2 = 0
                """,
                [later],
            )
            again = read_value(cursor, NEWEST_DAY)
            assert measure_value(replace(again, cuts=again.cuts[-1:]), folds=20) == once
        finally:
            cursor.rollback()


def test_the_result_does_not_depend_on_the_pseudonym_key(question: ValueQuestion) -> None:
    def by_another_key(ids: NDArray[Any]) -> NDArray[Any]:
        return np.array([name[::-1] for name in ids], dtype=object)

    last = question.cuts[-1]
    logs = {
        day: OrderLog(by_another_key(log.customers), log.days, log.amounts) for day, log in last.logs.items()
    }
    scored = by_another_key(last.scored)
    order = np.argsort(scored)
    other = replace(last, logs=logs, scored=scored[order], scores=last.scores[order])

    assert [measure_value(replace(question, cuts=[cut]), folds=20) for cut in (other,)] == [
        measure_value(replace(question, cuts=[last]), folds=20)
    ]


def test_if_value_depends_on_the_number_of_orders_the_models_are_left_out_with_a_reason(
    shop: duckdb.DuckDBPyConnection,
) -> None:
    with shop.cursor() as cursor:
        cursor.begin()
        try:
            cursor.execute(
                """
                update features.invoice_states as states set net_amount = 10 + 5 * counted.orders
                from (
                    select customer_id, count(*) as orders
                    from features.invoice_states where is_kept group by customer_id
                ) as counted
                where counted.customer_id = states.customer_id and is_kept
                """
            )
            value_result = measure_value(read_value(cursor, NEWEST_DAY), folds=10)
        finally:
            cursor.rollback()
    assert list(value_result["pooled"]) == list(SIMPLE) and set(value_result["left_out"]) == set(
        METHODS
    ) - set(SIMPLE)
    assert "mean value correlate at +0." in value_result["left_out"]["blend"]
    assert value_result["coverage"] is None and value_result["cuts"][0]["weights"] is None
    assert value_result["rfm_score"]["value_by"] == SIMPLE[-1]


@pytest.mark.parametrize(
    ("newest", "said"),
    [
        (date(2011, 6, 10), "needs 1 month end with 90 days of history before it and 90 after; 19 more days"),
        (FIRST_DAY - timedelta(days=1), "needs customers with orders; there are 0 up to 2010-11-30"),
    ],
)
def test_too_short_a_history_is_refused_with_the_days_that_would_be_enough(
    shop: duckdb.DuckDBPyConnection, newest: date, said: str
) -> None:
    value_result = measure_value(read_value(shop, newest))

    assert said in value_result["refused"]
    assert (value_result["cuts"], value_result["pooled"], value_result["rfm_score"]) == ([], {}, None)
    assert json.loads(json.dumps(value_result)) == value_result


def test_the_days_that_would_be_enough_are_enough(shop: duckdb.DuckDBPyConnection) -> None:
    # the days that the refusal above asks for
    enough = read_value(shop, date(2011, 6, 10) + timedelta(days=19))
    assert [cut.cut for cut in enough.cuts] == [date(2011, 3, 31)]
    assert enough.note == "1 of 3 test cuts; 61 more days (data up to 2011-08-29) would give all"


def test_too_few_repeat_buyers_are_refused_with_the_missing_number() -> None:
    with open_shop(customers=40) as small:
        refused = read_value(small, NEWEST_DAY).refused
    assert refused is not None
    assert "value needs 50 customers" in refused and "more would be enough" in refused


def test_the_real_year_has_the_measured_figures(real_year: Year, tmp_path: Path) -> None:
    # a copy, because other processes also read this home
    shutil.copytree(real_year.home / "warehouse", tmp_path / "warehouse")
    with open_warehouse(Settings(home=tmp_path, _env_file=None)) as connection:
        value_result = measure_value(read_value(connection, NEWEST_DAY), folds=20)

    assert [(cut["cut"], cut["customers"]) for cut in value_result["cuts"]] == list(
        zip(CUTS, (2955, 3142, 3311), strict=True)
    )
    assert {cut["count_model"] for cut in value_result["cuts"]} == {"nbd"}
    assert all(cut["value_correlation"] == pytest.approx(0.115, abs=0.005) for cut in value_result["cuts"])
    pooled = {
        name: {key: of[0] for key, of in measured.items()}
        for name, measured in value_result["pooled"].items()
    }
    gini = {
        "money_so_far": 0.802,
        "spend_90d": 0.748,
        "mean_rate": 0.796,
        "pareto_nbd": 0.802,
        "blend": 0.806,
    }
    for name, value in gini.items():
        assert pooled[name]["gini"] == pytest.approx(value, abs=0.003), name
    assert pooled["blend"]["mae"] == pytest.approx(459, abs=5) and pooled["pareto_nbd"]["mae"] > 470
    assert pooled["blend"]["bias"] == pytest.approx(-0.174, abs=0.02)
    # the goal was .35
    assert pooled["blend"]["decile_mape"] == pytest.approx(0.236, abs=0.02)
    score = value_result["rfm_score"]
    assert score["predicted"]["spearman"][0] == pytest.approx(0.868, abs=0.005)
    assert score["spend"]["spearman"][0] == pytest.approx(0.524, abs=0.002)
    # the goal was .78 to .82, but one year of data cannot show the season before Christmas
    assert value_result["coverage"][0] == pytest.approx(0.759, abs=0.01)
