"""Measure how well the scorecard and its rivals predict which orders of the Online Retail year come back.

    python -m bench.returns

Not part of `make bench`. It reads the warehouse that `make run` has made. There are two views: the window
that published results are compared on, and the newest three months, each predicted from all orders whose 60
days were over before it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date

import duckdb
import numpy as np

from bench.readme import keep_apart
from bench.results import ReturnsView
from bench.run import machine
from goodstanding.core.settings import settings
from goodstanding.warehouse.files import open_warehouse
from goodstanding.warehouse.ledger import required_newest_day
from ml.pairs import Pair
from ml.scorecards.orders import COD
from ml.scorecards.train import METHODS, read_pairs, read_windows
from ml.side_by_side import Question, answer

# test orders after the first day, up to the second; fitted on orders up to 60 days before the first
WINDOW = (date(2011, 8, 9), date(2011, 10, 9))


def read_views(connection: duckdb.DuckDBPyConnection, as_of: date) -> dict[str, list[Pair]]:
    """Read the labelled orders of both views."""
    return {"window": read_windows(connection, COD, [WINDOW]), "months": read_pairs(connection, COD, as_of)}


def measure_returns(
    views: dict[str, list[Pair]], processes: int = 1, folds: int = 1000
) -> dict[str, ReturnsView]:
    """Measure every method on each view; by view."""
    return {name: _measure(pairs, processes, folds) for name, pairs in views.items()}


def _measure(pairs: Sequence[Pair], processes: int, folds: int) -> ReturnsView:
    questions = [Question(COD.task, pairs)]
    result = answer(questions, processes=processes, folds=folds, methods=METHODS)["tasks"][COD.name]
    shares = np.array([pair.test_on.labels.mean() for pair in pairs])
    sizes = np.array([len(pair.test_on.customers) for pair in pairs])
    return {
        "tests": [
            {
                "learnt_until": str(pair.fit_on.as_of),
                "learnt": len(pair.fit_on.customers),
                "until": str(pair.test_on.as_of),
                "orders": int(size),
                "share": round(float(share), 4),
            }
            for pair, size, share in zip(pairs, sizes, shares, strict=True)
        ],
        "base_brier": round(float(np.average(shares * (1 - shares), weights=sizes)), 4),
        "baseline": result["baseline"],
        "measures": {
            method: {name: value for name, value in measured.items() if name not in ("confusion", "majority")}
            for method, measured in result["pooled"].items()
        },
        "gains": result["gains"],
    }


def main() -> None:
    current = settings()
    with open_warehouse(current) as connection:
        views = read_views(connection, required_newest_day(connection))
    result = {"machine": machine(), **measure_returns(views, processes=current.threads)}
    keep_apart("returns", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
