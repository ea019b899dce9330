"""Quoting for SQL text that cannot take a parameter: `attach`, `copy`, comments, generated expressions."""

from __future__ import annotations


def literal(text: object) -> str:
    """A text, or the text of a path, as an SQL string: `it's` becomes `'it''s'`."""
    return "'" + str(text).replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name of a table or column, quoted whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'
