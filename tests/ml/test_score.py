"""Scoring a day: no later or unsuitable model is used, and the tables are replaced whole or not at all."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer

from goodstanding.core.errors import DataProblem
from goodstanding.warehouse.files import STANDING_SCHEMA
from ml import champions, store
from ml.candidate import probabilities
from ml.features import read_snapshot
from ml.methods import METHODS
from ml.score import _Answer, _scorecard, score
from ml.segments.assign import segment_of_each
from ml.side_by_side import answer, read_questions
from ml.tasks import SCORED, TASKS, known_to
from ml.train import train
from ml.worth import TARGET
from tests.ml.order_log import NEWEST_DAY, open_shop

EARLY, LATE = date(2011, 8, 31), date(2011, 10, 31)
STALE = "insert into predictions.customers (customer_id, as_of) values ('somebody', '2010-12-01')"
BUYS = [TASKS["buys_30d"], TASKS["buys_90d"]]

QUESTIONS = [*(task.name for task in SCORED), TARGET]
# the order scorecards score baskets, not customers: see scorecards/test_train.py
NO_SCORECARD = {name: f"no {name} model was trained on data up to 2011-12-09" for name in ("cod", "emi")}

Shop = duckdb.DuckDBPyConnection


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with models of two days."""
    folder = tmp_path_factory.mktemp("models")
    with open_shop() as shop:
        train(shop, EARLY, folder, BUYS)
        train(shop, LATE, folder)
    return folder


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A shop with predictions of an earlier day."""
    with open_shop() as connection:
        connection.execute(STANDING_SCHEMA.read_text())
        connection.execute(STALE)
        yield connection


@pytest.fixture
def own(models: Path, tmp_path: Path) -> Path:
    """A copy of the store that a test may damage."""
    folder = tmp_path / "models"
    subprocess.run(["cp", "-r", str(models), str(folder)], check=True)
    shutil.copy(models.parent / store.KEY, tmp_path)
    return folder


def sign(path: Path) -> None:
    """Sign a card that was changed and its model again, as whoever has the home's key can."""
    content = path.with_suffix(".skops").read_bytes()
    signature = store._signature(path.parent, path.stem, content, path.read_bytes())
    path.with_suffix(".signature").write_text(signature)


def predictions_of(shop: Shop, what: str = "*", table: str = "customers") -> list[tuple[Any, ...]]:
    order = "order by customer_id" if table == "customers" and "count" not in what else "order by all"
    rows: list[tuple[Any, ...]] = shop.execute(f"select {what} from predictions.{table} {order}").fetchall()
    return rows


def card_of(models: Path, question: str) -> tuple[Path, dict[str, Any]]:
    card = store.newest_card(models, question, NEWEST_DAY)
    assert card
    return models / f"{card['model_id']}.json", card


def test_every_customer_of_the_day_gets_every_prediction_and_old_rows_are_removed(
    shop: Shop, models: Path
) -> None:
    summary = score(shop, NEWEST_DAY, models)
    rows = predictions_of(shop)
    customers = read_snapshot(shop, NEWEST_DAY).customers

    assert (summary["as_of"], summary["customers"]) == ("2011-12-09", len(customers))
    assert summary["notes"] == NO_SCORECARD and list(summary["models"]) == QUESTIONS
    assert [row[0] for row in rows] == sorted(customers)
    for _, as_of, *row in rows:
        buys, (returns, name, likely, orders, spend), days = row[:3], row[3:8], row[8:11]
        assert as_of == NEWEST_DAY
        assert 0 < buys[0] <= buys[1] <= buys[2] < 1 and 0 < returns < 1
        assert name in ("Worst", "Average", "Good", "Best") and 0.25 <= likely <= 1
        assert orders > 0 and spend > 0
        assert days == [None] * 3 or days[1] <= days[0] <= days[2]
        assert row[12:] == [summary["models"]["buys_90d"], None]
    assert predictions_of(shop, "question, model_id", "models") == sorted(
        {**summary["models"], **dict.fromkeys(NO_SCORECARD)}.items()
    )


