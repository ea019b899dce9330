"""Makes text from files fit to be shown: what a terminal or a page would obey is spelt out instead.

A description may hold an escape sequence that clears the screen, renames the window or hides what follows,
or a mark that turns the direction of reading round. It is text, and is shown as text.
"""

from __future__ import annotations

import re

# control characters but tab and line feed, marks of direction, and halves of characters (no UTF-8 holds them)
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""The text with every character that a terminal or a page would obey spelt out, like \x1b."""
    return _OBEYED.sub(_spelt, text)


def _spelt(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
