"""The commands `goodstanding policy ...`: change the policy, and compare it with another."""

from __future__ import annotations

import sys
from getpass import getpass
from typing import Annotated, Literal

import typer

from app.cli.shown import AsJson, console, print_json, reports_errors, say, show
from goodstanding.core.settings import settings

policy_app = typer.Typer(help="Change the policy, and see what another would change.", no_args_is_help=True)
officer_app = typer.Typer(help="Who may change the policy: officers and their keys.", no_args_is_help=True)
policy_app.add_typer(officer_app, name="officer")

Switch = Literal["cod", "emi"]
WhichSwitch = Annotated[Switch, typer.Argument(help="On delivery (cod), or by instalments (emi).")]
Role = Annotated[str, typer.Argument(help="The name of a role, like risk-1; the log keeps it for good.")]
Why = Annotated[str, typer.Option("--because", help="One line for the log; it names nobody.")]


def _key(whose: str = "your officer's key") -> str:
    """A key, typed without being shown or, where there is no terminal, a line of the standard input.

    It is no argument, which everybody on the machine could read in the list of processes.
    """
    if sys.stdin.isatty():
        return getpass(f"{whose}: ")
    return sys.stdin.readline().strip()


@policy_app.command("switch-off")
@reports_errors
def policy_switch_off(method: WhichSwitch, because: Why, as_json: AsJson = False) -> None:
    """Grant nothing by a method, from the next request on in all workers. It needs no officer."""
    from app.api.policy_changes import switch_off
    from app.cli.policy_tables import print_change

    show(vars(switch_off(settings(), method, because)), as_json, print_change)


@policy_app.command("switch-on")
@reports_errors
def policy_switch_on(method: WhichSwitch, because: Why, as_json: AsJson = False) -> None:
    """Ask for a method to be granted again; it is once a second officer asks, too. Reads an officer's key."""
    from app.api.policy_changes import switch_on
    from app.cli.policy_tables import print_change

    show(vars(switch_on(settings(), method, _key(), because)), as_json, print_change)


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
    from app.api.policy_changes import checked_log
    from app.cli.policy_tables import print_log

    entries = [vars(entry) for entry in checked_log(settings(), noted or ())]
    show({"entries": entries}, as_json, print_log)


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

    show(vars(end_officer(settings(), role, _key())), as_json, print_change)


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
    as_json: AsJson = False,
) -> None:
    """Show who would gain or lose a yes on the last published day, and the expected cost and profit."""
    from app.api.answers import basket_of
    from app.api.policies import BASKETS, diff
    from app.cli.decision_tables import print_policy_diff

    changes = diff(settings(), old, new, [basket_of(basket) for basket in baskets or BASKETS])
    show(changes, as_json, print_policy_diff)


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


@policy_app.command("shadow")
@reports_errors
def policy_shadow(
    days: Annotated[int, typer.Option("--days", min=1, help="The days within which an outcome counts.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Compare the live and the shadow policy on past answers, by their outcomes."""
    from app.api.policies import compare_shadow
    from app.cli.decision_tables import print_shadow

    comparison = compare_shadow(settings(), days)
    show(comparison, as_json, print_shadow)
