"""The Markdown pages of the project, as the tests of the docs read them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")])
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.M | re.S)


def name_of(page: Path) -> str:
    """How a page is called in messages: its path in the project."""
    return page.relative_to(PROJECT).as_posix()


@cache
def text_of(page: Path) -> str:
    """The page as it is written."""
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """The page without its blocks of code."""
    return _FENCE.sub("", text_of(page))


def anchors_of(page: Path) -> set[str]:
    """What a link to a heading of the page may name, as the site and hosts of repositories make it."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose_of(page), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("&lt;", "").replace("&gt;", "")
        ascii_only = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
        found.add(re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_only).strip().lower()))
    return found


@dataclass(frozen=True)
class Block:
    """A block of shell commands of a page, and what the comment above it says of how it is tested."""

    page: Path
    line: int
    commands: str
    comment: str

    @property
    def label(self) -> str:
        """Where it stands."""
        return f"{name_of(self.page)}:{self.line}"

    @property
    def elsewhere(self) -> tuple[str, str] | None:
        """(file of a test, text in it and in the block), where another test runs it."""
        match = re.fullmatch(r"run elsewhere: (\S+): (.+)", self.comment)
        return (match[1], match[2]) if match else None

    @property
    def refusal(self) -> str | None:
        """What it says where the made-up shop of the test is too small for it."""
        match = re.fullmatch(r"refused in the test: (.+)", self.comment)
        return match[1] if match else None

    @property
    def smaller(self) -> list[tuple[str, str]]:
        """What the test puts in place of what."""
        match = re.fullmatch(r"in the test: (.+)", self.comment)
        pairs = [each.partition(" = ") for each in match[1].split("; ")] if match else []
        return [(before, after) for before, _, after in pairs]


def blocks_of(page: Path) -> list[Block]:
    """The page's blocks of shell commands, in order."""
    text, found = text_of(page), []
    for match in _FENCE.finditer(text):
        if match[2] == "sh":
            above = re.search(r"<!-- ((?:(?!-->).)+) -->\s*\Z", text[: match.start()], re.S)
            comment = " ".join(above[1].split()) if above else ""
            found.append(Block(page, text[: match.start()].count("\n") + 1, match[3], comment))
    return found
