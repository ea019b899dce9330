"""What all commands share: how they print results, progress and errors."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import wraps
from threading import Event, Thread
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from app.cli.streams import OutputFailed
from goodstanding.core.errors import GoodstandingError, WrongUse
from goodstanding.core.printable import printable
from goodstanding.core.private import close_home
from goodstanding.core.settings import Settings, settings
from goodstanding.core.vocabulary import moment

# progress and errors go beside the result, so that the result can be piped
console = Console(stderr=True)

# how often a line says what is still being done, where there is no terminal
REMIND_SECONDS = 30.0

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def plain(text: str, style: str = "") -> Text:
    """Text as it stands, for a terminal: neither rich's markup nor a terminal's own is read in it."""
    return Text(printable(text), style=style)


def say(console: Console, text: str, style: str = "", *, head: str = "", wraps: bool = True) -> None:
    """Print text as it stands; whoever prints anything but a table does it here.

    Args:
        console: where to.
        text: a line or several; parts of it may come from files.
        style: of all of it.
        head: stands before it in bold.
        wraps: whether a line that is too long goes on in the next, between words.
    """
    console.print(plain(head, "bold") + plain(text, style), highlight=False, soft_wrap=not wraps)


def _as_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)


def print_json(content: Mapping[str, object]) -> None:
    """Print one JSON object; days and moments as ISO 8601, decimals as numbers."""
    sys.stdout.write(json.dumps(content, default=_as_json, indent=2) + "\n")


def show(result: Mapping[str, object], as_json: bool, print_tables: Callable[[Any, Console], None]) -> None:
    """Print a result as one JSON object, or as the tables that `print_tables` makes of it."""
    if as_json:
        print_json({"ok": True, **result})
    else:
        print_tables(result, screen())


def reports_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Decorate a command: read the settings first; print an error that a user can mend as one line.

    The exit code then says whose turn it is (see `app.cli.main`). Any other error keeps its traceback.
    """

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            _make_home(settings())
            command(*args, **kwargs)
        except (typer.Exit, OutputFailed):
            raise
        except Exception as error:
            problem = error if isinstance(error, GoodstandingError) else _machine_problem(error)
            if problem is None:
                raise
            if kwargs.get("as_json"):
                print_json({"ok": False, "error": str(problem), "kind": type(problem).__name__})
            text = f"goodstanding: {problem}"
            say(console, text, "red", wraps=False)
            raise typer.Exit(problem.exit_code) from None

    return wrapped


def _machine_problem(error: Exception) -> GoodstandingError | None:
    """The error as a problem of the disk or the memory, if it is one.

    The steps of a run look for these themselves; outside them it is most often Airflow, with a database of
    its own, that meets a full disk.
    """
    from goodstanding.warehouse.files import machine_problem

    return machine_problem(error, settings())


def _make_home(current: Settings) -> None:
    try:
        current.home.mkdir(parents=True, exist_ok=True)
        closed = close_home(current.home)
    except OSError as error:
        raise WrongUse(
            f"setting GOODSTANDING_HOME: {current.home} cannot be used as a folder ({error.strerror})"
        ) from None
    if closed:
        text = f"{closed} files of {current.home} were open to other users and are closed to them now"
        say(console, text, wraps=False)


def screen() -> Console:
    """The console for results: as wide as the terminal, or, into a file, wide enough for every table."""
    return Console() if sys.stdout.isatty() else Console(width=132)


class _Lines(Progress):
    """Progress where nobody looks at a terminal: a line for each step, and one each half minute."""

    def __init__(self, console: Console) -> None:
        super().__init__(console=console, disable=True)
        self._what, self._since, self._over = "", time.monotonic(), Event()

    def start(self) -> None:
        super().start()
        Thread(target=self._remind, daemon=True).start()

    def stop(self) -> None:
        self._over.set()
        super().stop()

    def add_task(self, description: str, *args: Any, **named: Any) -> TaskID:
        self._say(description)
        return super().add_task(description, *args, **named)

    def update(self, task_id: TaskID, **named: Any) -> None:
        self._say(named.get("description") or self._what)
        super().update(task_id, **named)

    def _say(self, what: str) -> None:
        if what != self._what:
            self._what, self._since = what, time.monotonic()
            self._print(what)

    def _remind(self) -> None:
        while not self._over.wait(REMIND_SECONDS):
            self._print(f"{self._what} (for {time.monotonic() - self._since:.0f} s)")

    def _print(self, text: str) -> None:
        line = f"{moment():%H:%M:%S} {text}"
        say(self.console, line, wraps=False)


def progress_bar() -> Progress:
    """What is done now, on standard error: with a bar, how many of how many and the time on a terminal; in
    lines where there is none."""
    told = Console(file=sys.__stderr__)
    if not told.is_terminal:
        return _Lines(told)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=told,
    )
