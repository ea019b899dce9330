"""Says what is wrong with a model's YAML in one sentence, which names the file and how to mend it.

dbt says it in twenty lines, half of them its own macros. Both a run of the day and the workbench use these.
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path("dbt_project")
# where the columns differ; a table follows: column, type in the SQL, type in the YAML, reason
DIFFERS = "enforced contract that failed"
ROW = re.compile(r"^\s*\|\s*(\S.*?)\s*\|\s*(.*?)\s*\|\s*(.*?)\s*\|\s*(\S.*?)\s*\|\s*$", re.MULTILINE)
# where there is no YAML, where it has no columns, and where columns have no type
NO_YML = "'columns' specification is missing"
NO_COLUMNS = re.compile(r"Contract enforcement failed for: \((\S+?)\)")
NO_TYPES = re.compile(r"Contracted models require data_type.*?for the \[(.*?)\] column", re.DOTALL)


def contract_fault(message: str, sql: str, yml: str | None) -> str | None:
    """Turn dbt's message about a broken contract into one sentence.

    Args:
        message: what dbt says, with its lines.
        sql: the model's file, as dbt names it, like `models/marts/invoices.sql`.
        yml: the file with its YAML; None where it has none.

    Returns:
        None where dbt says something else.
    """
    if NO_YML in message:
        return _no_columns(sql) if yml else no_yml(sql)
    if untyped := NO_TYPES.search(message):
        faults = [f"{untyped[1].replace(chr(39), '')} without a data_type"]
    elif DIFFERS in message:
        rows = [row for row in ROW.findall(message) if row[0] != "column_name" and set(row[0]) != {"-"}]
        faults = [_fault(*row) for row in rows]
    else:
        return None
    named = FOLDER / (yml or Path(sql).with_suffix(".yml"))
    return f"{FOLDER / sql} does not keep the contract in {named}: {'; '.join(faults)}. {_offer(sql)}"


def parse_fault(message: str) -> str | None:
    """Turn dbt's message about a contract without columns into one sentence; None for other messages."""
    match = NO_COLUMNS.search(message)
    return _no_columns(match[1]) if match else None


def _fault(column: str, in_sql: str, in_yml: str, reason: str) -> str:
    if not in_yml or "missing in contract" in reason:
        return f"{column} ({in_sql.lower()}) is in the SQL and not in the YAML"
    if not in_sql or "missing in definition" in reason:
        return f"{column} is in the YAML and not in the SQL"
    return f"{column} is {in_sql.lower()} in the SQL and {in_yml.lower()} in the YAML"


def no_yml(sql: str) -> str:
    """Say that a model has no YAML."""
    return f"{FOLDER / sql} has no YAML, which says its grain, its columns and their types. {_offer(sql)}"


def _no_columns(sql: str) -> str:
    return f"the YAML of {FOLDER / sql} names no columns, and its contract asks for them. {_offer(sql)}"


def _offer(sql: str) -> str:
    model = Path(sql).stem
    yml = FOLDER / Path(sql).with_suffix(".yml")
    return f"`goodstanding dbt describe {model}` prints what to paste, and with --write writes {yml}"