def test_segments_are_those_of_the_day_and_a_shop_of_a_few_customers_has_none(
    shop: Shop, models: Path
) -> None:
    score(shop, NEWEST_DAY, models)
    snapshot = read_snapshot(shop, NEWEST_DAY)
    expected = dict(zip(snapshot.customers, segment_of_each(snapshot)[1], strict=True))
    assert dict(predictions_of(shop, "customer_id, segment")) == expected and len(set(expected.values())) == 4

    shop.execute("delete from features.customer_features where customer_id >= 'customer-00150'")
    score(shop, NEWEST_DAY, models)
    assert set(predictions_of(shop, "segment")) == {(None,)}


def test_each_prediction_is_that_of_the_model_on_the_features_of_the_day(shop: Shop, models: Path) -> None:
    score(shop, NEWEST_DAY, models)
    for question, column in (("returns_60d", "return_60d_probability"), ("buys_30d", "buy_30d_probability")):
        _, card = card_of(models, question)
        columns = tuple(card["feature_names"])
        snapshot = known_to(shop, TASKS[question], read_snapshot(shop, NEWEST_DAY), columns)
        predicted = probabilities(store.load(models, card["model_id"]), snapshot, columns)
        expected = dict(zip(snapshot.customers, predicted.tolist(), strict=True))
        assert dict(predictions_of(shop, f"customer_id, {column}")) == pytest.approx(expected)


@pytest.mark.parametrize("method", ["persistence", "bg_nbd"])
def test_a_champion_may_read_a_feature_that_only_its_question_has(
    shop: Shop, tmp_path: Path, method: str
) -> None:
    some = {name: METHODS[name] for name in ("majority", method)}
    evaluation = answer(read_questions(shop, LATE, BUYS[1:]), folds=20, methods=some)
    champions.appoint(evaluation, LATE, tmp_path, by="evaluate")
    assert train(shop, LATE, tmp_path, BUYS[1:])["models"]["buys_90d"]["recipe"] == method
    # here all customers arrived at once and age together
    path, card = card_of(tmp_path, "buys_90d")
    for kept in (*card["references"]["inputs"].values(), card["references"]["score"]):
        kept["allowed"] = 99
    path.write_text(json.dumps(card))
    sign(path)
    score(shop, NEWEST_DAY, tmp_path)

    values = [value for (value,) in predictions_of(shop, "buy_90d_probability")]
    assert len(set(values)) > 1 and all(0 <= value <= 1 for value in values)


def test_a_model_of_other_figures_predicts_with_a_word_and_a_refused_one_says_why(
    shop: Shop, own: Path
) -> None:
    # the models were stored without a word on how their figures were computed, as those of earlier versions
    shop.execute("attach ':memory:' as intake; create schema intake.ops")
    shop.execute("create table intake.ops.facts as select 'figures_sql' as name, 'a hash' as value")
    path, card = card_of(own, "buys_30d")
    card["references"]["score"]["allowed"] = 0.001
    path.write_text(json.dumps(card))
    sign(path)
    scoring = score(shop, NEWEST_DAY, own)
    word = (
        "its model was trained on figures that were computed otherwise (the SQL has changed since); "
        "train again (`goodstanding train`)"
    )
    assert scoring["remarks"] == {name: word for name in scoring["models"]}
    assert set(scoring["models"]) == set(QUESTIONS) - {"buys_30d"}
    assert scoring["notes"]["buys_30d"].startswith("refused: ")
    assert set(predictions_of(shop, "model_id, note")) == {(scoring["models"]["buys_90d"], word)}
    shown = {question: note for question, note in predictions_of(shop, "question, note", "models")}
    assert shown == scoring["notes"] | scoring["remarks"]


def test_a_scorecard_of_other_figures_is_used_with_both_remarks() -> None:
    card: Any = {
        "model_id": "cod-1",
        "data_day": "2011-10-31",
        "recipe": "points",
        "scorecard": {"points": 1},
    }
    answer = _Answer("cod", card, learnt_otherwise="train again", remark="a stand-in")
    row = _scorecard(answer, NEWEST_DAY)
    assert row[4:] == ('{"points": 1}', "a stand-in; train again")
    assert _scorecard(replace(answer, note="refused"), NEWEST_DAY)[4:] == (None, "refused")


def test_a_later_model_never_scores_an_earlier_day(shop: Shop, models: Path) -> None:
    def used(day: date) -> Any:
        return score(shop, day, models)["models"].get("buys_90d", "none")

    assert used(date(2011, 7, 31)) == "none"
    assert used(EARLY).startswith("buys_90d-2011-08-31-")
    assert used(date(2011, 9, 30)) == used(EARLY)
    assert used(LATE).startswith("buys_90d-2011-10-31-")


