"""The command `goodstanding letter`: what a customer is told of a decision."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.cli.shown import AsJson, console, print_json, reports_errors, say
from goodstanding.core.durable import write_in_place
from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import settings


@reports_errors
def letter(
    receipt_id: Annotated[str, typer.Argument(help="The receipt_id of an answer.")],
    pdf: Annotated[
        Path | None, typer.Option("--pdf", help="Write it as PDF to this file, and print nothing.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The letter to the customer: what was decided and why, and the rights to a person and to the data."""
    from app.api.letters import as_pdf, letter_of, sender_of
    from app.api.receipts import Receipts
    from goodstanding.shops.mapping import load_shop

    sender = sender_of(load_shop(settings()))
    content = letter_of(Receipts(settings().receipts, settings().receipt_months), receipt_id, sender)
    if pdf is not None:
        try:
            write_in_place(pdf, as_pdf(content, sender.font))
        except OSError as error:
            raise WrongUse(f"--pdf: {pdf} cannot be written ({error.strerror})") from None
        say(console, f"written to {pdf}", wraps=False)
    if as_json:
        print_json({"ok": True, "letter": asdict(content), "pdf": pdf and str(pdf)})
    elif pdf is None:
        sys.stdout.write(content.text())
