"""The commands `goodstanding policy ...`: change the policy, and compare it with another."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from app.cli.shown import AsJson, console, print_json, reports_errors, say, show
from goodstanding.core.settings import Settings, settings

if TYPE_CHECKING:
    from app.api.policy_log import Entry

policy_app = typer.Typer(help="Change the policy, and see what another would change.", no_args_is_help=True)
officer_app = typer.Typer(help="Who may change the policy: officers and their keys.", no_args_is_help=True)
policy_app.add_typer(officer_app, name="officer")

Switch = Literal["cod", "emi"]
WhichSwitch = Annotated[Switch, typer.Argument(help="On delivery (cod), or by instalments (emi).")]
Role = Annotated[str, typer.Argument(help="The name of a role, like risk-1; the log keeps it for good.")]
WalkAway = Annotated[
    float | None,
    typer.Option(
        "--walk-away",
        min=0,
        max=1,
        help="Of those asked for a part payment, the share who leave; default: as the policy has it.",
    ),
]
Why = Annotated[str, typer.Option("--because", help="One line for the log; it names nobody.")]


def _key(whose: str = "your officer's key") -> str:
    """A key, typed without being shown or, where there is no terminal, a line of the standard input.

    It is no argument, which everybody on the machine could read in the list of processes.
    """
    if sys.stdin.isatty():
        return getpass(f"{whose}: ")
    return sys.stdin.readline().strip()


def switched_off(current: Settings) -> list[str]:
    """The methods by which nothing is granted at present.

    Raises:
        DataProblem: the log of policy changes was edited, damaged or cut.
    """
    if not current.policy.is_dir():
        return []
    from app.api.receipts import book_of

    return sorted(book_of(current).current.switched_off)


def _show(entry: Entry, as_json: bool, print_entry: Callable[[Entry, Console], None]) -> None:
    show(vars(entry), as_json, lambda _, console: print_entry(entry, console))


@policy_app.command("switch-off")
@reports_errors
def policy_switch_off(method: WhichSwitch, because: Why, as_json: AsJson = False) -> None:
    """Grant nothing by a method, from the next request on in all workers. It needs no officer."""
    from app.api.policy_changes import switch_off
    from app.cli.policy_tables import print_change

    _show(switch_off(settings(), method, because), as_json, print_change)


@policy_app.command("switch-on")
@reports_errors
def policy_switch_on(method: WhichSwitch, because: Why, as_json: AsJson = False) -> None:
    """Ask for a method to be granted again; it is once a second officer asks, too. Reads an officer's key."""
    from app.api.policy_changes import switch_on
    from app.cli.policy_tables import print_change

    _show(switch_on(settings(), method, _key(), because), as_json, print_change)


