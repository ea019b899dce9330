"""Scoring a day: every customer's probability to buy within 90 days, by a model that knew no later day."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from goodstanding.errors import DataProblem
from ml import store
from ml.features import Snapshot, read_snapshot
from ml.purchase import TARGET, probabilities


def score(connection: duckdb.DuckDBPyConnection, as_of: date, models: Path) -> dict[str, Any]:
    """Replace `predictions.purchases` with the rows of `as_of`, in one transaction of its own.

    The model is the newest whose data day is not after `as_of`. Where there is none the table ends empty.

    Returns:
        {as_of, customers (rows written), model_id and data_day (None where no model fits), note}; the note is
        a sentence for the profile where there is no prediction, else None.

    Raises:
        DataProblem: the model's files cannot be used, or a feature is missing; the table stays as it was.
    """
    card = store.newest_card(models, TARGET, as_of)
    if card is None:
        rows = _rows([], as_of, [], None)
        note: str | None = f"no prediction: no {TARGET} model was trained on data up to {as_of}"
    else:
        snapshot = read_snapshot(connection, as_of)
        columns = _columns(card, snapshot, models)
        model = store.load(models, card["model_id"])
        rows = _rows(snapshot.customers, as_of, probabilities(model, snapshot, columns), card["model_id"])
        note = None if len(rows) else f"no prediction: marts.customer_features has no customer as of {as_of}"
    _replace(connection, rows)
    return {
        "as_of": str(as_of),
        "customers": len(rows),
        "model_id": card and card["model_id"],
        "data_day": card and card["data_day"],
        "note": note,
    }


def _columns(card: dict[str, Any], snapshot: Snapshot, models: Path) -> tuple[str, ...]:
    columns = tuple(card["feature_names"])
    unknown = sorted(set(columns) - set(snapshot.features.columns))
    if unknown:
        raise DataProblem(
            f"model {card['model_id']} in {models} reads features that are no longer computed: "
            f"{', '.join(unknown)}; train again"
        )
    return columns


def _rows(customers: Any, as_of: date, probability: Any, model_id: str | None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": pd.Series(customers, dtype="object"),
            "as_of": as_of,
            "buy_90d_probability": pd.Series(probability, dtype="float64"),
            "model_id": model_id,
        }
    )


def _replace(connection: duckdb.DuckDBPyConnection, rows: pd.DataFrame) -> None:
    connection.execute("begin transaction")
    try:
        connection.execute("delete from predictions.purchases")
        if len(rows):
            connection.execute(
                """
                insert into predictions.purchases (customer_id, as_of, buy_90d_probability, model_id)
                select customer_id, as_of, buy_90d_probability, model_id from rows
                """
            )
        connection.execute("commit")
    except BaseException:
        with suppress(duckdb.TransactionException):  # a commit that failed has ended it already
            connection.execute("rollback")
        raise
