"""The peer scripts in DuckDB and pandas: each rule on a landing counted by hand, and equal results on any."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bench import peer_duckdb, peer_pandas

HEADER = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
]
PROJECT = Path(__file__).parents[2]


def line(
    invoice_no: str,
    stock_code: str,
    quantity: int,
    ordered_at: str,
    customer: str = "1.0",
    price: str = "1.5",
) -> list[str]:
    return [invoice_no, stock_code, "A MUG", str(quantity), f"{ordered_at}:00", price, customer, "France"]


def write_landing(folder: Path, lines: list[list[str]]) -> Path:
    """Write one file per day; the lines keep their order."""
    folder.mkdir(exist_ok=True)
    for day in sorted({row[4][:10] for row in lines}):
        with (folder / f"{day}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([HEADER, *(row for row in lines if row[4].startswith(day))])
    return folder


def outcomes_by_duckdb(landing: Path) -> tuple[dict[str, Any], list[tuple[str, int]]]:
    with duckdb.connect() as connection:
        numbers = peer_duckdb.standing(landing, connection)
        return numbers, connection.execute("select outcome, units from outcomes order by line").fetchall()


def outcomes_by_pandas(landing: Path) -> tuple[dict[str, Any], list[tuple[str, int]]]:
    numbers, tables = peer_pandas.standing(landing)
    lines = tables["outcomes"]
    return numbers, list(zip(lines["outcome"].tolist(), lines["units"].tolist(), strict=True))


both_peers = pytest.mark.parametrize("outcomes_of", [outcomes_by_duckdb, outcomes_by_pandas])


@both_peers
def test_each_line_gets_the_first_outcome_that_applies(outcomes_of: Any, tmp_path: Path) -> None:
    lines = [
        line("1", "MUG", 5, "2011-01-04 09:00"),
        line("1", "MUG", 5, "2011-01-04 09:00"),  # repeats the line above
        line("2", "MUG", 5, "2011-01-04 09:00", customer=""),
        line("A3", "B", 1, "2011-01-04 09:00", price="-20.0"),
        line("C4", "MUG", -2, "2011-01-05 09:00"),
        line("C5", "CUP", -2, "2011-01-05 09:00"),  # never bought
        line("6", "JUG", 3, "2011-01-05 09:00"),
        line("C7", "JUG", -3, "2011-01-05 09:00"),  # the same minute: the sale comes first
        line("8", "POST", 1, "2011-01-06 09:00"),
    ]
    numbers, outcomes = outcomes_of(write_landing(tmp_path / "landing", lines))
    assert outcomes == [
        ("partly_cancelled", 2),
        ("duplicate", 0),
        ("no_customer", 0),
        ("adjustment", 0),
        ("cancellation", 2),
        ("unmatched_cancellation", 0),
        ("cancelled", 3),
        ("cancellation", 3),
        ("kept", 0),
    ]
    assert (numbers["lines"], numbers["customers"], numbers["mirrors"]) == (9, 1, 1)
    assert numbers["kept"] == 2  # the jugs' invoice sums to zero
    assert numbers["amount"] == "-2.0000"
    assert numbers["monetary"] == "6.0000"


@both_peers
def test_an_exact_match_comes_before_the_latest_purchase_and_the_rest_goes_to_earlier_ones(
    outcomes_of: Any, tmp_path: Path
) -> None:
    lines = [
        line("1", "MUG", 4, "2011-01-04 09:00"),
        line("2", "MUG", 6, "2011-01-05 09:00"),
        line("3", "MUG", 9, "2011-01-06 09:00"),
        line("C4", "MUG", -6, "2011-01-07 09:00"),  # mirror: invoice 2
        line("C5", "MUG", -11, "2011-01-08 09:00"),  # 9 of invoice 3, then 2 of invoice 1
        line("C6", "MUG", -5, "2011-01-09 09:00"),  # the last 2 of invoice 1; 3 find no purchase
        line("7", "MUG", 50, "2011-01-10 09:00"),  # after every cancellation, so none may use it
    ]
    numbers, outcomes = outcomes_of(write_landing(tmp_path / "landing", lines))
    assert [units for _, units in outcomes] == [4, 6, 9, 6, 11, 2, 0]
    assert numbers["outcomes"] == {"cancellation": 3, "cancelled": 3, "kept": 1}
    assert numbers["mirrors"] == 1


@both_peers
def test_a_partly_cancelled_purchase_is_no_exact_match(outcomes_of: Any, tmp_path: Path) -> None:
    lines = [
        line("1", "MUG", 3, "2011-01-04 09:00"),
        line("2", "MUG", 5, "2011-01-05 09:00"),
        line("C3", "MUG", -2, "2011-01-06 09:00"),  # leaves 3 of 5 open
        line("C4", "MUG", -3, "2011-01-07 09:00"),  # mirror: invoice 1, though invoice 2 is later
        line("C5", "MUG", -5, "2011-01-08 09:00"),  # no exact match: the last 3 of invoice 2, then earlier
    ]
    _, outcomes = outcomes_of(write_landing(tmp_path / "landing", lines))
    assert [units for _, units in outcomes] == [3, 5, 2, 3, 3]


@both_peers
def test_classes_use_interpolated_quartiles_and_equal_values_stay_together(
    outcomes_of: Any, tmp_path: Path
) -> None:
    lines = [
        line(f"{number}{order}", "MUG", 10 * number, f"2011-01-0{number + order} 09:00", f"{number}.0")
        for number in range(1, 6)
        for order in range(min(number, 3))
    ]
    numbers, _ = outcomes_of(write_landing(tmp_path / "landing", lines))
    # last orders on the 1st, 3rd, 5th, 6th, 7th; 1, 2, 3, 3, 3 orders; 15, 60, 135, 180, 225 pounds
    assert numbers["borders"] == {
        "recency": [1.0, 2.0, 4.0],
        "frequency": [2.0, 3.0, 3.0],
        "monetary": [60.0, 135.0, 180.0],
        "credit_score": [4.0, 7.0, 9.0],
    }
    # scores R + F + M: 1+1+1, 2+1+1, 3+2+2, 4+2+3, 4+2+4
    assert numbers["classes"] == {"Average": 1, "Best": 1, "Good": 1, "Worst": 2}


@pytest.mark.parametrize("seed", range(5))
def test_both_peers_agree_on_a_landing_full_of_cancellations(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    start = datetime(2011, 1, 3, 9)
    lines = []
    for number in range(400):
        is_cancellation = draw.random() < 0.35
        quantity = draw.choice([1, 2, 2, 3, 6]) * (-1 if is_cancellation else 1)
        at = start + timedelta(hours=draw.randrange(24 * 20))
        row = line(
            f"{'C' if is_cancellation else ''}{number // 2}",
            draw.choice(["MUG", "mug", "POST"]),
            quantity,
            f"{at:%Y-%m-%d %H:%M}",
            draw.choice(["1.0", "2.0", "3.0", "4.0", ""]),
            draw.choice(["0.1", "2.55", "0.001", "0.0"]),
        )
        lines += [row] * draw.choice([1, 1, 1, 2])
    landing = write_landing(tmp_path / "landing", lines)
    numbers, outcomes = outcomes_by_duckdb(landing)
    other_numbers, other_outcomes = outcomes_by_pandas(landing)
    assert outcomes == other_outcomes
    # they interpolate quartiles in different orders of operations, so the last bit may differ
    for measure, borders in other_numbers.pop("borders").items():
        assert borders == pytest.approx(numbers["borders"][measure], rel=1e-12)
    del numbers["borders"]
    assert numbers == other_numbers


@pytest.mark.parametrize("peer", ["bench.peer_duckdb", "bench.peer_pandas"])
def test_a_peer_prints_one_json_line_with_its_seconds_and_memory(peer: str, tmp_path: Path) -> None:
    landing = write_landing(tmp_path / "landing", [line("1", "MUG", 1, "2011-01-04 09:00")])
    done = subprocess.run(
        [sys.executable, "-m", peer, str(landing)], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    numbers = json.loads(done.stdout)
    assert numbers["outcomes"] == {"kept": 1}
    assert numbers["seconds"] > 0
    assert numbers["peak_mb"] > 0