def test_without_a_model_there_is_no_prediction_and_every_question_says_why(
    shop: Shop, tmp_path: Path
) -> None:
    summary = score(shop, NEWEST_DAY, tmp_path / "none")

    assert set(predictions_of(shop, "columns(* exclude (customer_id, as_of, segment, note))")) == {
        (None,) * 12
    }
    assert set(predictions_of(shop, "note")) == {(summary["notes"]["buys_90d"],)}
    assert summary["models"] == {} and list(summary["notes"]) == [*QUESTIONS, *NO_SCORECARD]
    assert summary["notes"]["buys_90d"] == "no buys_90d model was trained on data up to 2011-12-09"
    assert predictions_of(shop, "question, note", "models") == sorted(summary["notes"].items())
    assert predictions_of(shop, "*", "drift") == []


def test_a_day_without_customers_is_empty_and_says_so(shop: Shop, models: Path) -> None:
    summary = score(shop, date(2011, 11, 15), models)

    assert predictions_of(shop) == []
    assert summary["notes"]["buys_90d"] == "features.customer_features has no customer as of 2011-11-15"


def test_a_model_of_different_customers_is_refused_with_the_figure_and_the_others_are_used(
    shop: Shop, own: Path
) -> None:
    path, card = card_of(own, "buys_90d")
    card["references"]["inputs"] = {
        "tenure_days": {"borders": [10.0], "shares": [0.8, 0.1, 0.1], "allowed": 0.3}
    }
    path.write_text(json.dumps(card))
    sign(path)
    note = score(shop, NEWEST_DAY, own)["notes"]["buys_90d"]

    (value,) = predictions_of(shop, "value", "drift where question = 'buys_90d' and kind = 'input'")[0]
    cut = card["fitted_on"]["cut"]
    assert note == (
        f"refused: the stability index of tenure_days since {cut} is {value:.3f}, at most 0.3 is allowed; "
        "train again"
    )
    assert predictions_of(shop, "count(buy_30d_probability) > 0, count(buy_90d_probability)") == [(True, 0)]


def test_a_model_with_wrong_calibration_is_refused(shop: Shop, own: Path) -> None:
    path, card = card_of(own, "buys_90d")
    card["matured"] = {"cut": "2011-07-31", "mean_probability": 0.6, "share": 0.4}
    path.write_text(json.dumps(card))
    sign(path)

    assert score(shop, NEWEST_DAY, own)["notes"]["buys_90d"] == (
        "refused: its probabilities as of 2011-07-31 were 0.200 off the actual share, at most 0.15 is "
        "allowed; train again"
    )


def test_scoring_again_gives_the_same_bytes(models: Path) -> None:
    results = []
    for _ in range(2):
        with open_shop() as connection:
            connection.execute(STANDING_SCHEMA.read_text())
            score(connection, NEWEST_DAY, models)
            results.append(
                [predictions_of(connection, table=name) for name in ("customers", "models", "drift")]
            )

    assert results[0] == results[1] and len(results[0][0]) > 400


def spoil_type(path: Path, card: dict[str, Any]) -> None:
    skops.io.dump(FunctionTransformer(func=subprocess.check_call), path.with_suffix(".skops"))
    sign(path)


def spoil_features(path: Path, card: dict[str, Any]) -> None:
    path.write_text(json.dumps(card | {"feature_names": ["rfm_rank", "shoe_size"]}))
    sign(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_type, "refused, it holds types"),
        (spoil_features, r"no longer computed: shoe_size; train again"),
    ],
)
def test_a_model_that_cannot_be_used_stops_scoring_and_the_tables_stay(
    shop: Shop, own: Path, spoil: Callable[[Path, dict[str, Any]], None], message: str
) -> None:
    spoil(*card_of(own, "returns_60d"))
    with pytest.raises(DataProblem, match=message):
        score(shop, NEWEST_DAY, own)
    assert predictions_of(shop, "customer_id") == [("somebody",)]


def test_a_write_that_fails_half_way_leaves_the_tables_as_they_were(shop: Shop, models: Path) -> None:
    shop.execute("drop table predictions.drift")
    shop.execute("create table predictions.drift (as_of date, value double check (value < 0))")

    with pytest.raises(duckdb.Error):
        score(shop, NEWEST_DAY, models)
    assert predictions_of(shop, "customer_id") == [("somebody",)]
