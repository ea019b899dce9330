"""Copies of a landing with N times the customers: every count and amount is N times the real one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bench import peer_duckdb
from bench.grown import write_copies, write_parquet_mapping
from bench.scale import most_disk, require_times
from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import Settings
from goodstanding.ingest.landed import days_in_landing
from goodstanding.ingest.load import ingest
from goodstanding.shops.mapping import load_shop

TIMES = 3
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
DAYS = Days(date(2011, 1, 4), date(2011, 1, 6))
LINES = {
    "2011-01-04": [
        '540001,MUG,"A ""MUG"", RED",5,2011-01-04 09:00:00,1.5,12346.0,France',
        '540001,MUG,"A ""MUG"", RED",5,2011-01-04 09:00:00,1.5,12346.0,France',
        "540002,CUP,A CUP,4,2011-01-04 10:00:00,2.55,12347.0,France",
        "540003,CUP,A CUP,4,2011-01-04 10:00:00,2.55,,France",
    ],
    "2011-01-05": [
        "C540004,MUG,A MUG,-2,2011-01-05 09:00:00,1.5,12346.0,France",
        "540005,JUG,A JUG,4,2011-01-05 10:00:00,0.85,12348.0,France",
    ],
    "2011-01-06": [
        "C540006,CUP,A CUP,-4,2011-01-06 09:00:00,2.55,12347.0,France",
        "C540007,JUG,A JUG,-1,2011-01-06 09:00:00,0.85,12346.0,France",
        "A540008,B,Adjust bad debt,1,2011-01-06 09:00:00,-20.0,,France",
    ],
}


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    for day, lines in LINES.items():
        (folder / f"{day}.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    return folder


@pytest.fixture
def copies(landing: Path, tmp_path: Path) -> Iterator[Path]:
    write_copies(landing, tmp_path / "copies", TIMES)
    yield tmp_path / "copies"


def numbers(landing: Path) -> dict[str, Any]:
    with duckdb.connect() as connection:
        return peer_duckdb.standing(landing, connection)


def test_every_count_and_amount_is_the_real_one_times_the_number_of_copies(
    landing: Path, copies: Path
) -> None:
    real, copied = numbers(landing), numbers(copies)
    assert {"cancelled", "partly_cancelled", "duplicate", "unmatched_cancellation"} <= real["outcomes"].keys()
    require_times(real, copied, TIMES)


def test_one_additional_line_is_noticed(landing: Path, copies: Path) -> None:
    real, copied = numbers(landing), numbers(copies)
    copied["outcomes"] = {**copied["outcomes"], "kept": copied["outcomes"]["kept"] + 1}
    with pytest.raises(DataProblem, match="outcomes"):
        require_times(real, copied, TIMES)


def test_two_copies_share_no_invoice_and_no_customer(copies: Path) -> None:
    with duckdb.connect() as connection:
        lines = connection.sql(f"select * from read_parquet('{copies}/*.parquet')")
        invoices = sum(len({line.split(",")[0] for line in day}) for day in LINES.values())
        assert connection.sql(
            "select count(distinct InvoiceNo), count(distinct CustomerID) from lines"
        ).fetchall() == [(TIMES * invoices, TIMES * 3)]
        assert lines.types[3:7] == ["BIGINT", "TIMESTAMP", "DOUBLE", "DOUBLE"]


def test_the_product_takes_in_every_line_with_the_written_mapping(copies: Path, tmp_path: Path) -> None:
    shop = str(write_parquet_mapping(tmp_path))
    home = Settings(home=tmp_path / "home", landing=copies, shop=shop, _env_file=None)
    assert days_in_landing(home, load_shop(home)) == DAYS
    taken = ingest(home, DAYS, "run")
    lines = sum(len(day) for day in LINES.values())
    assert (taken["lines"], taken["accepted"], taken["changed_customers"]) == (
        TIMES * lines,
        TIMES * lines,
        TIMES * 3,
    )


def test_the_peak_size_of_a_folder_is_known_after_it_is_empty_again(tmp_path: Path) -> None:
    with most_disk(tmp_path / "spill") as megabytes:
        (tmp_path / "spill").mkdir()
        file = tmp_path / "spill" / "block"
        file.write_bytes(b"x" * 3_000_000)
        threading.Event().wait(1)
        file.unlink()
    assert megabytes() == 3
