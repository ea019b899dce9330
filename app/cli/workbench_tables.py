"""Prints, after `goodstanding dbt ...`, how each table that dbt built differs from the table before."""

from __future__ import annotations

from rich.console import Console

from app.cli.shown import say
from pipeline.workbench.compare import Example, TableChange
from pipeline.workbench.run import WorkbenchRun


def print_workbench_run(done: WorkbenchRun, console: Console, errors: Console) -> None:
    """Print what was compared with what, the changes, and at the end what has to be mended."""
    for text in done.notes:
        _line(console, text)
    for change in done.changes:
        for text in change_lines(change):
            _line(console, text)
    for text in done.problems:
        say(errors, f"goodstanding: {text}", "red", wraps=False)


def change_lines(change: TableChange) -> list[str]:
    """A table's changes as lines of text: one for the table, and under it one for each thing that differs."""
    lines = [f"{change['table']}: {_rows(change)}"]
    named = [f"+ {name}" for name in change["added_columns"]]
    named += [f"- {name}" for name in change["removed_columns"]]
    named += [
        f"{column['column']} {column['before']} to {column['after']}" for column in change["retyped_columns"]
    ]
    if named:
        lines.append(f"  columns: {', '.join(named)}")
    if change["against"]:
        lines.append(f"  {_counts(change)}")
    lines += [f"    {_example(example)}" for example in change["examples"]]
    if change["note"]:
        lines.append(f"  {change['note']}")
    return lines


def _rows(change: TableChange) -> str:
    after = f"{change['rows_after']:,} rows"
    if change["rows_before"] is None:
        return f"{after}, compared with nothing" if change["note"] else f"{after}, a new table"
    return f"{change['rows_before']:,} to {after}, against {change['against']}"


def _counts(change: TableChange) -> str:
    if not change["key"]:
        if not (change["added"] or change["removed"]):
            return "the rows are the same"
        return f"rows without a key: {change['added']:,} added, {change['removed']:,} removed"
    key = f"keys ({', '.join(change['key'])})"
    if not (change["changed"] or change["added"] or change["removed"]):
        return f"{key}: the same, with the same values"
    text = f"{key}: {change['changed']:,} changed, {change['added']:,} added, {change['removed']:,} removed"
    by_column = sorted(change["changed_columns"].items(), key=lambda item: (-item[1], item[0]))
    if by_column:
        text += f"; changed: {', '.join(f'{name} in {count:,}' for name, count in by_column)}"
    return text


def _example(example: Example) -> str:
    key = ", ".join(str(value) for value in example["key"].values())
    values = ", ".join(
        f"{value['column']} {value['before']} to {value['after']}" for value in example["values"]
    )
    return f"{example['kind']} {key}" + (f": {values}" if values else "")


def _line(console: Console, text: str) -> None:
    say(console, text, wraps=False)
