"""Comparing two versions of a table: changed rows, columns and keys."""

from __future__ import annotations

import duckdb
import pytest

from pipeline.workbench.compare import compare_tables


@pytest.fixture
def tables() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(
        """
        create table old as select * from (values
            ('a', 1, 'x', 10.5), ('b', 1, 'y', 2), ('c', 1, null, 3), (null, 1, 'z', 4)
        ) as rows (id, day, class, "Money paid");
        create table new as select * from (values
            ('a', 1, 'x', 10.5, 1), ('b', 1, 'w', 2, 1), ('c', 1, 'v', 7, 1), (null, 1, 'z', 4, 1),
            ('d', 2, 'x', 1, 1)
        ) as rows (id, day, class, "Money paid", extra)
        """
    )
    return connection


def test_rows_columns_and_keys_are_listed_with_old_and_new_values(tables):
    comparison = compare_tables(tables, "marts.t", ("old", "the base"), "new", ["id", "day"])
    assert (comparison["rows_before"], comparison["rows_after"], comparison["against"]) == (4, 5, "the base")
    assert (comparison["added_columns"], comparison["removed_columns"]) == (["extra"], [])
    assert (comparison["changed"], comparison["added"], comparison["removed"]) == (2, 1, 0)
    assert comparison["changed_columns"] == {"class": 2, "Money paid": 1}
    assert comparison["note"] is None
    assert comparison["examples"] == [
        {
            "kind": "changed",
            "key": {"id": "c", "day": "1"},
            "values": [
                {"column": "class", "before": None, "after": "v"},
                {"column": "Money paid", "before": 3, "after": 7},
            ],
        },
        {
            "kind": "changed",
            "key": {"id": "b", "day": "1"},
            "values": [{"column": "class", "before": "y", "after": "w"}],
        },
        {"kind": "added", "key": {"id": "d", "day": "2"}, "values": []},
    ]


def test_a_removed_row_and_a_removed_or_retyped_column_are_listed(tables):
    tables.execute("create table newer as select id, day::bigint as day, class from old where id = 'a'")
    comparison = compare_tables(tables, "t", ("old", "the base"), "newer", ["id", "day"])
    assert comparison["removed_columns"] == ["Money paid"]
    assert comparison["retyped_columns"] == [{"column": "day", "before": "INTEGER", "after": "BIGINT"}]
    assert (comparison["changed"], comparison["added"], comparison["removed"]) == (0, 0, 3)
    assert [example["kind"] for example in comparison["examples"]] == ["removed", "removed"]


def test_equal_tables_differ_in_nothing(tables):
    comparison = compare_tables(tables, "t", ("old", "the base"), "old", ["id", "day"])
    assert (comparison["changed"], comparison["added"], comparison["removed"], comparison["examples"]) == (
        0,
        0,
        0,
        [],
    )


def test_without_a_key_whole_rows_are_counted(tables):
    tables.execute("create table twice as select * from old union all select * from old where id = 'a'")
    comparison = compare_tables(tables, "t", ("old", "the base"), "twice", [])
    assert (comparison["key"], comparison["added"], comparison["removed"]) == ([], 1, 0)
    # whole rows are also counted if a side lacks a column of the key
    assert compare_tables(tables, "t", ("old", "the base"), "twice", ["other"])["key"] == []


def test_a_key_that_several_rows_share_is_noted(tables):
    comparison = compare_tables(tables, "t", ("old", "the base"), "new", ["day"])
    assert comparison["note"] is not None and "several rows share a key (day)" in comparison["note"]


def test_a_new_table_is_compared_with_nothing(tables):
    comparison = compare_tables(tables, "t", None, "new", ["id"])
    assert (comparison["against"], comparison["rows_before"], comparison["rows_after"]) == (None, None, 5)
    assert comparison["added_columns"] == []


# comparing every row with every other would take hours
@pytest.mark.timeout(60)
def test_half_a_million_keys_with_nulls_are_joined_and_not_compared_pairwise():
    connection = duckdb.connect()
    connection.execute(
        """
        create table old as select nullif(n, 7) as id, n % 11 as value from range(500000) as numbers (n);
        create table new as select id, case when id = 9 then -1 else value end as value from old
        """
    )
    comparison = compare_tables(connection, "t", ("old", "the base"), "new", ["id"])
    assert (comparison["changed"], comparison["added"], comparison["removed"]) == (1, 0, 0)
