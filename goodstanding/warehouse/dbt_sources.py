"""Writes dbt's list of the source tables in `raw`, from `goodstanding.shops.kinds`.

    python -m goodstanding.warehouse.dbt_sources

writes `dbt_project/models/staging/_kinds.yml`; a test fails where that file is out of date. The other tables
that dbt reads are in `_sources.yml` beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

from goodstanding.core.settings import PROJECT
from goodstanding.shops.kinds import KINDS, Kind

SOURCES = PROJECT / "dbt_project" / "models" / "staging" / "_kinds.yml"

HEAD = """\
# Written by `python -m goodstanding.warehouse.dbt_sources` from goodstanding/shops/kinds.py.
sources:
  - name: raw
    database: "{{ var('intake', 'intake') }}"
    schema: raw
    tables:
"""
TABLES = """\
      - name: {kind.table}
        description: "Accepted lines: each is {kind.line}. One row per file and line number."
      - name: superseded_{kind.table}
        description: >
          The same of file versions that have been replaced, from known_from until known_until.
          One row per file, known_from and line number.
"""


def sources_of(kinds: Sequence[Kind]) -> str:
    """The YAML of the accepted and the superseded lines of each kind."""
    return HEAD + "".join(TABLES.format(kind=kind) for kind in kinds)


if __name__ == "__main__":
    SOURCES.write_text(sources_of(KINDS), encoding="utf-8")
