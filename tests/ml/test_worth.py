"""Worth: what is fitted and asked, against the models themselves; days, refusals, no later order in it."""

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
    """The order days of each customer that counted on a day, and what they spent, read row by row."""
    rows = shop.execute(
        """
        select customer_id, invoice_day, net_amount, valid_from, valid_until
        from features.invoice_states where is_kept
        """
    ).fetchall()
    found: dict[str, Any] = {}
    for name, invoice_day, amount, since, until in rows:
        if invoice_day <= day and since <= day and (until is None or until > day):
            days, spent = found.setdefault(name, (set(), []))
            days.add(invoice_day)
            spent.append(float(amount))
    return found


def test_a_customers_history_is_that_of_the_orders_that_count_on_the_day(
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


def test_what_is_told_is_what_the_fitted_models_expect(
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


def test_days_are_told_with_their_interval_or_not_at_all(
    shop: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    # one who orders every other day, so that there is much to say
    add_orders(shop, [("eager", FIRST_DAY + timedelta(days=n), 9.0, None) for n in range(0, 370, 2)])
    count(shop)
    worth: Worth = store.load(tmp_path, train_worth(shop, NEWEST_DAY, tmp_path)["model_id"])
    snapshot = read_snapshot(shop, NEWEST_DAY)
    columns, _ = ask_worth(shop, worth, snapshot)

    coming = next_order_day(worth.counts, read_purchases(shop, snapshot).histories)
    told = ~np.isnan(coming.day)
    assert 0 < told.sum() < len(told)
    for name, after in (
        ("next_order_day", coming.day),
        ("next_order_from", coming.low),
        ("next_order_until", coming.high),
    ):
        assert (~np.isnat(columns[name]) == told).all()
        days = (columns[name][told] - np.datetime64(NEWEST_DAY)).astype("timedelta64[D]").astype(int)
        assert days.tolist() == after[told].tolist()
    assert (columns["next_order_from"][told] <= columns["next_order_day"][told]).all()
    assert (columns["next_order_day"][told] <= columns["next_order_until"][told]).all()


def test_no_order_after_the_day_changes_the_model(shop: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    before = train_worth(shop, DAY, tmp_path / "before")
    customers = shop.execute("select distinct customer_id from features.customer_features").fetchall()
    add_orders(shop, [(name, DAY + timedelta(days=1), 1e6, None) for (name,) in customers])
    count(shop)
    assert train_worth(shop, DAY, tmp_path / "after") == before


def test_where_the_value_of_orders_hangs_on_their_number_no_spend_is_told(
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


def test_the_model_that_stood_when_the_newest_window_began_is_held_to_what_came(
    shop: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    early = train_worth(shop, date(2011, 8, 30), tmp_path)
    assert early["matured"] is None
    matured = train_worth(shop, NEWEST_DAY, tmp_path)["matured"]

    cut = date(2011, 8, 31)
    assert (matured["cut"], matured["model_id"]) == (str(cut), early["model_id"])
    snapshot = read_snapshot(shop, cut)
    orders = read_purchases(shop, snapshot)
    said = store.load(tmp_path, early["model_id"]).counts.probability_of_order(orders.histories, 90)
    assert matured["mean_probability"] == pytest.approx(said.mean(), abs=1e-6)
    until = cut + timedelta(days=90)
    came = {name for name, (days, _) in by_hand(shop, until).items() if any(cut < day for day in days)}
    assert matured["share"] == pytest.approx(np.isin(snapshot.customers, list(came)).mean(), abs=1e-6)


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
def test_too_little_is_refused_with_the_number_that_is_missing(
    shop: duckdb.DuckDBPyConnection, tmp_path: Path, day: date, sql: str, message: str
) -> None:
    if sql:
        shop.execute(sql)
        count(shop)
    with pytest.raises(DataProblem, match=message):
        train_worth(shop, day, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_histories_are_of_days(shop: duckdb.DuckDBPyConnection) -> None:
    histories = read_purchases(shop, read_snapshot(shop, NEWEST_DAY)).histories
    assert isinstance(histories, Histories)
    assert histories.age.max() == (NEWEST_DAY - FIRST_DAY).days
