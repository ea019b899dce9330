"""Training: its windows, no leak from later days, replay, the promotion rule end to end, too little data."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from goodstanding.errors import DataProblem
from ml import store
from ml.features import read_labelled
from ml.purchase import CANDIDATES, CHALLENGERS, probabilities
from ml.train import train

Warehouse = Callable[..., duckdb.DuckDBPyConnection]

DAY = date(2011, 10, 31)


def stored(models: Path) -> list[Path]:
    return [path for path in models.rglob("*") if path.is_file()] if models.exists() else []


def test_every_window_ends_by_the_next_and_the_last_by_the_data_day(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    card = train(warehouse(), DAY, tmp_path)
    cuts = [(row["train_cut"], row["test_cut"], row["label_until"]) for row in card["test_cuts"]]

    # 2011-10-31 is 92 days after 2011-07-31
    assert cuts == [
        ("2011-02-28", "2011-05-31", "2011-08-29"),
        ("2011-03-31", "2011-06-30", "2011-09-28"),
        ("2011-04-30", "2011-07-31", "2011-10-29"),
    ]
    for train_cut, test_cut, label_until in cuts:
        assert date.fromisoformat(train_cut) + timedelta(days=90) <= date.fromisoformat(test_cut)
        assert date.fromisoformat(label_until) <= DAY
    assert card["fitted_on"]["cut"] == "2011-07-31"
    assert card["fitted_on"]["label_until"] == "2011-10-29"


def test_what_comes_after_the_data_day_changes_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    whole, cut_off = warehouse(), warehouse()
    cut_off.execute("delete from marts.customer_features where as_of > $1", [DAY])
    last_labelled = DAY - timedelta(days=90)
    cut_off.execute("delete from intermediate.int_purchase_labels where as_of > $1", [last_labelled])
    # in the whole warehouse what is known of later days changes everything
    whole.execute(
        "update intermediate.int_purchase_labels set buys_90d = true where as_of > $1", [last_labelled]
    )
    whole.execute("update marts.customer_features set monetary = 1e6 where as_of > $1", [last_labelled])

    assert train(whole, DAY, tmp_path / "whole") == train(cut_off, DAY, tmp_path / "cut_off")


def test_no_candidate_sees_the_labels_that_it_is_tested_on(warehouse: Warehouse, tmp_path: Path) -> None:
    honest, turned = warehouse(), warehouse()
    turned.execute(
        "update intermediate.int_purchase_labels set buys_90d = not buys_90d where as_of = '2011-07-31'"
    )
    before, after = (train(connection, DAY, tmp_path)["test_cuts"][-1] for connection in (honest, turned))

    # the same scores against the opposite truth: every AUC is mirrored
    for name in CANDIDATES:
        auc, mirrored = (row["measures"][name]["auc"]["value"] for row in (before, after))
        assert auc == pytest.approx(1 - mirrored, abs=2e-6), name


def test_the_stored_model_is_the_recipe_fitted_on_the_newest_labelled_cut(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    connection = warehouse()
    card = train(connection, DAY, tmp_path)
    newest, columns = read_labelled(connection, date(2011, 7, 31)), tuple(card["feature_names"])
    expected = CANDIDATES[card["recipe"]].fit(newest)
    stored_model = store.load(tmp_path, card["model_id"])

    assert probabilities(stored_model, newest, columns) == pytest.approx(
        probabilities(expected, newest, columns)
    )


def test_a_later_snapshot_does_not_touch_what_is_measured_on_earlier_ones(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    plain, changed = warehouse(), warehouse()
    changed.execute(
        "update marts.customer_features set frequency = 1, monetary = tenure_days where as_of = '2011-07-31'"
    )
    before, after = (train(connection, DAY, tmp_path)["test_cuts"] for connection in (plain, changed))

    assert before[:2] == after[:2]
    assert before[2] != after[2]


def test_training_again_gives_the_same_model(warehouse: Warehouse, tmp_path: Path) -> None:
    first, again = (train(warehouse("cancellations"), DAY, tmp_path / name) for name in ("first", "again"))
    assert first == again
    models = [store.load(tmp_path / name, first["model_id"]) for name in ("first", "again")]
    some = [[0.1 * n] * len(first["feature_names"]) for n in range(10)]
    assert models[0].predict_proba(some).tobytes() == models[1].predict_proba(some).tobytes()

    other = train(warehouse("cancellations", seed=2), DAY, tmp_path / "other")
    assert other["model_id"] != first["model_id"]


def test_a_challenger_that_sees_more_is_promoted(warehouse: Warehouse, tmp_path: Path) -> None:
    card = train(warehouse("cancellations"), DAY, tmp_path)
    shipped = next(row for row in card["candidates"] if row["shipped"])

    assert shipped["name"] == card["recipe"] and shipped["kind"] == "challenger"
    assert shipped["auc_gain"]["low"] > 0 and shipped["auc_gain"]["p_holm"] <= 0.05
    assert card["feature_names"] == list(CANDIDATES[card["recipe"]].columns)
    assert f"{card['recipe']} is promoted" in card["reason"]


@pytest.mark.parametrize("drive", ["chance", "rfm"])
def test_the_baseline_ships_where_nothing_gains_on_it(
    warehouse: Warehouse, tmp_path: Path, drive: str
) -> None:
    card = train(warehouse(drive), DAY, tmp_path)

    assert card["recipe"] == "mean_rfm_rank"
    assert [row["name"] for row in card["candidates"] if row["shipped"]] == ["mean_rfm_rank"]
    assert {row["name"] for row in card["candidates"] if row["auc_gain"] and "p_holm" in row["auc_gain"]} == {
        challenger.name for challenger in CHALLENGERS
    }


def test_the_stored_card_is_the_returned_one_and_says_what_it_rests_on(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    card = train(warehouse(), DAY, tmp_path)

    assert json.loads((tmp_path / f"{card['model_id']}.json").read_text()) == card
    assert card["model_id"].startswith(f"buy_90d-{DAY}-{card['recipe']}-")
    assert card["code_version"] == store.code_version()
    assert set(card["library_versions"]) >= {"python", "numpy", "scikit-learn", "lightgbm", "skops"}
    assert card["test_cuts"][0]["customers"] == 300


@pytest.mark.parametrize("drive", ["rfm", "cancellations"])
def test_no_customer_id_is_in_the_model_or_its_card(warehouse: Warehouse, tmp_path: Path, drive: str) -> None:
    train(warehouse(drive), DAY, tmp_path)
    content = [path.read_bytes() for path in stored(tmp_path)]
    for path in tmp_path.glob("*.skops"):
        with zipfile.ZipFile(path) as archive:
            content += [archive.read(name) for name in archive.namelist()]

    assert len(content) > 2
    # as text, and as NumPy would hold it
    for needle in (b"customer-0", "customer-0".encode("utf-32-le")):
        assert not any(needle in part for part in content)


@pytest.mark.parametrize(
    ("day", "sql", "number"),
    [
        (date(2011, 1, 31), "", "there are 0 month ends with 90 days after them and 0 such pairs"),
        (date(2011, 6, 1), "", "there are 3 month ends with 90 days after them and 0 such pairs"),
        (
            DAY,
            "delete from marts.customer_features where customer_id >= 'customer-00060'",
            r"of 3 such pairs the fullest has \d+ who bought and \d+ who did not as of 2011",
        ),
        (
            DAY,
            "update intermediate.int_purchase_labels set buys_90d = true",
            "of 3 such pairs the fullest has 300 who bought and 0 who did not as of 2011",
        ),
    ],
    ids=["no cut", "no test cut", "few customers", "one class"],
)
def test_too_little_data_is_refused_with_the_number_and_nothing_written(
    warehouse: Warehouse, tmp_path: Path, day: date, sql: str, number: str
) -> None:
    connection = warehouse()
    if sql:
        connection.execute(sql)

    with pytest.raises(DataProblem, match=rf"needs 1 test cut .* at least 50 customers each .*{number}"):
        train(connection, day, tmp_path / "models")
    assert stored(tmp_path) == []


def test_a_cut_with_too_few_of_a_class_is_left_out_and_the_others_serve(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    connection = warehouse()
    connection.execute(
        "update intermediate.int_purchase_labels set buys_90d = true where as_of = '2011-07-31'"
    )
    card = train(connection, DAY, tmp_path)

    assert [row["test_cut"] for row in card["test_cuts"]] == ["2011-05-31", "2011-06-30"]
    assert card["fitted_on"]["cut"] == "2011-06-30"
