"""The commands `goodstanding policy ...`: compare a policy with another, by group, or on past answers."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.shown import AsJson, reports_errors, show
from goodstanding.core.settings import settings

policy_app = typer.Typer(help="What another policy would change.", no_args_is_help=True)


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
