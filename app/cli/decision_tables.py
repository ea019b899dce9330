"""Prints the results of the commands `decide`, `key list` and `policy` as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, TypedDict

from rich.console import Console

from app.cli.shown import say
from app.cli.tables import mark_of, titled_table

if TYPE_CHECKING:
    from app.api.commitments import Commitment
    from app.api.curves import PolicyCurve
    from app.api.groups import ApprovalRates
    from app.api.policies import PolicyDiff
    from app.api.receipts import KeptAnswer

SHOWN = ("limit", "score", "probability", "threshold", "next_step", "pay_now", "granted", "open_after")
FACTS = (
    "class",
    "benefits",
    "situation",
    "policy_version",
    "model_id",
    "age_days",
    "quote_until",
    "receipt_id",
)


# The width of the longest bar of a curve.
BAR = 12


class KeyRow(TypedDict):
    """A key of the API as `goodstanding key list` shows it: everything but the key itself."""

    key_id: str
    scopes: Sequence[str]
    """What it may ask for: decisions, profiles, policy."""
    per_second: int
    """Requests that it may make in a second."""
    made_at: str
    """UTC, in ISO 8601, as is the next."""
    ends_at: str | None
    """None where it does not end by itself."""
    is_valid: bool


def print_decision(answer: KeptAnswer, console: Console) -> None:
    """Print one answer with its reasons."""
    as_of = f"as of {answer['as_of']}" if answer["as_of"] else "nothing is published"
    table = titled_table(f"{mark_of(answer)}{answer['decision'].capitalize()} ({as_of})", "", "")
    fields: Mapping[str, object] = answer
    rows = [(name, fields[name]) for name in SHOWN]
    rows += [("", answer["summary"]), *(("reason", reason["text"]) for reason in answer["reasons"])]
    for plan in answer["plans"]:
        last = plan["schedule"][-1]["instalment"]
        paid = f"{plan['months']} of {plan['instalment']}, the last {last}: {plan['total']} in all"
        if "cost" in plan:
            paid += (
                f", {plan['cost']} of it the cost ({Decimal(plan['apr_eu']):.2%} a year; "
                f"{Decimal(plan['apr_us']):.2%} as the US count it), the first due on "
                f"{plan['schedule'][0]['due']}"
            )
        rows.append(("instalments", paid))
    for name, change in (("nearest_change", answer["nearest_change"]), ("class_move", answer["class_move"])):
        rows.append((name, change and change["sentence"]))
    rows += [*((name, fields[name]) for name in FACTS), *(("note", note) for note in answer["notes"])]
    for name, value in rows:
        if value is not None:
            table.add_row(name.replace("_", " "), str(value))
    console.print(table)


def print_commitment(commitment: Commitment, console: Console) -> None:
    """Print what an order took, or gave back."""
    state = commitment["state"]
    if commitment["released_because"]:
        state += f" ({commitment['released_because'].replace('_', ' ')})"
    say(
        console,
        f"order {commitment['order_id']} by {commitment['method']}: {commitment['granted']}, {state}, "
        f"until {commitment['until']} at most (receipt {commitment['receipt_id']})",
        wraps=False,
    )


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


def print_policy_diff(diff: PolicyDiff, console: Console) -> None:
    """Print what another policy would change."""
    title = f"{mark_of(diff)}Policy {diff['old']} to {diff['new']}, as of {diff['as_of']}"
    columns = ("gain", "lose", "yes", "partial", "expected cost", "expected profit")
    table = titled_table(f"{title} ({diff['customers']:,} customers)", "decision, basket", *columns)
    for row in diff["rows"]:
        table.add_row(
            f"{row['decision']} {row['basket']}",
            f"{row['gain']:,}",
            f"{row['lose']:,}",
            f"{row['yes_before']:,} to {row['yes_after']:,}",
            f"{row['partial_before']:,} to {row['partial_after']:,}",
            f"{row['cost_before']:,.0f} to {row['cost_after']:,.0f}",
            f"{row['profit_before']:,.0f} to {row['profit_after']:,.0f}",
        )
    console.print(table)
    say(console, _walk_away(diff["walk_away"]))
    if diff["examples"]:
        table = titled_table("Examples", "customer", "decision, basket", "answer", "limit")
        for example in diff["examples"]:
            table.add_row(
                example["customer_id"],
                f"{example['decision']} {example['basket']}",
                f"{example['before']} to {example['after']}",
                f"{example['limit_before']} to {example['limit_after']}",
            )
        console.print(table)


def _walk_away(shares: Mapping[str, float]) -> str:
    listed = ", ".join(f"{share:.0%} ({decision})" for decision, share in shares.items())
    return f"Of those asked for a part payment these shares are reckoned to leave: {listed}."


def print_policy_curve(curve: PolicyCurve, console: Console) -> None:
    """Print what each cut-off of a policy would do, with a bar for the profit."""
    title = f"{mark_of(curve)}Policy {curve['policy']} by cut-off, as of {curve['as_of']}"
    columns = ("cut-off", "yes", "partial", "no", "approvals", "expected loss", "expected profit", "")
    table = titled_table(f"{title} ({curve['customers']:,} customers)", "decision, basket", *columns)
    greatest: dict[tuple[str, str], float] = {}
    for row in curve["rows"]:
        asked = row["decision"], row["basket"]
        greatest[asked] = max(greatest.get(asked, 0.0), row["profit"])
    for row in curve["rows"]:
        most = greatest[row["decision"], row["basket"]]
        table.add_row(
            f"{row['decision']} {row['basket']}",
            f"{row['cut_off']:.1%}{' (its own)' if row['is_policy'] else ''}",
            *(f"{count:,}" for count in (row["yes"], row["partial"], row["no"])),
            f"{row['approvals']:.1%}",
            f"{row['loss']:,.0f}",
            f"{row['profit']:,.0f}",
            "#" * round(BAR * max(0.0, row["profit"]) / most) if most else "",
        )
    console.print(table)
    say(console, _walk_away(curve["walk_away"]))


def print_groups(rates: ApprovalRates, console: Console) -> None:
    """Print how often each group is answered yes."""
    asked = f"{rates['asked']:,} of {rates['customers']:,} customers"
    title = f"{mark_of(rates)}Policy {rates['policy']} by group, as of {rates['as_of']} ({asked})"
    table = titled_table(title, "decision, basket", "group", "customers", "yes", "to the most", "below")
    for row in rates["rows"]:
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
    if rates["unmatched"]:
        texts.append(f"{rates['unmatched']:,} people of the file are no customers of the last published day.")
    for text in texts:
        say(console, text)


def _with_interval(value: float | None, bounds: Sequence[float] | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" + (f" [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else "")
