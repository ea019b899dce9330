"""Prints the results of the commands `policy ...` that change the policy, and the log of changes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from app.cli.shown import say
from app.cli.tables import titled_table

if TYPE_CHECKING:
    from app.api.policy_compare import Comparison
    from app.api.policy_drafts import Checked
    from app.api.policy_log import Entry

SHORT = 12


def print_change(entry: Entry, console: Console) -> None:
    """Print one change that was made."""
    say(
        console,
        f"{entry.number}: {entry.subject} {entry.what.replace('_', ' ')} by {entry.who} at {entry.at} UTC",
    )
    if entry.what == "switch_on_asked":
        say(console, f"{entry.subject} stays off until another officer asks for it, too")


def print_draft(entry: Entry, console: Console) -> None:
    """Print that a version was drafted, and how it goes on."""
    print_change(entry, console)
    version, head = entry.subject, entry.hash[:SHORT]
    say(console, f"another officer reads it by: goodstanding policy check {version}", wraps=False)
    say(console, f"and approves it by: goodstanding policy approve {version} --draft {head}", wraps=False)


def print_check(checked: Checked, console: Console) -> None:
    """Print all that is wrong with a version, or what it would change."""
    for fault in checked["faults"]:
        say(console, fault)
    if checked["faults"]:
        say(console, f"{len(checked['faults'])} to mend")
        return
    share = f" of {checked['share']} of the customers" if checked["share"] else ""
    starts = f"from {checked['starts']} UTC on" if checked["starts"] else "from its approval on"
    say(
        console,
        f"{checked['version']} is {checked['mode']}{share} {starts}, and follows {checked['follows']}",
    )
    table = titled_table(f"What differs from {checked['follows']}", "rule", "before", "after")
    for row in checked["differences"]:
        table.add_row(_rule(row), row["before"] or "", row["after"] or "taken away")
    console.print(table)
    if checked["effects"]:
        table = titled_table("On the last published day", "decision, basket", "gain", "lose", "yes", "profit")
        for effect in checked["effects"]:
            table.add_row(
                f"{effect['decision']} {effect['basket']}",
                f"{effect['gain']:,}",
                f"{effect['lose']:,}",
                f"{effect['yes_before']:,} to {effect['yes_after']:,}",
                f"{effect['profit_before']:,.0f} to {effect['profit_after']:,.0f}",
            )
        console.print(table)
    if checked["draft"]:
        say(console, f"drafted by {checked['author']}: {checked['note']}")
        command = f"goodstanding policy approve {checked['version']} --draft {checked['draft'][:SHORT]}"
        say(console, f"to approve it: {command}", wraps=False)


def print_approval(entry: Entry, console: Console) -> None:
    """Print which version holds from when on."""
    after = entry.after
    say(
        console,
        f"{entry.number}: {after['mode']} {entry.subject}, drafted by {after['author']} and approved "
        f"by {entry.who}, holds from {after['effective_at']} UTC on",
    )


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the live policy and those beside it on answers whose outcomes are known."""
    waiting = f"{comparison['receipts']:,} receipts, {comparison['waiting']:,} wait for their outcome"
    if not comparison["pairs"]:
        say(console, f"no answer with another version beside it has an outcome yet ({waiting})")
        return
    columns = ("customers", "asked", "yes", "partial", "granted", "failed of these", "cost", "profit")
    for pair in comparison["pairs"]:
        other, live = pair["other"]["version"], pair["live"]["version"]
        title = (
            f"{pair['decision']}: {pair['kind']} {other} beside {live}, outcomes of {comparison['days']} days"
        )
        table = titled_table(f"{title} ({waiting})", "version", *columns)
        for side in (pair["live"], pair["other"]):
            counts = ("customers", "questions", "yes", "partial", "granted")
            failed = f"{side['failed']:,}"
            if bounds := side["failed_interval"]:
                failed += f" ({bounds[0]:.1%} to {bounds[1]:.1%})"
            numbers: Mapping[str, Any] = side
            table.add_row(
                side["version"],
                *(f"{numbers[name]:,}" for name in counts),
                failed,
                side["cost"],
                side["profit"],
            )
        console.print(table)
        if pair["agree"] is not None:
            say(console, f"both gave the same answer to {pair['agree']:,} of {pair['live']['questions']:,}")
        if pair["difference"] is not None:
            bounds = pair["difference_interval"]
            within = f" (95 %: {bounds[0]:+.2f} to {bounds[1]:+.2f})" if bounds else ", too few to tell more"
            say(console, f"profit by customer, {other} less {live}: {pair['difference']:+.2f}{within}")
    for note in comparison["notes"]:
        say(console, note)


def print_log(entries: Sequence[Entry], unusable: Sequence[str], console: Console) -> None:
    """Print all changes, the head to write down, and which versions this release cannot use."""
    table = titled_table(
        "Changes of the policy", "", "at (UTC)", "who", "what", "of", "before", "after", "note"
    )
    for entry in entries:
        table.add_row(
            str(entry.number),
            entry.at[:19],
            entry.who,
            entry.what.replace("_", " "),
            entry.subject,
            _shown(entry.before),
            _shown(entry.after),
            entry.note,
        )
    if entries:
        console.print(table)
        head = f"{entries[-1].number}:{entries[-1].hash[:SHORT]}"
        say(console, f"{len(entries)} changes, each in its place; write down the head: {head}")
    else:
        say(console, "the policy was never changed by a command")
    for problem in unusable:
        say(console, problem)


def _shown(value: Any) -> str:
    """A value in short; all of it is shown by `--json`."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list):
        return ", ".join(f"{number}:{_short(head)}" for number, head in value)
    if "differing" in value:
        value = {"mode": value["mode"], "follows": value["follows"]["version"]} | {
            _rule(row): row["value"] or "taken away" for row in value["differing"]
        }
        return ", ".join(f"{name} {each}" for name, each in value.items())
    if "differences" in value:
        value = {name: value[name] for name in ("mode", "effective_at", "author")} | {
            _rule(row): f"{row['before']} to {row['after']}" for row in value["differences"]
        }
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return ", ".join(f"{name} {_short(each)}" for name, each in value.items())


def _rule(row: Mapping[str, Any]) -> str:
    borders = f"{row['above']}..{row['up_to']}" if row["above"] or row["up_to"] else ""
    return " ".join(filter(None, (row["decision"], row["rule"], row["applies_to"], borders)))


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= SHORT else f"{text[:SHORT]}..."
