"""A small version of the policy: what differs from the version that it follows, row by row.

A difference is a row of a policy with its `decision`, `rule`, `applies_to`, `above` and `up_to`, which name
what it is about, and the `value` that it has from now on. A row without a value takes away the row of that
name. All else is as in the version that is followed. What comes out is read as strictly as a whole version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from typing import TypedDict

from goodstanding.core.errors import WrongUse
from goodstanding.decisions.policy import (
    CHALLENGER,
    COLUMNS,
    PlacedRow,
    Policy,
    Row,
    parse_policies,
    placed_rows,
)

# What names a row, and the columns of a file of differences.
NAMING = ("decision", "rule", "applies_to", "above", "up_to")
DIFFERING = (*NAMING, "value", "note")
# Shared by all customers, whichever version answers them: a challenger has those of the live version.
OF_ALL_CUSTOMERS = ("cap_day", "cap_guests_day")


class Difference(TypedDict):
    """A row that differs; values are numbers as text, None where there is no such row."""

    decision: str
    rule: str
    applies_to: str
    above: str
    up_to: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Resolved:
    """What becomes of a version that is followed: a policy, or all that is wrong."""

    policy: Policy | None
    faults: tuple[str, ...]


def read_differing(path: Path) -> list[PlacedRow]:
    """The rows of a file of differences, each with where it stands.

    Raises:
        WrongUse: there is no such file, or it is no CSV with these columns.
    """
    rows = placed_rows(path, DIFFERING)
    for where, row in rows:
        if None in row or None in row.values():
            raise WrongUse(f"{where}: must have {len(DIFFERING)} fields")
    return [(where, {name: str(row[name]).strip() for name in DIFFERING}) for where, row in rows]


def differing_of(text: str) -> PlacedRow:
    """A difference written like `cod cap_customer Best=1500`; without a value, it takes the row away.

    Raises:
        WrongUse: it is written otherwise.
    """
    name, sign, value = text.partition("=")
    words = name.split()
    if not sign or not 2 <= len(words) <= 3:
        raise WrongUse(f"'{text}': write it like 'cod cap_customer Best=1500' or 'emi cap_day=20000'")
    decision, rule, *applies_to = words
    row = dict.fromkeys(DIFFERING, "") | {"decision": decision, "rule": rule, "value": value.strip()}
    return f"'{text}'", row | {"applies_to": "".join(applies_to)}


def resolve(base: Policy, head: Row, differing: Sequence[PlacedRow]) -> Resolved:
    """Apply differences to the version that they follow.

    Args:
        base: the version that is followed.
        head: `version`, `mode`, `effective_from` and `effective_to` of the new one.
        differing: the rows that differ, each with where it stands.

    What is wrong is found by the one strict reader of policies: it names a row, which is then left as it was,
    and the rest is read again, until nothing more is wrong.
    """
    faults: list[str] = []
    rows: dict[tuple[str, ...], PlacedRow] = {}
    before = {_name_of(row) for row in base.rows}
    if not differing:
        faults.append("nothing differs: name at least one row")
    for where, row in differing:
        if _name_of(row) in rows:
            faults.append(f"{where}: {key_of(row)}: is said twice; leave one of them")
        elif not row["value"] and _name_of(row) not in before:
            nothing = "there is no such row to take away"
            faults.append(f"{where}: {key_of(row)}: {nothing}{_near(row, base)}")
        elif head["mode"] == CHALLENGER and row["rule"] in OF_ALL_CUSTOMERS:
            faults.append(
                f"{where}: {key_of(row)}: is one for all customers, so a challenger has that of the live "
                "version; leave it out"
            )
        else:
            rows[_name_of(row)] = (where, row)
    while True:
        try:
            policy = _read(base, head, rows)
        except WrongUse as error:
            blamed = _blamed(rows, str(error))
            message = re.sub(r"^(version .+?: )+", "", str(error))
            faults.append(_told(message, [rows[name] for name in blamed], base))
            if not blamed:
                return Resolved(None, _in_order(faults, differing))
            for name in blamed:
                del rows[name]
            continue
        if not faults and not differences(base, policy):
            faults.append("nothing differs: each row says what holds already")
        return Resolved(None if faults else policy, _in_order(faults, differing))


def differences(before: Policy, after: Policy) -> list[Difference]:
    """Each row in which two versions differ, in a fixed order."""
    values = [{_name_of(row): row["value"] for row in policy.rows} for policy in (before, after)]
    return [
        {
            "decision": name[0],
            "rule": name[1],
            "applies_to": name[2],
            "above": name[3],
            "up_to": name[4],
            "before": values[0].get(name),
            "after": values[1].get(name),
        }
        for name in sorted(values[0].keys() | values[1].keys())
        if values[0].get(name) != values[1].get(name)
    ]


def as_version(policy: Policy, version: str, mode: str, first: date) -> Policy:
    """The same rules under another version, mode and first day, without a last one."""
    head = {"version": version, "mode": mode, "effective_from": first.isoformat(), "effective_to": ""}
    return parsed([{**row, **head} for row in policy.rows])


def parsed(rows: Sequence[Row]) -> Policy:
    """One version from its rows, as `Policy.rows` has them.

    Raises:
        WrongUse: a row is wrong or missing.
    """
    return parse_policies((f"version {row['version']}", {**row, "note": ""}) for row in rows)[0]


def key_of(row: Mapping[str, str]) -> str:
    """What a row is about, as messages name it."""
    return " ".join(filter(None, (row["decision"], row["rule"], row["applies_to"])))


def _read(base: Policy, head: Row, rows: Mapping[tuple[str, ...], PlacedRow]) -> Policy:
    # rows of the base first: what no single row is to blame for is told of the first
    kept = [(f"version {base.version}", row) for row in base.rows if _name_of(row) not in rows]
    new = [(where, row) for where, row in rows.values() if row["value"]]
    empty = dict.fromkeys(COLUMNS, "")
    return parse_policies((where, {**empty, **row, "note": "", **head}) for where, row in [*kept, *new])[0]


def _blamed(rows: Mapping[tuple[str, ...], PlacedRow], message: str) -> list[tuple[str, ...]]:
    """The rows of which a fault is told: by their place, or else by what the message names."""
    ways: tuple[Callable[[str, Row], bool], ...] = (
        lambda where, row: message.startswith(f"{where}: "),
        lambda where, row: f": {key_of(row)}: " in message,
        lambda where, row: bool(row["applies_to"]) and f": {row['applies_to']} " in message,
        lambda where, row: row["rule"] in message and f": {row['decision']} " in message,
    )
    for is_named in ways:
        if blamed := [name for name, placed in rows.items() if is_named(*placed)]:
            return blamed
    return []


def _told(message: str, blamed: Sequence[PlacedRow], base: Policy) -> str:
    """The message with the place of the row to blame, and what to do about it."""
    if not blamed:
        return message
    where, row = blamed[0]
    if not message.startswith(f"{where}: "):
        message = f"{where}: {message}"
    if message.endswith("there is no such rule"):
        message += _near(row, base)
    if message.endswith("is missing") and not row["value"]:
        message += " without it; give it a value, or leave this row out"
    return message


def _in_order(faults: Sequence[str], differing: Sequence[PlacedRow]) -> tuple[str, ...]:
    """The faults in the order of the rows."""
    places = [where for where, _ in differing]

    def order(fault: str) -> int:
        return next((number for number, where in enumerate(places) if fault.startswith(f"{where}: ")), -1)

    return tuple(sorted(faults, key=order))


def _near(row: Row, base: Policy) -> str:
    """What may have been meant."""
    near = get_close_matches(key_of(row), {key_of(known) for known in base.rows}, 1)
    return f"; did you mean {near[0]}?" if near else f"; rules are those of version {base.version}"


def _name_of(row: Row) -> tuple[str, ...]:
    return tuple(row[name] if name in NAMING[:3] else _shortest(row[name]) for name in NAMING)


def _shortest(number: str) -> str:
    try:
        return number and f"{Decimal(number).normalize():f}"
    except InvalidOperation:
        return number
