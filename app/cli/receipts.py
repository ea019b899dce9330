"""The commands `goodstanding receipt ...`: compute an answer again, delete old receipts."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from app.cli.shown import AsJson, console, print_json, reports_errors, say
from goodstanding.core.errors import GoodstandingError
from goodstanding.core.settings import Settings, settings


def clock_doubt(current: Settings) -> str | None:
    """What to say where receipts of a home are old by the clock alone, and so are kept; else None."""
    if not current.receipts.is_dir():
        return None
    from app.api.answers import Answers

    # the state of a home is also told where its shop or its publication cannot be read
    with suppress(GoodstandingError):
        return Answers(current).clock_doubt()
    return None


receipt_app = typer.Typer(help="Receipts of answers.", no_args_is_help=True)


@receipt_app.command("verify")
@reports_errors
def receipt_verify(
    receipt_id: Annotated[str, typer.Argument(help="The receipt_id of an answer.")], as_json: AsJson = False
) -> None:
    """Compute an answer again from its receipt alone, and say whether it is equal. Exit 1 if not."""
    from app.api.receipts import Receipts

    verified = Receipts(settings().receipts, settings().receipt_months).verify(receipt_id)
    if as_json:
        print_json({"ok": verified["equal"], **verified})
    else:
        text = "equal" if verified["equal"] else f"not equal in {', '.join(verified['differences'])}"
        code = "the same code" if verified["same_code"] else f"other code (then {verified['code_version']})"
        say(console, f"receipt {receipt_id}: {text}, by {code}")
    if not verified["equal"]:
        raise typer.Exit(1)


@receipt_app.command("prune")
@reports_errors
def receipt_prune(
    clock_is_right: Annotated[
        bool,
        typer.Option("--clock-is-right", help="Go by this machine's clock alone."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete the receipts whose time to be kept is over, as `goodstanding serve` does once a day."""
    from app.api.answers import Answers

    answers = Answers(settings())
    dropped, doubt = answers.prune(clock_is_right), answers.clock_doubt()
    if as_json:
        print_json({"ok": True, "dropped": dropped, "clock_doubt": doubt})
    else:
        if doubt:
            say(console, doubt)
        say(
            console,
            f"{dropped['receipts']:,} receipts dropped, and {dropped['basis']:,} of what they rested on",
        )
