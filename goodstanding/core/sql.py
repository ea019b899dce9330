"""Builds SQL text: quotes values and names, and fills in `.sql` files that are templates.

`attach`, `copy` and scripts of several statements take no parameters, so their values are quoted here.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template


def literal(value: object) -> str:
    """A value as SQL: a time, day, boolean or whole number as such, all else, such as a path, as a string.

    A quote within a string is doubled: `it's` becomes `'it''s'`.
    """
    if isinstance(value, bool | int):
        return str(value).lower()
    # a datetime is a date too
    sql_type = "timestamp " if isinstance(value, datetime) else "date " if isinstance(value, date) else ""
    return sql_type + "'" + str(value).replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name of a table or column, quoted whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def escaped(text: str) -> str:
    """A text as a regular expression that finds it, as DuckDB and Python read it: only signs have a mark."""
    return re.sub(r"([!-/:-@\[-^`{-~])", r"\\\1", text)


def rendered(path: Path, **values: object) -> str:
    """The text of a `.sql` file that is a Jinja template; values come as SQL already (see `literal`).

    Raises:
        jinja2.UndefinedError: the template names something that is not among the values.
    """
    return _template(path).render(values)


@lru_cache(maxsize=64)
def _template(path: Path) -> Template:
    # imported where it is used: it takes 30 ms, which a caller that only quotes a path need not wait for
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(path.read_text(encoding="utf-8"))
