"""Customer worth: predictions equal the fitted models', short data are refused, no later orders are used."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from goodstanding.core.errors import DataProblem
from ml import store
from ml.features import read_snapshot
from ml.lifetime import GammaGamma, Histories, ParetoNBD, next_order_day
from ml.worth import Worth, ask_worth, read_purchases, train_worth
from tests.ml.order_log import FIRST_DAY, NEWEST_DAY, add_orders, count, open_shop

DAY = date(2011, 10, 31)


@pytest.fixture
def shop() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_shop() as connection:
        yield connection


def by_hand(shop: duckdb.DuckDBPyConnection, day: date) -> dict[str, Any]:
    """The counted order days and the spend of each customer on a day, read row by row."""
    rows = shop.execute(
        """
        select customer_id, invoice_day, net_amount, valid_from, valid_until
        from features.invoice_states where is_kept
        """
    ).fetchall()
    counted: dict[str, Any] = {}
    for name, invoice_day, amount, since, until in rows:
        if invoice_day <= day and since <= day and (until is None or until > day):
            days, spent = counted.setdefault(name, (set(), []))
            days.add(invoice_day)
            spent.append(float(amount))
    return counted


def test_a_customers_history_has_the_orders_that_count_on_the_day(
    shop: duckdb.DuckDBPyConnection,
) -> None:
    snapshot = read_snapshot(shop, DAY)
    orders, expected = read_purchases(shop, snapshot), by_hand(shop, DAY)

    assert set(snapshot.customers) == set(expected)
    for position, name in enumerate(snapshot.customers):
        days, spent = expected[name]
        assert orders.orders[position] == len(days)
        assert orders.histories.frequency[position] == len(days) - 1
        assert orders.histories.age[position] == (DAY - min(days)).days
        assert orders.histories.recency[position] == (max(days) - min(days)).days
        assert orders.mean_value[position] == pytest.approx(sum(spent) / len(days))


def test_the_predictions_equal_those_of_the_fitted_models(
    shop: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    card = train_worth(shop, DAY, tmp_path)
    worth: Worth = store.load(tmp_path, card["model_id"])
    snapshot = read_snapshot(shop, NEWEST_DAY)
    columns, probability = ask_worth(shop, worth, snapshot)

    then, now = (read_purchases(shop, read_snapshot(shop, day)) for day in (DAY, NEWEST_DAY))
    counts = ParetoNBD.fit(then.histories)
    values = GammaGamma.fit(then.orders, then.mean_value)
    orders = counts.expected_orders(now.histories, 90)
    assert columns["expected_orders_90d"] == pytest.approx(orders)
    spend = orders * values.expected_value(now.orders, now.mean_value)
    assert columns["expected_spend_90d"] == pytest.approx(spend)
    assert probability == pytest.approx(counts.probability_of_order(now.histories, 90))
    assert card["recipe"] == ("pareto_nbd" if counts.drop_out_identifiable else "nbd")
    assert card["parameters"]["p"] == pytest.approx(values.p, rel=1e-5)


def test_next_order_days_are_given_with_their_interval_or_not_at_all(
    shop: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    # one customer orders every other day, so the forecast is precise
    add_orders(shop, [("eager", FIRST_DAY + timedelta(days=n), 9.0, None) for n in range(0, 370, 2)])
    count(shop)
    worth: Worth = store.load(tmp_path, train_worth(shop, NEWEST_DAY, tmp_path)["model_id"])
    snapshot = read_snapshot(shop, NEWEST_DAY)
    columns, _ = ask_worth(shop, worth, snapshot)

    coming = next_order_day(worth.counts, read_purchases(shop, snapshot).histories)
    has_day = ~np.isnan(coming.day)
    assert 0 < has_day.sum() < len(has_day)
    for name, after in (
        ("next_order_day", coming.day),
        ("next_order_from", coming.low),
        ("next_order_until", coming.high),
    ):
        assert (~np.isnat(columns[name]) == has_day).all()
        days = (columns[name][has_day] - np.datetime64(NEWEST_DAY)).astype("timedelta64[D]").astype(int)
        assert days.tolist() == after[has_day].tolist()
    assert (columns["next_order_from"][has_day] <= columns["next_order_day"][has_day]).all()
    assert (columns["next_order_day"][has_day] <= columns["next_order_until"][has_day]).all()


def test_orders_after_the_day_do_not_change_the_model(
    shop: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    before = train_worth(shop, DAY, tmp_path / "before")
    customers = shop.execute("select distinct customer_id from features.customer_features").fetchall()
    add_orders(shop, [(name, DAY + timedelta(days=1), 1e6, None) for (name,) in customers])
    count(shop)
    assert train_worth(shop, DAY, tmp_path / "after") == before


def test_if_order_value_depends_on_order_number_no_spend_is_predicted(
    shop: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    shop.execute(
        """
        update features.invoice_states as states set net_amount = each.orders
        from (select customer_id, count(*) as orders from features.invoice_states group by 1) as each
        where states.customer_id = each.customer_id
        """
    )
    card = train_worth(shop, DAY, tmp_path)
    assert card["value_correlation"] > 0.9 and "p" not in card["parameters"]
    columns, _ = ask_worth(shop, store.load(tmp_path, card["model_id"]), read_snapshot(shop, NEWEST_DAY))
    assert np.isnan(columns["expected_spend_90d"]).all()
    assert (columns["expected_orders_90d"] > 0).all()


def test_the_model_used_when_the_newest_window_began_is_judged_by_the_outcomes(
    shop: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    early = train_worth(shop, date(2011, 8, 30), tmp_path)
    assert early["matured"] is None
    matured = train_worth(shop, NEWEST_DAY, tmp_path)["matured"]

    cut = date(2011, 8, 31)
    assert (matured["cut"], matured["model_id"]) == (str(cut), early["model_id"])
    snapshot = read_snapshot(shop, cut)
    orders = read_purchases(shop, snapshot)
    predicted = store.load(tmp_path, early["model_id"]).counts.probability_of_order(orders.histories, 90)
    assert matured["mean_probability"] == pytest.approx(predicted.mean(), abs=1e-6)
    until = cut + timedelta(days=90)
    buyers = {name for name, (days, _) in by_hand(shop, until).items() if any(cut < day for day in days)}
    assert matured["share"] == pytest.approx(np.isin(snapshot.customers, list(buyers)).mean(), abs=1e-6)


@pytest.mark.parametrize(
    ("day", "sql", "message"),
    [
        (FIRST_DAY - timedelta(days=1), "", "worth_90d needs 1 day with customers; there is none up to"),
        (date(2011, 1, 31), "", "needs 90 days of history; there are 61, 29 more would be enough"),
        (
            DAY,
            "delete from features.invoice_states as one where exists (from "
            "features.invoice_states as other where other.customer_id = one.customer_id "
            "and other.invoice_day < one.invoice_day)",
            "needs 50 customers who ordered on two days or more; there are 0, 50 more would be enough",
        ),
    ],
    ids=["nobody", "a short history", "nobody twice"],
)
def test_too_little_data_is_refused_with_the_missing_number(
    shop: duckdb.DuckDBPyConnection, tmp_path: Path, day: date, sql: str, message: str
) -> None:
    if sql:
        shop.execute(sql)
        count(shop)
    with pytest.raises(DataProblem, match=message):
        train_worth(shop, day, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_histories_count_days(shop: duckdb.DuckDBPyConnection) -> None:
    histories = read_purchases(shop, read_snapshot(shop, NEWEST_DAY)).histories
    assert isinstance(histories, Histories)
    assert histories.age.max() == (NEWEST_DAY - FIRST_DAY).days
