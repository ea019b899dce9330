"""What is printed is text as it stands: no text of a file is read as markup, or obeyed by a terminal."""

from __future__ import annotations

import ast
import io
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from rich.console import Console

from app.cli.decision_tables import print_groups
from app.cli.shown import say
from app.cli.tables import print_profile, print_refused, titled_table
from goodstanding.core.settings import PROJECT
from pipeline.pages.page import PAGES

# each with how it is shown
TEXTS = {
    "UK [red]x": "UK [red]x",
    "[/b] UK": "[/b] UK",
    r"a \[bold]b": r"a \[bold]b",
    "[link=http://x]y[/link]": "[link=http://x]y[/link]",
    ":warning: UK": ":warning: UK",
    "\x1b[2JUK": r"\x1b[2JUK",
    "\x1b]0;name\x07UK": r"\x1b]0;name\x07UK",
    "UK\rXX": r"UK\x0dXX",
    "\x9b31mUK": r"\x9b31mUK",
    "U\u202eK": r"U\u202eK",
}


def _table(text: str, console: Console) -> None:
    table = titled_table(text, "what", "of it")
    table.add_row(text, "1")
    table.add_caption(text)
    console.print(table)


def _groups(text: str, console: Console) -> None:
    row = {
        **{"decision": "cod", "basket": "120", "column": "sex", "value": text, "customers": 1},
        **{"rate": 1.0, "rate_interval": None, "ratio": None, "ratio_interval": None, "below": None},
    }
    rates = {
        **{"asked": 1, "customers": 1, "policy": "v1", "as_of": date(2011, 12, 1), "unmatched": 0},
        "rows": [row],
    }
    print_groups(rates, console)  # type: ignore[arg-type]


def _profile(text: str, console: Console) -> None:
    print_profile({"as_of": date(2011, 12, 1), "simulated": False, "country": text}, console)  # type: ignore[typeddict-item]


PRINTED: dict[str, Callable[[str, Console], None]] = {
    "say": lambda text, console: say(console, text, head=text, wraps=False),
    "table": _table,
    "profile": _profile,
    "groups": _groups,
    "refused": lambda text, console: print_refused({"emi": text}, console),
}


@pytest.mark.parametrize("printed", PRINTED)
@pytest.mark.parametrize("text", TEXTS)
def test_text_of_a_file_is_printed_as_it_stands(text: str, printed: str) -> None:
    file = io.StringIO()
    PRINTED[printed](text, Console(file=file, width=120, force_terminal=False))
    assert TEXTS[text] in file.getvalue()
    assert all(character.isprintable() or character == "\n" for character in file.getvalue())


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("<script>x</script>", "&lt;script&gt;x&lt;/script&gt;"),
        ('" onload="x', "&#34; onload=&#34;x"),
        ("\x1b[2J \u202eUK", r"\x1b[2J \u202eUK"),
    ],
)
def test_text_of_a_file_is_drawn_on_a_page_as_it_stands(text: str, drawn: str) -> None:
    assert PAGES.from_string("<p>{{ text }}</p>").render(text=text) == f"<p>{drawn}</p>"


def _prints(tree: ast.AST) -> list[Any]:
    """The calls of a method `print`, and of rich's own table."""
    calls = [call for call in ast.walk(tree) if isinstance(call, ast.Call)]
    own_tables = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Table"]
    methods = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "print"]
    # a table that was made by `titled_table`
    is_table = lambda call: len(call.args) == 1 and isinstance(call.args[0], ast.Name | ast.Call)  # noqa: E731
    return own_tables + [call for call in methods if not is_table(call)]


def test_only_say_prints_text_and_only_titled_table_makes_tables() -> None:
    found = {
        f"{path.relative_to(PROJECT)}:{call.lineno}"
        for path in (PROJECT / "app").rglob("*.py")
        for call in _prints(ast.parse(path.read_text()))
    }
    own = {line for line in found if line.startswith("app/cli/shown.py")}
    assert len(own) == 1
    assert found - own == set()
