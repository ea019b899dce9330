"""Quoting of SQL: values, names and templates keep their meaning."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest
from jinja2 import UndefinedError

from goodstanding.core.sql import escaped, identifier, literal, rendered


@pytest.mark.parametrize(
    "value",
    ["it's", "", "a\nb", 3, True, False, date(2011, 1, 4), datetime(2011, 1, 4, 8, 26, 0, 123456)],
    ids=repr,
)
def test_a_value_comes_back_from_sql_unchanged(value: object) -> None:
    with duckdb.connect() as connection:
        returned = connection.execute(f"select {literal(value)}").fetchone()
    assert returned == (value,) and returned is not None and type(returned[0]) is type(value)


def test_a_path_is_quoted_as_a_string() -> None:
    assert literal(Path("/a/b's.csv")) == "'/a/b''s.csv'"


def test_any_text_can_be_the_name_of_a_column() -> None:
    name = 'a "strange", name'
    with duckdb.connect() as connection:
        connection.execute(f"create table t ({identifier(name)} integer)")
        assert connection.execute(
            "select column_name from duckdb_columns() where table_name = 't'"
        ).fetchall() == [(name,)]


def test_a_template_is_filled_in_and_a_missing_value_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "lines.sql"
    path.write_text(
        "{% for table in tables %}\nselect {{ day }} from {{ table }}\n"
        "{{ 'union all' if not loop.last }}\n{% endfor %}\n"
    )
    text = rendered(path, tables=["a", "b"], day=literal(date(2011, 1, 4)))
    day = "date '2011-01-04'"
    assert " ".join(text.split()) == f"select {day} from a union all select {day} from b"
    with pytest.raises(UndefinedError, match="'day' is undefined"):
        rendered(path, tables=["a"])


@pytest.mark.parametrize(
    "text", ["a.b*c", "x [1] (2) {3}", r"back\slash", "a_b-c", "#&~`^$|?+", "ä 茶", "two\nlines"]
)
def test_an_escaped_text_finds_itself_and_nothing_else_in_duckdb_and_python(text: str) -> None:
    found = duckdb.execute("select regexp_full_match(?, ?)", [text, escaped(text)]).fetchone()
    assert found == (True,) and re.fullmatch(escaped(text), text)
    assert not re.fullmatch(escaped("a.b"), "axb")
