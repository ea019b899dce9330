"""The commands `goodstanding receipt ...`: compute an answer again, delete old receipts."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.shown import AsJson, console, print_json, reports_errors
from goodstanding.core.settings import settings

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
        console.print(f"receipt {receipt_id}: {text}, by {code}", highlight=False)
    if not verified["equal"]:
        raise typer.Exit(1)


@receipt_app.command("prune")
@reports_errors
def receipt_prune(as_json: AsJson = False) -> None:
    """Delete the receipts whose time to be kept is over, as `goodstanding serve` does once a day."""
    from app.api.answers import Answers

    answers = Answers(settings())
    dropped = answers.receipts.prune(answers.today())
    if as_json:
        print_json({"ok": True, "dropped": dropped})
    else:
        console.print(
            f"{dropped['receipts']:,} receipts dropped, and {dropped['basis']:,} of what they rested on"
        )