@policy_app.command("log")
@reports_errors
def policy_log(
    noted: Annotated[
        list[str] | None,
        typer.Option("--noted", help="A head that was written down, like 12:5d3f0c7f1a5b; again for more."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Each change of the policy: who, when, what. Ends with 1 where the log was edited or cut."""
    from app.api.policy_book import state_of
    from app.api.policy_changes import checked_log
    from app.cli.policy_tables import print_log

    entries = checked_log(settings(), noted or ())
    unusable = list(state_of(entries).unusable.values())
    found = {"entries": [vars(entry) for entry in entries], "unusable": unusable}
    show(found, as_json, lambda _, on: print_log(entries, unusable, on))


@policy_app.command("accept-loss")
@reports_errors
def policy_accept_loss(because: Why, as_json: AsJson = False) -> None:
    """Go on without entries of the log that are gone for good: all is off until two officers switch it on."""
    from app.api.policy_changes import accept_loss
    from app.cli.policy_tables import print_change

    _show(accept_loss(settings(), because), as_json, print_change)


@officer_app.command("new")
@reports_errors
def officer_new(role: Role, as_json: AsJson = False) -> None:
    """Make an officer and print their key once. From the third on it reads the keys of two officers."""
    from app.api.policy_changes import FIRST_OFFICERS, new_officer, officers

    enough = len(officers(settings(), ended=True)) >= FIRST_OFFICERS
    keys = [_key(f"key of the {which} officer who lets {role} in") for which in ("first", "second") if enough]
    key = new_officer(settings(), role, keys)
    if as_json:
        print_json({"ok": True, "officer": role, "key": key})
    else:
        say(console, f"officer {role}, whose key is shown this once:")
        sys.stdout.write(key + "\n")


@officer_app.command("end")
@reports_errors
def officer_end(role: Role, as_json: AsJson = False) -> None:
    """End an officer's key at once. Reads the key of any officer."""
    from app.api.policy_changes import end_officer
    from app.cli.policy_tables import print_change

    _show(end_officer(settings(), role, _key()), as_json, print_change)


@officer_app.command("list")
@reports_errors
def officer_list(as_json: AsJson = False) -> None:
    """The officers whose keys are valid."""
    from app.api.policy_changes import officers

    names = officers(settings())
    if as_json:
        print_json({"ok": True, "officers": names})
    else:
        say(console, "\n".join(names) or "there is no officer")


@policy_app.command("diff")
@reports_errors
def policy_diff(
    old: Annotated[str, typer.Argument(help="A policy file (.csv), or a published version.")],
    new: Annotated[str, typer.Argument(help="The one that may follow it.")],
    baskets: Annotated[
        list[str] | None, typer.Option("--basket", help="Asked of every customer; again for more.")
    ] = None,
    walk_away: WalkAway = None,
    as_json: AsJson = False,
) -> None:
    """Show who would gain or lose a yes on the last published day, and the expected cost and profit."""
    from app.api.answers import basket_of
    from app.api.policies import BASKETS, diff
    from app.cli.decision_tables import print_policy_diff

    asked = [basket_of(basket) for basket in baskets or BASKETS]
    show(diff(settings(), old, new, asked, _share(walk_away)), as_json, print_policy_diff)


@policy_app.command("curve")
@reports_errors
def policy_curve(
    policy: Annotated[
        str | None, typer.Argument(help="A policy file (.csv), or a published version; default: the live.")
    ] = None,
    baskets: Annotated[
        list[str] | None, typer.Option("--basket", help="Asked of every customer; again for more.")
    ] = None,
    cut_offs: Annotated[
        list[float] | None,
        typer.Option("--cut-off", min=0, max=1, help="A chance up to which to say yes; again for more."),
    ] = None,
    walk_away: WalkAway = None,
    as_json: AsJson = False,
) -> None:
    """Show approvals, expected loss and expected profit by cut-off, asked of every customer."""
    from app.api.answers import basket_of
    from app.api.curves import CUT_OFFS, curve
    from app.api.policies import BASKETS
    from app.cli.decision_tables import print_policy_curve

    asked = [basket_of(basket) for basket in baskets or BASKETS]
    at = [Decimal(str(cut_off)) for cut_off in cut_offs or ()] or CUT_OFFS
    show(curve(settings(), policy, asked, at, _share(walk_away)), as_json, print_policy_curve)


def _share(share: float | None) -> Decimal | None:
    return None if share is None else Decimal(str(share))


@policy_app.command("groups")
@reports_errors
def policy_groups(
    policy: Annotated[
        str | None, typer.Option("--policy", help="A policy file, or a published version; default: the live.")
    ] = None,
    baskets: Annotated[
        list[str] | None, typer.Option("--basket", help="Asked of every customer; again for more.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how often each group is answered yes. The groups are those of the mapping; they are not kept."""
    from app.api.answers import basket_of
    from app.api.groups import approval_rates
    from app.api.policies import BASKETS
    from app.cli.decision_tables import print_groups

    rates = approval_rates(settings(), [basket_of(basket) for basket in baskets or BASKETS], policy)
    show(rates, as_json, print_groups)


@policy_app.command("compare")
@reports_errors
def policy_compare(
    days: Annotated[int, typer.Option("--days", min=1, help="The days within which an outcome counts.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Compare the live policy with a shadow or a challenger on past answers, by their outcomes."""
    from app.api.policy_compare import compare
    from app.cli.policy_tables import print_comparison

    show(compare(settings(), days), as_json, print_comparison)


@policy_app.command("new")
@reports_errors
def policy_new(
    version: Annotated[str, typer.Argument(help="A name that no other version has.")],
    note: Annotated[str, typer.Option("--note", help="Why, in one line; it names nobody.")],
    file: Annotated[
        Path | None, typer.Option("--differs", help="A .csv file with the rows that differ.")
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="A row that differs, like 'cod cap_customer Best=1500'; again for more."),
    ] = None,
    starts: Annotated[
        str | None,
        typer.Option("--from", help="By the shop's clock, like '2026-12-24 08:00'; default: its approval."),
    ] = None,
    mode: Annotated[
        Literal["live", "shadow", "challenger"],
        typer.Option("--mode", help="Whether it answers all, nobody (shadow), or a share."),
    ] = "live",
    share: Annotated[
        str | None, typer.Option("--share", help="Of a challenger: the share of customers, like 0.1.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draft a version that differs in some rows, for another officer to approve. Reads an officer's key."""
    from app.api.policy_drafts import Drafting, draft, moment_of, share_of
    from app.cli.policy_tables import print_draft
    from goodstanding.decisions.differences import differing_of, read_differing

    differing = [*(read_differing(file) if file else []), *map(differing_of, sets or [])]
    from_when = None if starts is None else moment_of(settings(), starts)
    share_given = None if share is None else share_of(share)
    drafting = Drafting(version, differing, note, from_when, mode, share_given)
    _show(draft(settings(), drafting, _key()), as_json, print_draft)


@policy_app.command("check")
@reports_errors
def policy_check(
    name: Annotated[str, typer.Argument(help="A draft, or a .csv file with the rows that differ.")],
    as_json: AsJson = False,
) -> None:
    """Say all that is wrong with a draft, and what it would change. Ends with 1 where something is wrong."""
    from app.api.policy_drafts import check
    from app.cli.policy_tables import print_check

    checked = check(settings(), name)
    if as_json:
        print_json({"ok": not checked["faults"], **checked})
    else:
        show(checked, as_json, print_check)
    if checked["faults"]:
        raise typer.Exit(1)


@policy_app.command("approve")
@reports_errors
def policy_approve(
    version: Annotated[str, typer.Argument(help="Of the draft.")],
    draft_hash: Annotated[
        str,
        typer.Option("--draft", help="How the hash of the draft begins that you read, as `check` shows it."),
    ],
    as_json: AsJson = False,
) -> None:
    """Let a draft hold from its moment on. Reads the key of an officer who is not its author."""
    from app.api.policy_drafts import approve
    from app.cli.policy_tables import print_approval

    _show(approve(settings(), version, draft_hash, _key()), as_json, print_approval)


@policy_app.command("end")
@reports_errors
def policy_end(
    version: Annotated[str, typer.Argument(help="A draft, a challenger, a shadow, or what is to come.")],
    because: Why,
    as_json: AsJson = False,
) -> None:
    """End a draft, a challenger, a shadow, or a version whose moment has not come; the latter by two keys."""
    from app.api.policy_drafts import end, ends_by_two
    from app.cli.policy_tables import print_change

    keys = [_key()]
    if ends_by_two(settings(), version):
        keys.append(_key("key of a second officer"))
    _show(end(settings(), version, keys, because), as_json, print_change)
