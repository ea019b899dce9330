"""Decisions and the keys of their API, as tables of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from rich.console import Console

from app.cli.tables import mark_of, titled_table

SHOWN = ("limit", "score", "probability", "threshold", "next_step", "pay_now", "granted")
FACTS = ("class", "benefits", "situation", "policy_version", "model_id", "age_days", "receipt_id")


class KeyRow(TypedDict):
    """A key of the API as `goodstanding key list` shows it: everything but the key itself."""

    key_id: str
    #: what it may ask for: decisions, profiles, policy
    scopes: Sequence[str]
    #: requests a second
    per_second: int
    #: moments in ISO 8601, UTC
    made_at: str
    #: None: it does not end by itself
    ends_at: str | None
    is_valid: bool


def print_decision(found: dict[str, Any], console: Console) -> None:
    """Print one answer with its reasons."""
    rests = f"as of {found['as_of']}" if found["as_of"] else "nothing is published"
    table = titled_table(f"{mark_of(found)}{found['decision'].capitalize()} ({rests})", "", "")
    rows = [(name, found[name]) for name in SHOWN]
    rows += [("", found["summary"]), *(("reason", each) for each in found["reasons"])]
    plan = found["plan"]
    if plan:
        last = plan["schedule"][-1]["instalment"]
        paid = f"{plan['months']} of {plan['instalment']}, the last {last}: {plan['total']} in all"
        rows.append(("instalments", paid))
    for name in ("nearest_change", "class_move"):
        rows.append((name, found[name] and found[name]["sentence"]))
    rows += [*((name, found[name]) for name in FACTS), *(("note", note) for note in found["notes"])]
    for name, value in rows:
        if value is not None:
            table.add_row(name.replace("_", " "), str(value))
    console.print(table)


def print_keys(keys: Sequence[KeyRow], console: Console) -> None:
    """Print the keys that were made."""
    table = titled_table("Keys", "key id", "scopes", "a second", "made at", "ends at", "valid")
    for key in keys:
        table.add_row(
            key["key_id"],
            ", ".join(key["scopes"]),
            str(key["per_second"]),
            key["made_at"],
            key["ends_at"] or "",
            "yes" if key["is_valid"] else "no",
        )
    console.print(table)


def print_policy_diff(found: dict[str, Any], console: Console) -> None:
    """Print what another policy would change."""
    title = f"{mark_of(found)}Policy {found['old']} to {found['new']}, as of {found['as_of']}"
    told = ("gain", "lose", "yes", "partial", "expected cost", "expected profit")
    table = titled_table(f"{title} ({found['customers']:,} customers)", "decision, basket", *told)
    for row in found["rows"]:
        pairs = [
            f"{row[f'{name}_before']:{form}} to {row[f'{name}_after']:{form}}"
            for name, form in (("yes", ","), ("partial", ","), ("cost", ",.0f"), ("profit", ",.0f"))
        ]
        table.add_row(f"{row['decision']} {row['basket']}", f"{row['gain']:,}", f"{row['lose']:,}", *pairs)
    console.print(table)
    if found["examples"]:
        table = titled_table("Examples", "customer", "decision, basket", "answer", "limit")
        for each in found["examples"]:
            table.add_row(
                each["customer_id"],
                f"{each['decision']} {each['basket']}",
                f"{each['before']} to {each['after']}",
                f"{each['limit_before']} to {each['limit_after']}",
            )
        console.print(table)


def print_groups(found: dict[str, Any], console: Console) -> None:
    """Print how often each group is answered yes."""
    asked = f"{found['asked']:,} of {found['customers']:,} customers"
    title = f"{mark_of(found)}Policy {found['policy']} by group, as of {found['as_of']} ({asked})"
    table = titled_table(title, "decision, basket", "group", "customers", "yes", "to the most", "below")
    for row in found["rows"]:
        table.add_row(
            f"{row['decision']} {row['basket']}",
            f"{row['column']} {row['value']}",
            f"{row['customers']:,}",
            _with_interval(row["rate"], row["rate_interval"]),
            _with_interval(row["ratio"], row["ratio_interval"]),
            "" if row["below"] is None else f"{row['below']:.2f}",
        )
    console.print(table)
    texts = [
        "To the most: the rate of yes divided by that of the most approved group. Below .80 is the usual "
        "line of attention (four fifths, 29 CFR 1607.4(D)), below .90 this product's own. Intervals are of "
        "95 %."
    ]
    if found["unmatched"]:
        texts.append(f"{found['unmatched']:,} people of the file are no customers of the last published day.")
    for text in texts:
        console.print(text, markup=False, highlight=False)


def _with_interval(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def print_shadow(found: dict[str, Any], console: Console) -> None:
    """Print the live and the shadow policy on answers whose outcomes are known."""
    waiting = f"{found['receipts']:,} receipts, {found['waiting']:,} wait for their outcome"
    if found["shadow"] is None:
        console.print("no receipt has the answer of a shadow policy", highlight=False)
        return
    title = f"Live and shadow policy {found['shadow']}, outcomes of {found['days']} days ({waiting})"
    told = ("receipts", "failed", "agree", "yes", "partial", "cost", "profit")
    table = titled_table(title, "decision", *told)
    for row in found["rows"]:
        pairs = [f"{row[f'{name}_live']} to {row[f'{name}_shadow']}" for name in told[3:]]
        table.add_row(row["decision"], *(f"{row[name]:,}" for name in told[:3]), *pairs)
    console.print(table)
    for note in found["notes"]:
        console.print(note, highlight=False)
