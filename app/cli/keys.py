"""The commands `goodstanding key ...`: make, list, rotate and revoke the keys of the HTTP API."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from app.cli.shown import AsJson, console, print_json, reports_errors, say, show
from goodstanding.core.settings import settings

key_app = typer.Typer(help="Keys of the API: made, listed, rotated, revoked.", no_args_is_help=True)


@key_app.command("new")
@reports_errors
def key_new(
    scopes: Annotated[
        list[str], typer.Option("--scope", help="decisions, profiles or policy; again for more.")
    ],
    per_second: Annotated[
        int, typer.Option("--per-second", min=1, max=1_000_000, help="Requests that it may make in a second.")
    ] = 500,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it; it is not kept and cannot be shown again."""
    from app.api.keys import Keys

    made, text = Keys(settings().api).new(scopes, per_second)
    _show_key(made.key_id, text, as_json)


@key_app.command("rotate")
@reports_errors
def key_rotate(
    key_id: Annotated[str, typer.Argument(help="The id of the key, as `key list` shows it.")],
    hours: Annotated[float, typer.Option("--hours", min=0, help="How long the old key stays valid.")] = 24,
    as_json: AsJson = False,
) -> None:
    """Make a key with the same scopes and print it; the old one ends some hours later."""
    from app.api.keys import Keys

    made, text = Keys(settings().api).rotate(key_id, hours)
    _show_key(made.key_id, text, as_json)


@key_app.command("revoke")
@reports_errors
def key_revoke(
    key_id: Annotated[str, typer.Argument(help="The id of the key.")], as_json: AsJson = False
) -> None:
    """End a key at once: from now on the API refuses it."""
    from app.api.keys import Keys

    ended = Keys(settings().api).revoke(key_id)
    if as_json:
        print_json({"ok": True, "key_id": ended.key_id, "ends_at": ended.ends_at})
    else:
        say(console, f"key {ended.key_id} has ended")


@key_app.command("list")
@reports_errors
def key_list(as_json: AsJson = False) -> None:
    """Every key with its scopes and whether it is valid; never the key itself."""
    from app.api.keys import Keys
    from app.cli.decision_tables import KeyRow, print_keys
    from goodstanding.core.vocabulary import now_utc

    rows: list[KeyRow] = [
        {
            "key_id": key.key_id,
            "scopes": key.scopes,
            "per_second": key.per_second,
            "made_at": key.made_at,
            "ends_at": key.ends_at,
            "is_valid": key.is_valid(now_utc()),
        }
        for key in Keys(settings().api).all()
    ]
    show({"keys": rows}, as_json, lambda _, console: print_keys(rows, console))


def _show_key(key_id: str, text: str, as_json: bool) -> None:
    if as_json:
        print_json({"ok": True, "key_id": key_id, "key": text})
    else:
        say(console, f"key {key_id}, shown this once:")
        sys.stdout.write(text + "\n")
