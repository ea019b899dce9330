"""The table of messages quotes what the code says: a message that is reworded must be reworded there too."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.docs.pages import PROJECT, text_of

ROOMS = ("goodstanding", "expectations", "ml", "pipeline", "app", "dags")
QUOTES = [
    quote
    for row in text_of(PROJECT / "docs" / "troubleshooting.md").splitlines()
    if row.startswith("| `")
    for quote in re.findall(r"`([^`]+)`", re.split(r"(?<!\\) \| ", row[2:])[0])
]
# what begins with a name that is filled in
FILLED_IN = ("policy.csv:...:",)


@cache
def sentences() -> str:
    """All texts of the code, one a line; what is filled in at run time is an ellipsis."""
    found = []
    for room in ROOMS:
        for path in (PROJECT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    found.append("".join(_part(part) for part in node.values))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    others = [PROJECT / "docker-compose.yaml", *(PROJECT / "dbt_project").rglob("*.sql")]
    found += [path.read_text(encoding="utf-8") for path in others]
    return "\n".join(" ".join(text.split()) for text in found)


def _part(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else "..."


@pytest.mark.parametrize("quote", QUOTES)
def test_the_code_says_what_the_table_quotes(quote: str) -> None:
    parts = [part.strip() for part in quote.split("...") if part.strip()]
    assert parts
    pattern = r"[^\n]*".join(re.escape(part) for part in parts)
    assert quote in FILLED_IN or re.search(pattern, sentences()), f"no text of the code has '{quote}'"
