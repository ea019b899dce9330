"""What is said of two tables that differ."""

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


def test_rows_columns_and_keys_are_told_with_their_old_and_new_values(tables):
    found = compare_tables(tables, "marts.t", ("old", "the base"), "new", ["id", "day"])
    assert (found["rows_before"], found["rows_after"], found["against"]) == (4, 5, "the base")
    assert (found["added_columns"], found["removed_columns"]) == (["extra"], [])
    assert (found["changed"], found["added"], found["removed"]) == (2, 1, 0)
    assert found["changed_columns"] == {"class": 2, "Money paid": 1}
    assert found["note"] is None
    assert found["examples"] == [
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


def test_a_row_that_is_gone_and_a_column_that_is_gone_or_of_another_type(tables):
    tables.execute("create table newer as select id, day::bigint as day, class from old where id = 'a'")
    found = compare_tables(tables, "t", ("old", "the base"), "newer", ["id", "day"])
    assert found["removed_columns"] == ["Money paid"]
    assert found["retyped_columns"] == [{"column": "day", "before": "INTEGER", "after": "BIGINT"}]
    assert (found["changed"], found["added"], found["removed"]) == (0, 0, 3)
    assert [example["kind"] for example in found["examples"]] == ["removed", "removed"]


def test_equal_tables_differ_in_nothing(tables):
    found = compare_tables(tables, "t", ("old", "the base"), "old", ["id", "day"])
    assert (found["changed"], found["added"], found["removed"], found["examples"]) == (0, 0, 0, [])


def test_without_a_key_whole_rows_are_counted(tables):
    tables.execute("create table twice as select * from old union all select * from old where id = 'a'")
    found = compare_tables(tables, "t", ("old", "the base"), "twice", [])
    assert (found["key"], found["added"], found["removed"]) == ([], 1, 0)
    # so are they where the key is no column of one of the sides
    assert compare_tables(tables, "t", ("old", "the base"), "twice", ["other"])["key"] == []


def test_a_key_that_several_rows_share_is_said(tables):
    found = compare_tables(tables, "t", ("old", "the base"), "new", ["day"])
    assert found["note"] is not None and "several rows share a key (day)" in found["note"]


def test_a_new_table_is_compared_with_nothing(tables):
    found = compare_tables(tables, "t", None, "new", ["id"])
    assert (found["against"], found["rows_before"], found["rows_after"]) == (None, None, 5)
    assert found["added_columns"] == []


# compared each with each they would take hours
@pytest.mark.timeout(60)
def test_half_a_million_keys_with_nulls_are_joined_and_not_each_compared_with_each():
    connection = duckdb.connect()
    connection.execute(
        """
        create table old as select nullif(n, 7) as id, n % 11 as value from range(500000) as numbers (n);
        create table new as select id, case when id = 9 then -1 else value end as value from old
        """
    )
    found = compare_tables(connection, "t", ("old", "the base"), "new", ["id"])
    assert (found["changed"], found["added"], found["removed"]) == (1, 0, 0)
