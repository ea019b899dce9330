"""Finds restatements: past classes and scores that a publication changes, and the file that caused it.

Readers know what was last published, so the coming publication is compared with that, in the copy that is
about to be shown. A crash leaves the old publication with its own restatements, and publishing the same
content twice adds nothing.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from goodstanding.core.sql import literal

log = logging.getLogger(__name__)

COMPARISON = Path(__file__).with_name("restatements.sql")
CAUSES = Path(__file__).with_name("restatement_causes.sql")
TABLE = """
create table marts.restatements (
    customer_id varchar not null, as_of date not null, from_class varchar, to_class varchar,
    from_credit_score integer, to_credit_score integer, cause varchar not null, changed_day date,
    file_name varchar, file_hash varchar, run_id varchar not null, restated_at timestamp not null
)
"""


@contextmanager
def last_publication(connection: duckdb.DuckDBPyConnection, path: Path) -> Iterator[bool]:
    """Attach the publication that readers have now as `previous`, until the connection is closed.

    Call it outside of a transaction: a file that cannot be opened would end it.

    Yields:
        Whether the coming publication can be compared with it: not where there is none, or where it does not
        list its files (those written before restatements were kept).
    """
    copy = Path(f"{_file(connection)}.previous")
    try:
        yield path.exists() and _is_attached(connection, path, copy) and _lists_files(connection)
    finally:
        copy.unlink(missing_ok=True)


def _is_attached(connection: duckdb.DuckDBPyConnection, path: Path, copy: Path) -> bool:
    try:
        try:
            connection.execute(f"attach {literal(path)} as previous (read_only)")
        except duckdb.IOException:
            # a reader has opened it for writing by mistake: that lock must not stop the publication
            shutil.copyfile(path, copy)
            connection.execute(f"attach {literal(copy)} as previous (read_only)")
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        log.warning("%s cannot be read, so restatements start again: %s", path, reason)
        return False
    return True


def _lists_files(connection: duckdb.DuckDBPyConnection) -> bool:
    tables = connection.execute(
        "select table_name from duckdb_tables() where database_name = 'previous'"
    ).fetchall()
    return ("source_files",) in tables


def restate(connection: duckdb.DuckDBPyConnection, is_comparable: bool) -> int:
    """Fill `marts.restatements` of the copy that is about to be published.

    Args:
        connection: to the copy, with `marts.publication`, `marts.source_files` and all that dbt has built.
        is_comparable: whether `previous` is there (see `last_publication`); else nothing is restated.

    Returns:
        How many customers this publication restates.
    """
    connection.execute(TABLE)
    if not is_comparable:
        return 0
    connection.execute(COMPARISON.read_text())
    if connection.execute("select count(*) from differences").fetchone() == (0,):
        return 0
    connection.execute(CAUSES.read_text())
    counts = connection.execute(
        """
        select count(distinct customer_id), count(*), min(as_of), max(as_of), min(changed_day)
        from marts.restatements semi join marts.publication on restated_at = published_at
        """
    ).fetchone()
    assert counts is not None
    customers, rows, first, last, changed_day = counts
    if rows:
        since = f"what changed on {changed_day}" if changed_day else "the changed SQL"
        log.info(
            "%d customers restated as of %s to %s (%d rows), because of %s",
            customers,
            first,
            last,
            rows,
            since,
        )
    return int(customers)


def _file(connection: duckdb.DuckDBPyConnection) -> str:
    row = connection.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchone()
    assert row is not None
    return str(row[0])
