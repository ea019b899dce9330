"""How the figures of a home are computed: by which reading of its files and by which SQL, a hash of each.

Both are facts of the home. A stored model keeps them as they were when it was trained, so that scoring can
tell a model that has learnt from figures of another kind than those it is now asked about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import duckdb

Part = Literal["reading", "sql"]
PARTS: Mapping[Part, str] = {"reading": "the reading of the files", "sql": "the SQL"}


def note_figures(connection: duckdb.DuckDBPyConnection, part: Part, content: str) -> None:
    """Note that the figures of a home are computed by this from now on.

    Args:
        connection: to the intake file.
        part: what it is that decides them.
        content: a hash of it.
    """
    connection.execute("insert or replace into ops.facts values (?, ?)", [_fact(part), content])


def figures_are_noted(connection: duckdb.DuckDBPyConnection, part: Part) -> bool:
    """Whether a home (its intake file) holds what decides its figures; those of earlier versions do not."""
    return bool(connection.execute("select 1 from ops.facts where name = ?", [_fact(part)]).fetchone())


def figures(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """{what decides the figures: its hash}, of a warehouse with its intake; a home without days has none."""
    held = connection.execute(
        """
        select 1 from duckdb_tables()
        where database_name = 'intake' and schema_name = 'ops' and table_name = 'facts'
        """
    ).fetchone()
    if held is None:
        return {}
    facts = dict(connection.execute("select name, value from intake.ops.facts").fetchall())
    return {part: facts[_fact(part)] for part in PARTS if _fact(part) in facts}


def otherwise(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What has changed between two answers of `figures`, in words; what was not kept counts as changed."""
    return [words for part, words in PARTS.items() if part in now and before.get(part) != now[part]]


def _fact(part: Part) -> str:
    return f"figures_{part}"
