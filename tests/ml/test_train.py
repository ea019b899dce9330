"""Training: closed windows, no later data, the same result again, honest cards, and clear refusals."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from goodstanding.core.errors import DataProblem
from ml import champions, store
from ml.candidate import probabilities
from ml.methods import METHODS
from ml.pairs import read_pairs
from ml.short_list import SHORT_LIST
from ml.side_by_side import answer, read_questions
from ml.tasks import SCORED, TASKS
from ml.train import train
from ml.worth import TARGET
from tests.ml.order_log import FIRST_DAY, NEWEST_DAY, add_orders, count, open_shop

DAY = date(2011, 10, 31)
ONE = [TASKS["buys_90d"]]


@pytest.fixture(scope="module")
def shop() -> Iterator[duckdb.DuckDBPyConnection]:
    with open_shop() as connection:
        yield connection


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def trained(shop: duckdb.DuckDBPyConnection, models: Path) -> dict[str, Any]:
    return train(shop, DAY, models)


def stored(models: Path) -> list[Path]:
    return [path for path in models.rglob("*") if path.is_file()] if models.exists() else []


def test_every_question_gets_a_model_fitted_on_its_newest_cut_with_a_closed_window(
    trained: dict[str, Any],
) -> None:
    assert list(trained["models"]) == [TARGET, *(task.name for task in SCORED)]
    cuts = {
        name: (card["fitted_on"]["cut"], card["fitted_on"]["label_until"])
        for name, card in trained["models"].items()
        if name != TARGET
    }
    assert cuts == {
        "buys_30d": ("2011-09-30", "2011-10-30"),
        "buys_60d": ("2011-08-31", "2011-10-30"),
        "buys_90d": ("2011-07-31", "2011-10-29"),
        "class_next_quarter": ("2011-07-31", "2011-10-31"),
        "returns_60d": ("2011-08-31", "2011-10-30"),
    }


def test_the_short_list_was_measured_on_windows_that_end_by_the_next_cut(
    trained: dict[str, Any],
) -> None:
    evaluation = trained["evaluations"]["buys_90d"]
    assert (evaluation["by"], set(evaluation["pooled"])) == ("train", set(SHORT_LIST))
    for cut in evaluation["cuts"]:
        until = date.fromisoformat(cut["train_cut"]) + timedelta(days=90)
        assert until <= date.fromisoformat(cut["test_cut"])
        assert date.fromisoformat(cut["label_until"]) <= DAY


def test_later_days_do_not_change_the_models(tmp_path: Path) -> None:
    with open_shop() as whole, open_shop(newest=DAY) as cut_off:
        # every customer buys again, for a large amount
        day = DAY + timedelta(days=1)
        customers = whole.execute("select distinct customer_id from features.customer_features").fetchall()
        add_orders(whole, [(name, day, 1e6, None) for (name,) in customers])
        count(whole)
        log = "features.invoice_states where invoice_day <= $1"
        columns = "customer_id, invoice_day, net_amount, is_kept, valid_from, valid_until"
        for table in ("features.invoice_states", "features.product_cancellations"):
            cut_off.execute(f"delete from {table}")
        rows = whole.execute(f"select {columns} from {log} and valid_from <= $1", [DAY]).df()
        cut_off.execute("insert into features.invoice_states by name select * from rows")
        lines = whole.execute("from features.product_cancellations where event_day <= $1", [DAY]).df()
        cut_off.execute("insert into features.product_cancellations select * from lines")
        count(cut_off, DAY)
        assert len(rows) and len(lines)
        tasks = [TASKS["class_next_quarter"], TASKS["returns_60d"]]
        first = train(whole, DAY, tmp_path / "whole", tasks)
        again = train(cut_off, DAY, tmp_path / "cut_off", tasks)

    assert first == again


def test_training_again_gives_the_same_models_and_other_customers_give_others(
    shop: duckdb.DuckDBPyConnection, trained: dict[str, Any], tmp_path: Path
) -> None:
    again = train(shop, DAY, tmp_path / "again", ONE, processes=2)
    assert again["models"]["buys_90d"] == trained["models"]["buys_90d"]
    assert again["evaluations"]["buys_90d"] == trained["evaluations"]["buys_90d"]
    with open_shop(seed=2) as other:
        others = train(other, DAY, tmp_path / "other", ONE)
    assert others["models"]["buys_90d"]["model_id"] != trained["models"]["buys_90d"]["model_id"]


def test_under_another_key_of_the_pseudonyms_the_models_are_the_same(
    trained: dict[str, Any], tmp_path: Path
) -> None:
    with open_shop() as other:
        for table in ("features.invoice_states", "features.product_cancellations"):
            other.execute(f"update {table} set customer_id = md5(customer_id)")
        count(other)
        again = train(other, DAY, tmp_path, [TASKS["buys_30d"], TASKS["class_next_quarter"]])
    for name, card in again["models"].items():
        assert card == trained["models"][name]
        assert again["evaluations"].get(name) == ((name != TARGET and trained["evaluations"][name]) or None)


def test_the_stored_model_is_the_champion_fitted_on_that_cut(
    shop: duckdb.DuckDBPyConnection, trained: dict[str, Any], models: Path
) -> None:
    for name in trained["evaluations"]:
        card = trained["models"][name]
        newest, columns = read_pairs(shop, TASKS[name], DAY)[-1].test_on, tuple(card["feature_names"])
        assert card["recipe"] == trained["evaluations"][name]["champion"]
        expected = METHODS[card["recipe"]].fit(newest)
        model = store.load(models, card["model_id"])

        assert probabilities(model, newest, columns) == pytest.approx(
            probabilities(expected, newest, columns), abs=1e-9
        )


@pytest.mark.parametrize("balance", [None, "weights"])
def test_a_champion_appointed_by_an_evaluation_is_fitted_without_measuring_again(
    shop: duckdb.DuckDBPyConnection, tmp_path: Path, balance: Any
) -> None:
    some = {name: METHODS[name] for name in ("majority", "rfm_rank", "decision_tree")}
    evaluation = answer(read_questions(shop, DAY, ONE), balance=balance, folds=50, methods=some)
    evaluation["tasks"]["buys_90d"]["champion"] = "decision_tree"
    appointed = champions.appoint(evaluation, DAY, tmp_path, by="evaluate")["buys_90d"]
    result = train(shop, DAY, tmp_path, ONE)

    card = result["models"]["buys_90d"]
    assert (card["recipe"], card["balance"]) == ("decision_tree", balance)
    assert card["evaluation"] == appointed["model_id"]
    assert result["evaluations"]["buys_90d"] == json.loads(json.dumps(appointed))
    assert len(store.cards(tmp_path / champions.EVALUATIONS, "buys_90d")) == 1
    # an evaluation of a later day appoints no champion for an earlier one
    early = train(shop, DAY - timedelta(days=31), tmp_path, ONE)["models"]["buys_90d"]
    assert early["recipe"] in SHORT_LIST and early["evaluation"] != appointed["model_id"]


def test_a_champion_that_is_no_longer_a_method_is_reported_by_name(
    shop: duckdb.DuckDBPyConnection, trained: dict[str, Any], tmp_path: Path
) -> None:
    card = trained["evaluations"]["buys_90d"] | {"recipe": "oracle", "by": "evaluate"}
    store.save_card(card, tmp_path / champions.EVALUATIONS)
    with pytest.raises(DataProblem, match="appoints oracle, which is no method here any more; evaluate"):
        train(shop, DAY, tmp_path, ONE)


def test_a_later_training_reports_how_well_the_model_used_at_its_cut_did(
    shop: duckdb.DuckDBPyConnection, trained: dict[str, Any], tmp_path: Path
) -> None:
    assert trained["models"]["buys_90d"]["matured"] is None, "no model was in use then"
    early = train(shop, date(2011, 7, 31), tmp_path, ONE)["models"]["buys_90d"]
    matured = train(shop, DAY, tmp_path, ONE)["models"]["buys_90d"]["matured"]

    newest = read_pairs(shop, TASKS["buys_90d"], DAY)[-1].test_on
    predicted = probabilities(store.load(tmp_path, early["model_id"]), newest, tuple(early["feature_names"]))
    assert matured == {
        "cut": "2011-07-31",
        "model_id": early["model_id"],
        "customers": len(newest.customers),
        "mean_probability": pytest.approx(predicted.mean(), abs=1e-6),
        "share": pytest.approx(newest.labels.mean(), abs=1e-6),
    }


def test_the_stored_card_equals_the_returned_one_and_names_its_data(
    trained: dict[str, Any], models: Path
) -> None:
    for name in trained["evaluations"]:
        card = trained["models"][name]
        assert json.loads((models / f"{card['model_id']}.json").read_text()) == card
        assert card["model_id"].startswith(f"{name}-{DAY}-{card['recipe']}-")
        assert card["code_version"] == store.code_version()
        assert set(card["library_versions"]) >= {"python", "numpy", "scikit-learn", "lightgbm", "skops"}
        assert sum(card["fitted_on"]["shares"]) == pytest.approx(1, abs=1e-5)
        kept = models / champions.EVALUATIONS / f"{card['evaluation']}.json"
        assert json.loads(kept.read_text()) == trained["evaluations"][name]


def test_no_customer_id_is_in_a_model_or_a_card(trained: dict[str, Any], models: Path) -> None:
    content = [path.read_bytes() for path in stored(models)]
    for path in models.glob("*.skops"):
        with zipfile.ZipFile(path) as archive:
            content += [archive.read(name) for name in archive.namelist()]

    assert len(content) > 10
    # as text, and in the bytes of a NumPy array
    for needle in (b"customer-0", "customer-0".encode("utf-32-le")):
        assert not any(needle in part for part in content)


def test_a_question_with_too_short_a_history_is_refused_with_the_number_and_the_rest_is_trained(
    shop: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    result = train(shop, date(2011, 3, 31), tmp_path)
    assert "buys_30d" in result["models"] and "buys_90d" in result["refused"]
    assert "more days (data up to" in result["refused"]["buys_90d"]


@pytest.mark.parametrize("day", [FIRST_DAY, date(2011, 1, 31)])
def test_if_every_question_is_refused_the_error_gives_the_number_and_nothing_is_written(
    shop: duckdb.DuckDBPyConnection, tmp_path: Path, day: date
) -> None:
    with pytest.raises(
        DataProblem,
        match=rf"as of {day}: buys_30d needs 1 test cut .* would be enough; 7 further questions need more",
    ):
        train(shop, day, tmp_path / "models")
    assert stored(tmp_path) == []


def test_a_few_customers_are_too_few(tmp_path: Path) -> None:
    with open_shop(customers=40) as few, pytest.raises(DataProblem, match="at least 50 customers of each"):
        train(few, NEWEST_DAY, tmp_path)
    assert stored(tmp_path) == []
