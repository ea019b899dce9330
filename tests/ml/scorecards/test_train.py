"""Training the order scorecards: closed windows, no later data, a card that explains itself, and refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.decisions.order import Order
from goodstanding.decisions.scorecard import Scorecard
from goodstanding.warehouse.files import STANDING_SCHEMA
from ml import champions, store
from ml.features import Snapshot
from ml.score import score
from ml.scorecards.orders import (
    CHARACTERISTICS,
    COD,
    COD_REFUSED,
    EMI,
    characteristics,
    decisions_to_train,
    drift_of_orders,
    newest_card,
    read_orders,
    reported_decisions,
)
from ml.scorecards.rivals import SCORECARD
from ml.scorecards.train import (
    bad_share_of_first,
    read_pairs,
    read_question,
    read_windows,
    train_scorecard,
)
from ml.train import train
from tests.ml.order_log import FIRST_DAY, NEWEST_DAY, open_shop

ORDERS = 5000


def take_orders(connection: duckdb.DuckDBPyConnection, slope: float) -> None:
    """Take in orders whose basket and past returns decide the return rate; with slope 0 nothing does."""
    generator = np.random.default_rng(7)
    days = np.sort(generator.integers(1, (NEWEST_DAY - FIRST_DAY).days, ORDERS))
    rows = pd.DataFrame({name: generator.normal(size=ORDERS) for name in CHARACTERISTICS})
    rows["basket"] = generator.lognormal(5, 1, ORDERS)
    rows["mean_gap_days"] = rows["mean_gap_days"].where(generator.random(ORDERS) < 0.6)
    log_odds = slope * (np.log(rows["basket"]) - 5 + rows["return_rate"]) - 1.2
    rows["came_back"] = generator.random(ORDERS) < 1 / (1 + np.exp(-log_odds))
    rows["customer_id"] = [f"customer-{n:05d}" for n in generator.integers(0, 900, ORDERS)]
    rows["invoice_no"] = [f"i{n}" for n in range(ORDERS)]
    rows["invoice_day"] = [FIRST_DAY + timedelta(days=int(n)) for n in days]
    connection.register("rows", rows)
    connection.execute(
        """
        insert into features.order_features by name
        select * exclude (came_back), invoice_day::date - 1 as as_of from rows;
        insert into features.invoice_states by name
        select
            customer_id, invoice_no, invoice_day::date as invoice_day, basket as net_amount, true as is_kept,
            invoice_day::date as valid_from, 0 as returned_amount,
            case when came_back then invoice_day::date + 10 end as valid_until
        from rows
        union all by name
        select
            customer_id, invoice_no, invoice_day::date as invoice_day, 0 as net_amount, false as is_kept,
            invoice_day::date + 10 as valid_from, basket as returned_amount, null::date as valid_until
        from rows where came_back
        """
    )
    connection.unregister("rows")


def tell_account(
    connection: duckdb.DuckDBPyConnection,
    invoice_no: str,
    kind: str,
    reported_day: date,
    refused: date | None = None,
    customer: str = "ann",
    order_day: date | None = None,
) -> None:
    accounts = "insert into features.order_accounts values ($1, $2, $3, $4, $5, $6)"
    connection.execute(
        accounts, [customer, invoice_no, order_day or reported_day, kind, reported_day, refused]
    )


@pytest.fixture(scope="module")
def shop() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_shop(60) as connection:
        connection.execute(STANDING_SCHEMA.read_text())
        take_orders(connection, slope=0.8)
        yield connection


def test_a_return_counts_within_60_days_and_of_products_alone(shop: duckdb.DuckDBPyConnection) -> None:
    with open_shop(60) as small:
        take_orders(small, 0.8)
        small.execute(
            """
            delete from features.order_features where invoice_no not in ('i0', 'i1', 'i2', 'i3');
            delete from features.invoice_states where valid_from > invoice_day;
            insert into features.invoice_states by name
            select customer_id, invoice_no, invoice_day,
                invoice_day + case invoice_no when 'i1' then 61 else 60 end as valid_from,
                case invoice_no when 'i2' then 0 else 5 end as returned_amount
            from features.order_features where invoice_no <> 'i3'
            """
        )
        orders = read_orders(small, COD, date.min, NEWEST_DAY)
        names = small.execute(
            "select invoice_no from features.order_features order by invoice_day, basket, invoice_no"
        ).fetchall()
    assert dict(zip([name for (name,) in names], orders.labels.tolist(), strict=True)) == {
        "i0": True,
        "i1": False,
        "i2": False,
        "i3": False,
    }


def test_an_instalment_30_days_late_counts_within_90_days_paid_or_not() -> None:
    # days after the order: due, paid, reported, corrected; and the days late that the shop states
    reports = {
        "never paid": [(60, None, 0, None, None)],
        "not 30 days late by then": [(61, None, 0, None, None)],
        "paid 29 days late": [(31, 60, 5, None, None)],
        "paid late": [(31, 61, 5, None, None)],
        "settled in time, told on the last day": [(31, None, 0, 90, None), (31, 31, 90, None, None)],
        "stated late": [(70, None, 70, None, 31)],
        "not known": [(31, None, 0, None, None)],
        "not known, but due too late": [(61, None, 0, None, None)],
        "not known of one, late with another": [(31, None, 0, None, None), (31, None, 31, None, 30)],
        "stated late after the window": [(70, None, 70, 91, 0), (70, None, 91, None, 31)],
    }
    order = date(2011, 5, 1)

    def after(days: int | None) -> date | None:
        return None if days is None else order + timedelta(days=days)

    with open_shop(60) as shop:
        for name, states in {**reports, "paid at once": []}.items():
            shop.execute(
                """
                insert into features.order_features by name
                select 'ann' as customer_id, $1 as invoice_no, $2::date as invoice_day, 10 as basket
                """,
                [name, order],
            )
            if states:
                tell_account(shop, name, "on_account", order)
            for due, paid, since, until, late in states:
                shop.execute(
                    "insert into features.instalment_states "
                    "values ('ann', $1, $2, $3, $4, $5, 10, $6, $7, $8)",
                    [
                        *(name, order, after(since), after(until), after(due)),
                        *(None if "not known" in name else 0 if paid is None else 10, after(paid), late),
                    ],
                )
        labels = read_orders(shop, EMI, date.min, NEWEST_DAY).labels
    # orders of one day and basket are sorted by number; one paid at once or of unknown outcome is left out
    asked = sorted(reports.keys() - {"not known"})
    assert {name for name, is_late in zip(asked, labels, strict=True) if is_late} == {
        "never paid",
        "not known of one, late with another",
        "paid late",
        "stated late",
    }


def test_a_refusal_counts_of_orders_on_delivery_and_is_no_return() -> None:
    order = date(2011, 5, 1)
    # payment method, and the days after the order: reported, refused, cancelled
    reports = {
        "accepted": ("on_delivery", 2, None, None),
        "given back": ("on_delivery", 2, None, 20),
        "known too late to be on delivery": ("on_delivery", 31, 32, 33),
        "prepaid": ("e_payment", 0, None, 5),
        "refused": ("on_delivery", 2, 3, 3),
        "refused in the end": ("on_delivery", 2, 30, 40),
        "refused late": ("on_delivery", 2, 31, 31),
    }
    with open_shop(60) as shop:
        shop.execute("delete from features.invoice_states")
        for name, (kind, *days) in reports.items():
            known, refused, cancelled = (day and order + timedelta(days=day) for day in days)
            tell_account(shop, name, kind, known or order, refused, order_day=order)
            shop.execute(
                """
                insert into features.order_features by name
                select 'ann' as customer_id, $1 as invoice_no, $2::date as invoice_day, 10 as basket;
                """,
                [name, order],
            )
            if cancelled:
                shop.execute(
                    """
                    insert into features.invoice_states by name
                    select
                        'ann' as customer_id, $1 as invoice_no, $2::date as valid_from,
                        $3::date as invoice_day, 10 as returned_amount
                    """,
                    [name, cancelled, order],
                )
        found = {
            decision_.name: read_orders(shop, decision_, date.min, NEWEST_DAY)
            for decision_ in (COD_REFUSED, COD)
        }
    labels = {
        name: dict(zip(orders.features.index, orders.labels.tolist(), strict=True))
        for name, orders in found.items()
    }
    assert set(reports) - set(labels["cod_refused"]) == {"prepaid", "known too late to be on delivery"}
    assert {name for name, is_bad in labels["cod_refused"].items() if is_bad} == {
        "refused",
        "refused in the end",
    }
    assert set(labels["cod"]) == set(reports)
    assert {name for name, is_bad in labels["cod"].items() if is_bad} == {"given back", "prepaid"}


def test_every_training_window_closed_before_the_first_tested_order(shop: duckdb.DuckDBPyConnection) -> None:
    pairs = read_pairs(shop, COD, NEWEST_DAY)
    assert [(str(pair.fit_on.as_of), str(pair.test_on.as_of)) for pair in pairs] == [
        ("2011-05-01", "2011-07-31"),
        ("2011-06-01", "2011-08-31"),
        ("2011-07-02", "2011-09-30"),
    ]
    (pair,) = read_windows(shop, COD, [(date(2011, 8, 9), date(2011, 10, 9))])
    assert pair.fit_on.as_of + timedelta(days=COD.task.days) == date(2011, 8, 9)
    window = "invoice_day between '2011-08-10' and '2011-10-09'"
    counted = shop.execute(f"select 1 from features.order_features where {window}").fetchall()
    assert len(pair.test_on.customers) == len(counted)


@pytest.fixture(scope="module")
def models(shop: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    train_scorecard(shop, COD, date(2011, 11, 30), folder)
    return folder


def test_the_card_says_what_it_was_fitted_on_and_holds_no_customer(
    shop: duckdb.DuckDBPyConnection, models: Path
) -> None:
    card = store.newest_card(models, COD.name, NEWEST_DAY)
    assert card is not None
    assert (card["recipe"], card["fitted_on"]["label_until"]) == (SCORECARD, "2011-11-30")
    assert card["fitted_on"]["cut"] == "2011-10-01"
    scorecard = Scorecard.from_json(card["scorecard"])
    assert {"basket", "return_rate"} <= {
        characteristic.name for characteristic in scorecard.characteristics[:2]
    }
    assert (scorecard.decision, scorecard.model_id) == ("cod", card["model_id"])
    assert card["measured"]["gain"][1] > 0
    assert "customer-" not in json.dumps(card)


def test_later_days_do_not_change_the_model(models: Path, tmp_path: Path) -> None:
    with open_shop(60) as again:
        take_orders(again, slope=0.8)
        for table, changed in (
            ("order_features", "basket = 1, return_rate = 0 where as_of >= '2011-11-30'"),
            ("invoice_states", "returned_amount = 0 where valid_from > '2011-11-30'"),
        ):
            again.execute(f"update features.{table} set {changed}")
        card = train_scorecard(again, COD, date(2011, 11, 30), tmp_path)
    assert card["model_id"] == store.newest_card(models, COD.name, NEWEST_DAY)["model_id"]


def test_the_day_is_scored_with_the_card(shop: duckdb.DuckDBPyConnection, models: Path) -> None:
    sql = "select as_of, decision, model_id, data_day, card, note from predictions.scorecards order by 2"
    summary = score(shop, NEWEST_DAY, models)
    (as_of, decision, model_id, data_day, text, note), _ = shop.execute(sql).fetchall()
    assert (as_of, decision, data_day) == (NEWEST_DAY, "cod", date(2011, 11, 30))
    assert "predicts whether a product is given back" in note
    assert summary["models"] == {"cod": model_id}
    assert Scorecard.from_json(json.loads(text)).model_id == model_id


def test_the_data_of_the_shop_decide_which_label_is_fitted_and_the_newest_card_is_used(
    tmp_path: Path,
) -> None:
    first = date(2011, 3, 5)
    with open_shop(60) as shop:
        # a refusal without an order on delivery, and one that is reported later
        tell_account(shop, "1", "e_payment", first, first)
        tell_account(shop, "2", "on_delivery", first, first + timedelta(days=2))
        reports = {
            day: (
                [decision_.name for decision_ in reported_decisions(shop, day)],
                [*(decision_.name for decision_ in decisions_to_train(shop, day))],
            )
            for day in (first + timedelta(days=days) for days in (1, 2))
        }
    assert list(reports.values()) == [
        (["cod", "emi"], ["cod", "emi"]),
        (["cod_refused", "cod", "emi"], ["cod_refused", "emi"]),
    ]

    def newest(as_of: date) -> tuple[str, str | None]:
        decision, card = newest_card(tmp_path, "cod", as_of)
        return decision.name, card and card["model_id"]

    assert newest(NEWEST_DAY) == ("cod", None)
    for target, day in (("cod", "2011-03-01"), ("cod_refused", "2011-06-01"), ("cod", "2011-06-01")):
        card = {"model_id": f"{target}-{day}-scorecard-1", "target": target, "data_day": day}
        store.save_card(card, tmp_path)
    # the card of returns is used until one of refusals has been fitted
    assert newest(date(2011, 5, 31)) == ("cod", "cod-2011-03-01-scorecard-1")
    assert newest(NEWEST_DAY) == ("cod_refused", "cod_refused-2011-06-01-scorecard-1")


def take_refusals(connection: duckdb.DuckDBPyConnection) -> None:
    """Make every order of `take_orders` one on delivery, and four of five returns a refusal."""
    connection.execute(
        """
        insert into features.order_accounts
        select
            customer_id, invoice_no, invoice_day, 'on_delivery', invoice_day,
            case when max(returned_amount) > 0 and invoice_no[2:]::integer % 5 > 0 then invoice_day + 3 end
        from features.invoice_states where invoice_no is not null
        group by customer_id, invoice_no, invoice_day
        """
    )


def test_a_shop_that_starts_to_report_refusals_keeps_its_card_until_one_of_refusals_is_fitted(
    models: Path, tmp_path: Path
) -> None:
    returns = newest_card(models, "cod", NEWEST_DAY)[1]
    assert returns
    store.save_card(returns, tmp_path)
    sql = "select model_id, note, card ->> 'feared' from predictions.scorecards where decision = 'cod'"
    with open_shop(60) as shop:
        shop.execute(STANDING_SCHEMA.read_text())
        take_orders(shop, slope=0.8)
        take_refusals(shop)
        score(shop, NEWEST_DAY, tmp_path)
        (before,) = shop.execute(sql).fetchall()
        trained = train(shop, NEWEST_DAY, tmp_path, tasks=[])
        score(shop, NEWEST_DAY, tmp_path)
        (after,) = shop.execute(sql).fetchall()
        drifts = shop.execute(
            "select name from predictions.drift where question = 'cod' order by 1"
        ).fetchall()
    card = trained["models"]["cod_refused"]
    assert before == (returns["model_id"], COD.note, COD.bad_outcome)
    assert after == (card["model_id"], None, "the parcel is refused at the door")
    assert card["measured"]["baseline"] in ("basket", "refusal_rate") and "cod" not in trained["models"]
    assert drifts == [(name,) for name in sorted([*card["references"]["inputs"], "probability"])]


def test_a_card_is_not_used_for_orders_of_another_kind(models: Path) -> None:
    with open_shop(60) as other:
        other.execute(STANDING_SCHEMA.read_text())
        take_orders(other, slope=0.8)
        other.execute("update features.order_features set basket = 3000 where as_of > '2011-11-08'")
        score(other, NEWEST_DAY, models)
        rows = other.execute(
            "select model_id, card, note from predictions.scorecards order by decision"
        ).fetchall()
        (model_id, text, note), _ = rows
    assert (model_id, text) == (None, None)
    assert note.startswith("refused: the stability index of basket since 2011-10-01 is ")


def test_predictions_are_compared_with_the_outcomes_of_orders_after_the_card(
    models: Path, tmp_path: Path
) -> None:
    newest = store.newest_card(models, COD.name, NEWEST_DAY)
    assert newest
    cut, over = date(2011, 9, 10), date(2011, 10, 10)

    def calibration(models: Path) -> list[tuple[str, float, bool]]:
        score(shop, NEWEST_DAY, models)
        sql = "select name, value, is_within from predictions.drift where kind = 'calibration'"
        return shop.execute(sql).fetchall()

    with open_shop(60) as shop:
        shop.execute(STANDING_SCHEMA.read_text())
        take_orders(shop, slope=0.8)
        store.save_card(
            newest | {"data_day": "2011-09-10", "model_id": "cod-2011-09-10-scorecard-0"}, tmp_path
        )
        ((day, off, is_within),) = calibration(tmp_path)
        matured = read_orders(shop, COD, cut, over)
        scorecard = Scorecard.from_json(newest["scorecard"])
        rows = matured.features.astype(object).replace({np.nan: None}).to_dict("records")
        predicted = [scorecard.probability(scorecard.score(row)) for row in rows]
        assert (day, is_within, len(predicted) > 200) == ("2011-09-10", True, True)
        assert off == pytest.approx(abs(np.mean(predicted) - matured.labels.mean()))

        # a card fitted on the first of these orders is not judged by them
        later = newest | {"data_day": "2011-09-11", "model_id": "cod-2011-09-11-scorecard-0"}
        store.save_card(later, tmp_path / "later")
        assert calibration(tmp_path / "later") == []

        shop.execute(
            "update features.invoice_states set returned_amount = 1 "
            "where invoice_day between '2011-09-11' and '2011-10-10'"
        )
        ((_, off, is_within),) = calibration(tmp_path)
        note = "select note from predictions.scorecards where decision = 'cod' and card is null"
        ((said_why,),) = shop.execute(note).fetchall()
        assert not is_within and said_why == (
            f"refused: its probabilities as of 2011-09-10 were {off:.3f} off the actual share, at most 0.05 "
            "is allowed; train again"
        )
        # too few to judge
        shop.execute(
            "delete from features.order_features where invoice_day between '2011-09-11' and '2011-09-30'"
        )
        assert calibration(tmp_path) == []


def test_before_any_training_the_table_says_why_there_is_no_card(
    shop: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    score(shop, NEWEST_DAY, tmp_path)
    assert shop.execute("select decision, card, note from predictions.scorecards order by 1").fetchall() == [
        (name, None, f"no {name} model was trained on data up to 2011-12-09") for name in ("cod", "emi")
    ]


def test_a_scorecard_that_gains_nothing_and_a_young_shop_are_refused(tmp_path: Path) -> None:
    with open_shop(60) as connection:
        assert "there is none" in str(read_question(connection, COD, NEWEST_DAY).refused)
        take_orders(connection, slope=0.0)
        with pytest.raises(DataProblem, match=r"cod: .* ships: no challenger gains significantly"):
            train_scorecard(connection, COD, NEWEST_DAY, tmp_path)
        with pytest.raises(
            DataProblem, match="cod needs 1 month\\(s\\) of its orders whose 60 days are over"
        ):
            train_scorecard(connection, COD, date(2011, 2, 1), tmp_path)
    assert not list(tmp_path.iterdir())


def test_after_a_rollback_the_previous_scorecard_is_used_until_an_evaluation(
    shop: duckdb.DuckDBPyConnection, models: Path, tmp_path: Path
) -> None:
    early = store.newest_card(models, COD.name, NEWEST_DAY)
    assert early
    store.save_card(early, tmp_path)
    late = train_scorecard(shop, COD, NEWEST_DAY, tmp_path)
    rollback = champions.roll_back(tmp_path, COD.name)
    assert (rollback["champion"], rollback["instead_of"]) == (early["model_id"], late["model_id"])
    assert (rollback["model_id"], rollback["withdrawn"]) == (early["model_id"], [late["model_id"]])

    def model_in_use() -> str:
        score(shop, NEWEST_DAY, tmp_path)
        sql = "select model_id from predictions.models where question = 'cod'"
        ((model_id,),) = shop.execute(sql).fetchall()
        return str(model_id)

    # the weekly training does not restore the withdrawn card
    refused = train(shop, NEWEST_DAY, tmp_path, tasks=[])["refused"]
    assert f"{late['model_id']} was withdrawn, and the scorecard before it is used" in refused["cod"]
    assert model_in_use() == early["model_id"]
    task = {"refused": None, "champion": SCORECARD}
    champions.appoint({"tasks": {COD.name: task}}, date(2011, 12, 8), tmp_path, by="evaluate")
    assert "cod" in train(shop, NEWEST_DAY, tmp_path, tasks=[])["refused"], (
        "that evaluation had appointed no other"
    )
    champions.appoint({"tasks": {COD.name: task}}, NEWEST_DAY, tmp_path, by="evaluate")
    assert train(shop, NEWEST_DAY, tmp_path, tasks=[])["models"]["cod"]["model_id"] == late["model_id"]
    assert model_in_use() == late["model_id"]

    # a second rollback also withdraws the evaluation that appointed it
    again = champions.roll_back(tmp_path, COD.name)["withdrawn"]
    assert again[0] == late["model_id"] and again[1].startswith("cod-2011-12-09-scorecard-")
    with pytest.raises(WrongUse, match=f"cod has had no scorecard but {early['model_id']}: there is none"):
        champions.roll_back(tmp_path, COD.name)


def test_a_card_learns_the_channel_and_weight_of_orders_where_the_shop_reports_them(tmp_path: Path) -> None:
    with open_shop() as shop:
        take_orders(shop, slope=1)
        assert characteristics(shop, NEWEST_DAY) == CHARACTERISTICS
        # what decides most: heavy orders come back, and those by telephone
        shop.execute(
            """
            update features.order_features as orders set
                weight = hash(orders.invoice_no) % 1000 / 333
                    + case when came_back.invoice_no is null then 1 else 3 end,
                channel = case
                    when hash(orders.invoice_no, 1) % 10 < 3 then 'web'
                    when came_back.invoice_no is null then 'shop'
                    else 'telephone'
                end,
                payment_type = case when orders.invoice_no = 'i1' then 'cheque' end
            from (select distinct invoice_no, invoice_day from features.order_features) as every_order
            left join (from features.invoice_states where returned_amount > 0) as came_back
                using (invoice_no)
            where orders.invoice_no = every_order.invoice_no
            """
        )
        names = characteristics(shop, NEWEST_DAY)
        found = ("channel: shop", "channel: telephone", "channel: web")
        # one cheque is too few to learn from
        assert names == (*CHARACTERISTICS, "weight", *found)
        # by the end of a day before all orders, nothing is reported
        assert characteristics(shop, FIRST_DAY) == CHARACTERISTICS
        card = train_scorecard(shop, COD, NEWEST_DAY, tmp_path)
        assert drift_of_orders(shop, COD, card, NEWEST_DAY, tmp_path)
    assert {"weight", "channel: telephone"} <= set(card["feature_names"])
    scorecard = Scorecard.from_json(card["scorecard"])
    light, heavy = (
        scorecard.score(Order(channel=channel, weight=Decimal(weight)).values(["weight", *found]))
        for channel, weight in (("shop", 1), ("telephone", 6))
    )
    assert light > heavy + 50


def test_first_orders_have_the_bad_share_that_they_had_where_enough_of_them_were_bad():
    orders = pd.DataFrame({"orders": [0.0] * 300 + [5.0] * 300})
    bad = np.zeros(600, dtype=bool)
    bad[:60] = bad[300:] = True
    names = np.arange(600).astype(object)
    assert bad_share_of_first(Snapshot(date(2011, 1, 1), names, orders, bad)) == 0.2
    bad[:20] = False
    assert bad_share_of_first(Snapshot(date(2011, 1, 1), names, orders, bad)) is None
    assert bad_share_of_first(Snapshot(date(2011, 1, 1), names, orders[[]], bad)) is None
