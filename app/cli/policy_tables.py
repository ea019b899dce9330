"""Prints the results of the commands `policy ...` that change the policy, and the log of changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from app.cli.shown import say
from app.cli.tables import titled_table

SHORT = 12


def print_change(entry: Mapping[str, Any], console: Console) -> None:
    """Print one change that was made."""
    say(
        console,
        f"{entry['number']}: {entry['subject']} {entry['what'].replace('_', ' ')} by {entry['who']} at "
        f"{entry['at']} UTC",
    )
    if entry["what"] == "switch_on_asked":
        say(console, f"{entry['subject']} stays off until another officer asks for it, too")


def print_log(log: Mapping[str, Any], console: Console) -> None:
    """Print all changes, and the head to write down."""
    entries = log["entries"]
    table = titled_table(
        "Changes of the policy", "", "at (UTC)", "who", "what", "of", "before", "after", "note"
    )
    for entry in entries:
        table.add_row(
            str(entry["number"]),
            entry["at"][:19],
            entry["who"],
            entry["what"].replace("_", " "),
            entry["subject"],
            _shown(entry["before"]),
            _shown(entry["after"]),
            entry["note"],
        )
    if entries:
        console.print(table)
        head = f"{entries[-1]['number']}:{entries[-1]['hash'][:SHORT]}"
        say(console, f"{len(entries)} changes, each in its place; write down the head: {head}")
    else:
        say(console, "the policy was never changed by a command")


def _shown(value: Any) -> str:
    """A value in short; all of it is shown by `--json`."""
    if value is None or isinstance(value, str):
        return value or ""
    text = ", ".join(f"{name} {_short(each)}" for name, each in value.items())
    return text


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= SHORT else f"{text[:SHORT]}..."
