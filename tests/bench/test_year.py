"""Two homes are compared row by row, without the columns that describe their runs."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from bench.year import require_equal
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import Settings


def published(home: Path, rows: list[int], run_id: str) -> Settings:
    (home / "published").mkdir(parents=True)
    with duckdb.connect(str(home / "published" / "current.duckdb")) as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.publication as select $1 as run_id", [run_id])
        connection.execute("create table marts.invoices as select unnest($1) as n", [rows])
    return Settings(home=home, _env_file=None)


def test_equal_rows_in_another_order_and_from_another_run_are_equal(tmp_path: Path) -> None:
    require_equal(published(tmp_path / "a", [1, 2, 2], "a"), published(tmp_path / "b", [2, 1, 2], "b"))


def test_one_additional_row_is_a_difference_and_its_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match="other rows: invoices"):
        require_equal(published(tmp_path / "a", [1, 2], "a"), published(tmp_path / "b", [1, 2, 2], "a"))
