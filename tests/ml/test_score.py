"""Scoring: never a later model, the table replaced whole or not at all, the same bytes every time."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer

from goodstanding.errors import DataProblem
from ml.score import score
from ml.train import train

Warehouse = Callable[..., duckdb.DuckDBPyConnection]

EARLY, LATE, NEWEST = date(2011, 8, 31), date(2011, 10, 31), date(2011, 12, 9)
STALE = ("somebody", date(2010, 12, 1), 0.5, "an old model")


def predictions(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = connection.execute("from predictions.purchases").fetchall()
    return rows


@pytest.fixture
def scored(warehouse: Warehouse) -> duckdb.DuckDBPyConnection:
    """A warehouse whose table holds a row of an earlier day."""
    connection = warehouse()
    connection.execute("insert into predictions.purchases values ($1, $2, $3, $4)", list(STALE))
    return connection


def test_every_customer_of_the_day_gets_a_probability_and_stale_rows_go(
    scored: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    card = train(scored, LATE, tmp_path)
    summary = score(scored, NEWEST, tmp_path)
    rows = predictions(scored)

    assert summary == {
        "as_of": "2011-12-09",
        "customers": 300,
        "model_id": card["model_id"],
        "data_day": "2011-10-31",
        "note": None,
    }
    assert [row[0] for row in rows] == [f"customer-{number:05d}" for number in range(300)]
    assert {(row[1], row[3]) for row in rows} == {(NEWEST, card["model_id"])}
    assert all(0 < row[2] < 1 for row in rows)


def test_a_later_model_never_scores_an_earlier_day(scored: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    early, late = train(scored, EARLY, tmp_path), train(scored, LATE, tmp_path)

    def used(day: date) -> Any:
        return score(scored, day, tmp_path)["model_id"]

    assert used(date(2011, 7, 31)) is None
    assert used(EARLY) == early["model_id"]
    assert used(date(2011, 9, 30)) == early["model_id"]
    assert used(LATE) == late["model_id"]


def test_where_no_model_fits_the_table_is_empty_and_the_summary_says_why(
    scored: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    summary = score(scored, NEWEST, tmp_path / "none")

    assert predictions(scored) == []
    assert summary["customers"] == 0 and summary["model_id"] is None
    assert summary["note"] == "no prediction: no buy_90d model was trained on data up to 2011-12-09"


def test_a_day_without_customers_is_empty_and_says_so(
    scored: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    train(scored, LATE, tmp_path)
    summary = score(scored, date(2011, 11, 15), tmp_path)

    assert predictions(scored) == []
    assert summary["note"] == "no prediction: marts.customer_features has no customer as of 2011-11-15"


@pytest.mark.parametrize("drive", ["rfm", "cancellations"])
def test_training_and_scoring_again_gives_the_same_bytes(
    warehouse: Warehouse, tmp_path: Path, drive: str
) -> None:
    results = []
    for name in ("first", "again"):
        connection = warehouse(drive)
        train(connection, LATE, tmp_path / name)
        score(connection, NEWEST, tmp_path / name)
        results.append(predictions(connection))

    assert results[0] == results[1] and len(results[0]) == 300


def test_an_untrusted_model_file_is_refused_and_the_table_stays(
    scored: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    card = train(scored, LATE, tmp_path)
    skops.io.dump(FunctionTransformer(func=subprocess.check_call), tmp_path / f"{card['model_id']}.skops")

    with pytest.raises(DataProblem, match="refused"):
        score(scored, NEWEST, tmp_path)
    assert predictions(scored) == [STALE]


def test_a_model_of_features_that_are_gone_is_refused_by_name(
    scored: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    card = train(scored, LATE, tmp_path)
    path = tmp_path / f"{card['model_id']}.json"
    path.write_text(json.dumps(card | {"feature_names": ["rfm_rank", "shoe_size"]}))

    with pytest.raises(DataProblem, match=r"no longer computed: shoe_size; train again"):
        score(scored, NEWEST, tmp_path)
    assert predictions(scored) == [STALE]


def test_a_write_that_fails_half_way_leaves_the_table_as_it_was(
    scored: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    train(scored, LATE, tmp_path)
    scored.execute("drop table predictions.purchases")
    scored.execute(
        """
        create table predictions.purchases (
            customer_id varchar check (customer_id <> 'customer-00299'),
            as_of date,
            buy_90d_probability double,
            model_id varchar
        )
        """
    )
    scored.execute("insert into predictions.purchases values ($1, $2, $3, $4)", list(STALE))

    with pytest.raises(duckdb.ConstraintException):
        score(scored, NEWEST, tmp_path)
    assert predictions(scored) == [STALE]
