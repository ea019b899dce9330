"""The engine shows a transaction what it has inserted itself.

Ingest, restatements and dbt's models insert into a table that the same transaction has made, more than once
and with several threads, and then count and test what is there. DuckDB 2.0.0 shows nothing of it where the
first insert had no row, and from 122,880 rows on (one row group) not even after the commit, until a
checkpoint: a test of that moment passes on nothing.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

ROW_GROUP = 122_880
CUSTOMERS = 4_275


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with more lines than two threads read as one."""
    path = tmp_path_factory.mktemp("engine") / "lines.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute(
            f"""
            create table lines as
            select i as line_number, i % {CUSTOMERS} as customer from range(500_000) as numbers (i)
            """
        )
    return path


@pytest.mark.parametrize("rows", [ROW_GROUP - 1, ROW_GROUP, 4 * ROW_GROUP])
@pytest.mark.parametrize("first_rows", [0, 10])
def test_rows_of_a_second_insert_are_seen_in_the_transaction_and_after_it(
    tmp_path: Path, lines: Path, rows: int, first_rows: int
) -> None:
    counted = "select count(*), count(distinct customer) from kept"
    with duckdb.connect(tmp_path / "kept.duckdb", config={"threads": 2}) as connection:
        connection.execute(f"attach '{lines}' as previous (read_only)")
        connection.begin()
        connection.execute("create table kept (line_number bigint, customer bigint)")
        for count in (first_rows, rows):
            connection.execute(f"insert into kept from previous.lines where line_number < {count}")
        in_transaction = connection.execute(counted).fetchone()
        connection.commit()
        after_commit = connection.execute(counted).fetchone()
    assert in_transaction == after_commit == (first_rows + rows, CUSTOMERS)


def test_rows_that_replace_deleted_ones_are_seen_in_the_transaction(tmp_path: Path, lines: Path) -> None:
    """What `replaced` does in dbt: delete and insert, where the delete or a first insert may find nothing."""
    with duckdb.connect(tmp_path / "kept.duckdb", config={"threads": 2}) as connection:
        connection.execute(f"attach '{lines}' as previous (read_only)")
        connection.execute("create table kept (line_number bigint, customer bigint)")
        connection.begin()
        connection.execute("delete from kept where customer < 0")
        connection.execute("insert into kept from previous.lines where customer < 0")
        connection.execute("insert into kept from previous.lines")
        assert connection.execute("select count(*) from kept").fetchone() == (500_000,)
        connection.execute("delete from kept where line_number < 10")
        connection.commit()
        assert connection.execute("select count(*) from kept").fetchone() == (499_990,)


def test_rows_that_end_in_the_transaction_that_inserted_them_are_seen_as_ended(
    tmp_path: Path, lines: Path
) -> None:
    """What `versioned` does in dbt, batch by batch: rows without an end, then the end of some, and others."""
    with duckdb.connect(tmp_path / "kept.duckdb", config={"threads": 2}) as connection:
        connection.execute(f"attach '{lines}' as previous (read_only)")
        connection.begin()
        connection.execute("create table kept (line_number bigint, ended_by bigint)")
        for batch in range(4):
            connection.execute(
                f"""
                create or replace temp table ends as
                select line_number from kept where ended_by is null and line_number % 3 = {batch % 3}
                """
            )
            connection.execute(
                f"update kept set ended_by = {batch} from ends where kept.line_number = ends.line_number"
            )
            connection.execute(
                f"insert into kept select line_number + {batch} * 500_000, null from previous.lines"
            )
        counted = "select count(*), count(ended_by) from kept"
        # of the first batch all have ended, of the second two thirds, of the third a third, of the last none
        expected = (4 * 500_000, sum(500_000 * ended // 3 for ended in (3, 2, 1)))
        assert expected == pytest.approx(connection.execute(counted).fetchone(), abs=3)
        connection.commit()
        assert expected == pytest.approx(connection.execute(counted).fetchone(), abs=3)
