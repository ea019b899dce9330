"""Pairs of train and test cuts: closed windows, labels by hand, clear refusals, nothing after the cut."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import chain

import duckdb
import numpy as np
import pandas as pd
import pytest

from goodstanding.core.errors import DataProblem
from ml.candidate import probabilities
from ml.features import Snapshot
from ml.methods import METHODS
from ml.pairs import Pair, read_pairs, too_few_cuts
from ml.tasks import BEFORE, CLASSES, DAYS_AHEAD, FORMULA, ORDER_DAYS, TASKS
from tests.ml.conftest import MONTH_ENDS
from tests.ml.order_log import FIRST_DAY, NEWEST_DAY, add_orders, count, open_shop

ON_THE_FUTURE = [name for name, task in TASKS.items() if not task.is_formula]
LONG_ENOUGH = [name for name in ON_THE_FUTURE if name != "value_tier_6m"]


@pytest.fixture
def shop() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_shop() as connection:
        yield connection


def snapshots(pairs: list[Pair]) -> list[Snapshot]:
    return list(chain.from_iterable((pair.fit_on, pair.test_on) for pair in pairs))


def label(snapshot: Snapshot, customer: str) -> int:
    return int(snapshot.labels[snapshot.customers.tolist().index(customer)])


@pytest.mark.parametrize("name", LONG_ENOUGH)
def test_every_window_closes_by_the_newest_day_and_that_of_the_train_cut_by_the_test_cut(
    shop: duckdb.DuckDBPyConnection, name: str
) -> None:
    task, pairs = TASKS[name], read_pairs(shop, TASKS[name], NEWEST_DAY)

    assert len(pairs) == 3
    for pair in pairs:
        assert task.moved(pair.fit_on.as_of, 1) <= pair.test_on.as_of
        assert task.moved(pair.test_on.as_of, 1) <= NEWEST_DAY
    # no month end between the last test cut and the newest day would be possible
    assert task.moved(pairs[-1].test_on.as_of + timedelta(days=31), 1) > NEWEST_DAY
    day_before = read_pairs(shop, task, task.moved(pairs[-1].test_on.as_of, 1) - timedelta(days=1))
    assert day_before[-1].test_on.as_of == pairs[-2].test_on.as_of


@pytest.mark.parametrize("name", LONG_ENOUGH)
def test_orders_after_the_last_window_change_nothing(name: str) -> None:
    with open_shop() as whole, open_shop() as cut_off:
        task = TASKS[name]
        last = task.moved(read_pairs(cut_off, task, NEWEST_DAY)[-1].test_on.as_of, 1)
        late = [date(2011, 12, 9) + timedelta(days=n) for n in range(1, 30)]
        everybody = cut_off.execute("select distinct customer_id from features.customer_features").fetchall()
        add_orders(whole, [(customer, day, 5.0, None) for (customer,) in everybody for day in late[:2]])
        for shop, cancelled in ((whole, last + timedelta(days=1)), (cut_off, None)):
            shop_orders = [(name, last - timedelta(days=3), 5.0, cancelled) for (name,) in everybody[:80]]
            add_orders(shop, shop_orders)
        count(whole, late[-1])
        count(cut_off)
        shown = [snapshots(read_pairs(shop, task, NEWEST_DAY)) for shop in (whole, cut_off)]

    for with_later, cut_off_pair in zip(*shown, strict=True):
        pd.testing.assert_frame_equal(with_later.features, cut_off_pair.features, check_exact=True)
        assert with_later.labels.tolist() == cut_off_pair.labels.tolist()


@pytest.mark.parametrize("name", LONG_ENOUGH)
def test_orders_after_the_cut_leave_features_and_predictions_bit_identical(
    shop: duckdb.DuckDBPyConnection, name: str
) -> None:
    task = TASKS[name]
    before = read_pairs(shop, task, NEWEST_DAY)[-1]
    cut, half = before.test_on.as_of, before.test_on.customers[::2]
    days = [cut + timedelta(days=n) for n in (1, 2, 3)]
    add_orders(
        shop,
        [order for name in half for order in ((name, days[1], 900.0, None), (name, days[0], 9.0, days[2]))],
    )
    count(shop)
    after = read_pairs(shop, task, NEWEST_DAY)[-1]

    pd.testing.assert_frame_equal(before.test_on.features, after.test_on.features, check_exact=True)
    assert before.test_on.labels.tolist() != after.test_on.labels.tolist()
    for method in (METHODS[name] for name in ("persistence", "rfm_rank", "logistic_regression", "lightgbm")):
        predicted = [
            probabilities(method.fit(pair.fit_on), pair.test_on, method.columns) for pair in (before, after)
        ]
        assert predicted[0].tobytes() == predicted[1].tobytes(), method.name


def test_a_buyer_orders_within_the_window_and_the_order_still_counts_at_its_end(
    shop: duckdb.DuckDBPyConnection,
) -> None:
    task = TASKS["buys_30d"]
    cut = read_pairs(shop, task, NEWEST_DAY)[-1].test_on.as_of
    last = cut + timedelta(days=30)
    names = ("on the cut", "first day", "last day", "day after", "cancelled", "cancelled later")
    shop.execute("delete from features.invoice_states where customer_id < 'customer-00006'")
    ids = {name: f"customer-{number:05d}" for number, name in enumerate(names)}
    one_day = timedelta(days=1)
    ordered = [
        *((ids[name], cut - timedelta(days=9)) for name in names),
        (ids["on the cut"], cut),
        (ids["first day"], cut + one_day),
        (ids["last day"], last),
        (ids["day after"], last + one_day),
    ]
    add_orders(shop, [(customer, day, 9.0, None) for customer, day in ordered])
    add_orders(shop, [(ids["cancelled"], cut + one_day, 9.0, last)])
    add_orders(shop, [(ids["cancelled later"], cut + one_day, 9.0, last + one_day)])
    count(shop)
    snapshot = read_pairs(shop, task, NEWEST_DAY)[-1].test_on

    assert {name: label(snapshot, customer) for name, customer in ids.items()} == {
        "on the cut": 0,
        "first day": 1,
        "last day": 1,
        "day after": 0,
        "cancelled": 0,
        "cancelled later": 1,
    }
    order_days = snapshot.features[ORDER_DAYS][snapshot.customers.tolist().index(ids["on the cut"])]
    assert order_days == 2
    assert (snapshot.features[DAYS_AHEAD] == 30).all()


def test_the_label_before_is_that_of_the_window_that_ended_at_the_cut(
    shop: duckdb.DuckDBPyConnection,
) -> None:
    pair = read_pairs(shop, TASKS["class_next_quarter"], NEWEST_DAY)[-1]
    rows = shop.execute(
        "select customer_id, class from features.customer_classes where as_of = $1", [pair.test_on.as_of]
    ).fetchall()
    stood = [CLASSES[code] for code in pair.test_on.features[BEFORE]]
    assert dict(zip(pair.test_on.customers, stood, strict=True)) == dict(rows)

    pair = read_pairs(shop, TASKS["buys_30d"], NEWEST_DAY)[-1]
    expected = pair.test_on.features["recency_days"] < 30
    assert pair.test_on.features[BEFORE].tolist() == expected.astype(int).tolist()


def test_a_customer_without_a_class_any_more_is_worst(shop: duckdb.DuckDBPyConnection) -> None:
    task = TASKS["class_next_quarter"]
    cut = read_pairs(shop, task, NEWEST_DAY)[-1].test_on.as_of
    shop.execute(
        "delete from features.customer_classes where customer_id = 'customer-00001' and as_of = $1",
        [task.moved(cut, 1)],
    )
    assert label(read_pairs(shop, task, NEWEST_DAY)[-1].test_on, "customer-00001") == 0


def test_the_tiers_of_both_cuts_are_those_of_the_train_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.pairs.MINIMUM_OF_CLASS", 0)
    newest = date(2012, 6, 30)
    with open_shop(newest=newest) as shop:
        rich = "update features.invoice_states set net_amount = net_amount * 100 where invoice_day > $1"
        plain = read_pairs(shop, TASKS["value_tier_6m"], newest)[-1]
        shop.execute(rich, [plain.test_on.as_of])
        richer = read_pairs(shop, TASKS["value_tier_6m"], newest)[-1]

    train = np.bincount(plain.fit_on.labels)
    assert train[1:].max() - train[1:].min() <= 1, "thirds of those who spent"
    assert richer.fit_on.labels.tolist() == plain.fit_on.labels.tolist()
    spent = plain.test_on.labels > 0
    assert (richer.test_on.labels[~spent] == 0).all()
    assert (richer.test_on.labels[spent] == 3).mean() > 0.9, "a hundred times the money, by the old borders"


def test_the_formula_is_fitted_in_random_folds_of_today_from_three_figures(
    shop: duckdb.DuckDBPyConnection,
) -> None:
    pairs = read_pairs(shop, TASKS["present_class"], NEWEST_DAY)
    customers = shop.execute(
        "select customer_id from features.customer_features where as_of = $1", [NEWEST_DAY]
    ).fetchall()

    assert sorted(chain.from_iterable(pair.test_on.customers for pair in pairs)) == sorted(
        customer for (customer,) in customers
    )
    for pair in pairs:
        assert not set(pair.fit_on.customers) & set(pair.test_on.customers)
        assert list(pair.test_on.features) == [*FORMULA, *(f"rank_{name}" for name in FORMULA)]
        # each fold is ranked among its own customers
        assert pair.test_on.features["rank_monetary"].mean() == pytest.approx(0.5)


@pytest.mark.parametrize("name", ON_THE_FUTURE)
def test_a_short_history_is_refused_with_the_missing_days_and_these_are_enough(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    task = TASKS[name]
    monkeypatch.setattr("ml.pairs.MINIMUM_OF_CLASS", 5)
    with open_shop(newest=date(2012, 3, 31)) as shop:
        # 2010-12-31 is the first month end
        over = task.moved(date(2010, 12, 31), 1)
        test_cut = next(day for day in MONTH_ENDS if day >= over)
        enough = task.moved(test_cut, 1)
        with pytest.raises(
            DataProblem, match=rf"{name} needs 1 test cut .* 1 more days \(data up to {enough}\)"
        ):
            read_pairs(shop, task, enough - timedelta(days=1))
        pairs = read_pairs(shop, task, enough)
        assert [pair.test_on.as_of for pair in pairs] == [test_cut]
        assert str(too_few_cuts(shop, task, enough, len(pairs))).startswith("1 of 3 test cuts; ")
        assert too_few_cuts(shop, task, date(2012, 3, 31), 3) is None


def test_a_cut_with_too_few_customers_of_a_class_is_left_out_and_the_note_says_so(
    shop: duckdb.DuckDBPyConnection,
) -> None:
    task = TASKS["returns_60d"]
    last = read_pairs(shop, task, NEWEST_DAY)[-1].test_on.as_of
    shop.execute("delete from features.product_cancellations where event_day > $1", [last])
    pairs = read_pairs(shop, task, NEWEST_DAY)

    assert 0 < len(pairs) < 3 and pairs[-1].test_on.as_of < last
    note = too_few_cuts(shop, task, NEWEST_DAY, len(pairs))
    assert note == f"{len(pairs)} of 3 test cuts; the others have fewer than 50 of a class"


def test_a_class_that_is_too_rare_is_refused_with_its_number() -> None:
    with open_shop(customers=100) as shop:
        with pytest.raises(
            DataProblem, match=r"at least 50 customers of each class .* there are \d+ of 'yes'"
        ):
            read_pairs(shop, TASKS["returns_60d"], NEWEST_DAY)
        with pytest.raises(
            DataProblem, match=r"present_class needs at least 100 .* as of 2011-12-09 there are 2\d of"
        ):
            read_pairs(shop, TASKS["present_class"], NEWEST_DAY)


def test_before_the_first_customer_there_is_nothing_to_ask(shop: duckdb.DuckDBPyConnection) -> None:
    day = FIRST_DAY - timedelta(days=1)
    with pytest.raises(DataProblem, match="needs 1 day with customers"):
        read_pairs(shop, TASKS["present_class"], day)
    with pytest.raises(DataProblem, match="needs 1 test cut"):
        read_pairs(shop, TASKS["buys_90d"], day)
