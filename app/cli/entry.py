"""The start of the command `goodstanding`: streams and signals, then the commands, which import much."""

from __future__ import annotations

import sys

from app.cli.streams import OutputFailed, end_of_output, end_on_signals, open_streams
from goodstanding.core.private import own_files


def main() -> None:
    """Run the command of this process's arguments, and end with its exit code."""
    own_files()
    open_streams()
    end_on_signals()
    for place, argument in enumerate(sys.argv[1:], 1):
        if not argument.isascii() and argument != argument.encode("utf-8", "replace").decode():
            sys.stderr.write(f"goodstanding: argument {place} is no UTF-8 text; write it in UTF-8\n")
            sys.exit(2)
    code: object = 0
    try:
        try:
            from app.cli.main import app

            app()
        except SystemExit as end:
            code = end.code
        sys.stdout.flush()
    except OutputFailed as fault:
        code = end_of_output(fault)
    sys.exit(code)  # type: ignore[arg-type]
