"""Compares two versions of a table: numbers of rows, columns, and the keys whose row changed.

Both tables are in one DuckDB connection; the key is the grain that the model's YAML states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import duckdb

from goodstanding.core.sql import identifier

EXAMPLES = 5
FEW_EXAMPLES = 2


class Retyped(TypedDict):
    """A column whose type differs."""

    column: str
    before: str
    after: str


class ChangedValue(TypedDict):
    """A column of one row whose value differs."""

    column: str
    before: object
    after: object


class Example(TypedDict):
    """One key whose row was added, removed or changed."""

    #: changed, added or removed
    kind: str
    #: the values of the key's columns, by name
    key: dict[str, object]
    #: of a changed row, its columns that differ; else none
    values: list[ChangedValue]


class TableChange(TypedDict):
    """How a table differs from what it was."""

    #: with its schema
    table: str
    #: what it is compared with, in words; None where there is nothing, as for a new table
    against: str | None
    rows_before: int | None
    rows_after: int
    added_columns: list[str]
    removed_columns: list[str]
    retyped_columns: list[Retyped]
    #: the columns that no two rows share; empty where the YAML states none: rows are then compared whole
    key: list[str]
    #: keys with a row on both sides that differs in a column that both sides have; 0 without a key
    changed: int
    #: keys, or without a key rows, of the one side only
    added: int
    removed: int
    #: of the changed, how many differ in each column; only columns that differ somewhere
    changed_columns: dict[str, int]
    examples: list[Example]
    #: what is not as it should be, like a key that several rows share; else None
    note: str | None


def compare_tables(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    before: tuple[str, str] | None,
    after: str,
    key: Sequence[str],
) -> TableChange:
    """Compare a table, or view, with what it was.

    Args:
        connection: has both attached.
        table: how to call it.
        before: its name in SQL, and what it is, in words; None where there is none.
        after: its name in SQL.
        key: its columns that no two rows share.
    """
    new = _columns(connection, after)
    old = _columns(connection, before[0]) if before else {}
    both = [name for name in new if name in old]
    change: TableChange = {
        "table": table,
        "against": before[1] if before else None,
        "rows_before": _count(connection, before[0]) if before else None,
        "rows_after": _count(connection, after),
        "added_columns": [name for name in new if name not in old] if before else [],
        "removed_columns": [name for name in old if name not in new],
        "retyped_columns": [
            {"column": name, "before": old[name], "after": new[name]}
            for name in both
            if old[name] != new[name]
        ],
        "key": [*key],
        "changed": 0,
        "added": 0,
        "removed": 0,
        "changed_columns": {},
        "examples": [],
        "note": None,
    }
    if before is None:
        return change
    if key and set(key) <= set(both):
        _compare_keys(connection, change, before[0], after, _same_type(both, old, new))
    else:
        _compare_rows(connection, change, before[0], after, _same_type(both, old, new))
    return change


def _same_type(both: Sequence[str], old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    """How each common column is read on either side: as text where its type is another."""
    return {
        name: f"{{side}}.{identifier(name)}" + ("" if old[name] == new[name] else "::varchar")
        for name in both
    }


def _compare_keys(
    connection: duckdb.DuckDBPyConnection,
    change: TableChange,
    before: str,
    after: str,
    read: dict[str, str],
) -> None:
    key = change["key"]
    others = [name for name in read if name not in key]
    differs = {name: _differs(read[name]) for name in others}
    is_changed = " or ".join(differs.values()) or "false"
    on = " and ".join(
        f"{read[name].format(side='b')} is not distinct from {read[name].format(side='a')}" for name in key
    )
    joined = (
        f"from (select *, true as _here from {before}) as b "
        f"full join (select *, true as _here from {after}) as a on {on}"
    )
    sums = "".join(f", count(*) filter (where b._here and a._here and ({sql}))" for sql in differs.values())
    matched, changed, added, removed, *of_columns = _row(
        connection,
        f"""
        select
            count(*) filter (where b._here and a._here),
            count(*) filter (where b._here and a._here and ({is_changed})),
            count(*) filter (where b._here is null),
            count(*) filter (where a._here is null)
            {sums}
        {joined}
        """,
    )
    change["changed"], change["added"], change["removed"] = changed, added, removed
    change["changed_columns"] = {
        name: count for name, count in zip(differs, of_columns, strict=True) if count
    }
    if matched + removed != change["rows_before"] or matched + added != change["rows_after"]:
        change["note"] = f"several rows share a key ({', '.join(key)}), so the counts are of pairs of rows"
    for kind, count, room, where in (
        ("changed", changed, EXAMPLES, f"b._here and a._here and ({is_changed})"),
        ("added", added, FEW_EXAMPLES, "b._here is null"),
        ("removed", removed, FEW_EXAMPLES, "a._here is null"),
    ):
        if count:
            matching = f"{joined} where {where}"
            shown = others if kind == "changed" else []
            change["examples"] += _examples(
                connection, kind, key, shown, f"{matching} {_newest_first(key)} limit {room}"
            )


def _newest_first(key: Sequence[str]) -> str:
    """A total order of keys. The day of a key stands last in it, and the newest day is asked about most."""
    return f"order by {', '.join(f'{place} desc' for place in range(len(key), 0, -1))}"


def _examples(
    connection: duckdb.DuckDBPyConnection, kind: str, key: Sequence[str], shown: Sequence[str], matching: str
) -> list[Example]:
    """Some keys, with the old and new values of the columns shown where they differ."""
    keys = [f"coalesce(b.{identifier(name)}::varchar, a.{identifier(name)}::varchar)" for name in key]
    pairs = [f"{side}.{identifier(name)}" for name in shown for side in ("b", "a")]
    rows = connection.execute(f"select {', '.join([*keys, *pairs])} {matching}").fetchall()
    return [
        {
            "kind": kind,
            "key": dict(zip(key, row[: len(key)], strict=True)),
            "values": [
                {"column": name, "before": old, "after": new}
                for name, old, new in zip(shown, row[len(key) :: 2], row[len(key) + 1 :: 2], strict=True)
                if old != new
            ],
        }
        for row in rows
    ]


def _compare_rows(
    connection: duckdb.DuckDBPyConnection,
    change: TableChange,
    before: str,
    after: str,
    read: dict[str, str],
) -> None:
    """Without a key a changed row is one removed and one added."""
    change["key"] = []
    if not read:
        return
    sides = {
        side: f"select {', '.join(sql.format(side=side) for sql in read.values())} from {table} as {side}"
        for side, table in (("b", before), ("a", after))
    }
    counts = [
        _row(connection, f"select count(*) from (({sides[one]}) except all ({sides[other]}))")[0]
        for one, other in (("a", "b"), ("b", "a"))
    ]
    change["added"], change["removed"] = counts


def _differs(read: str) -> str:
    return f"{read.format(side='b')} is distinct from {read.format(side='a')}"


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    rows = connection.execute(f"describe select * from {table}").fetchall()
    return {row[0]: str(row[1]) for row in rows}


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(_row(connection, f"select count(*) from {table}")[0])


def _row(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(sql).fetchone()
    assert row is not None
    return row
