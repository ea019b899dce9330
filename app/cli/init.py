"""The command `init`: looks at the exports that a shop has, and writes its mapping."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.cli.shown import AsJson, reports_errors, say, show
from app.cli.tables import titled_table
from goodstanding.core.settings import PROJECT
from goodstanding.ingest.proposal import Proposal, propose, write_mapping

KEYS = ("source", "timezone", "currency", "path")


@reports_errors
def init(
    places: Annotated[list[Path], typer.Argument(help="Exports of the shop, or folders with them.")],
    name: Annotated[str, typer.Option("--name", help="What to call the shop, like my_shop.")] = "my_shop",
    out: Annotated[
        Path | None, typer.Option("--out", help="The file to write; default: shops/NAME.yml.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take what is proposed, without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Propose a mapping for the exports that a shop has, and write it.

    It asks what the exports do not prove; with --json it does not, and writes nothing without --yes.
    """
    proposal = propose(name, places)
    if not yes and not as_json:
        proposal = _asked(proposal)
    if yes or not as_json:
        proposal = write_mapping(proposal, out or PROJECT / "shops" / f"{proposal['source']}.yml")
    show(proposal, as_json, print_proposal)


def print_proposal(proposal: Proposal, console: Console) -> None:
    """Print what was written, what is not sure, and what to do next."""
    table = titled_table(f"Mapping by the preset {proposal['preset']}", "", "")
    for key in KEYS:
        table.add_row(key, proposal[key])  # type: ignore[literal-required]
    console.print(table)
    for doubt in proposal["unsure"]:
        say(console, f"not sure: {doubt}")
    say(console, f"written: {proposal['mapping']}", wraps=False)
    say(
        console,
        "Next: set GOODSTANDING_SHOP to it and GOODSTANDING_LANDING to the folder of the exports, then",
    )
    say(console, "  .venv/bin/goodstanding check    what a run would find")
    say(console, "  .venv/bin/goodstanding run      everything that is there")


def _asked(proposal: Proposal) -> Proposal:
    """The proposal with the answers to what is not sure."""
    answers = {}
    for doubt in proposal["unsure"]:
        key, _, why = doubt.partition(": ")
        answers[key] = typer.prompt(f"{why}\n{key}", default=proposal[key])  # type: ignore[literal-required]
    return {**proposal, **answers}  # type: ignore[typeddict-item]
