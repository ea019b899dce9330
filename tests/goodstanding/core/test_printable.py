"""Text that a terminal or a page would obey is spelt out; all other text stays as it is."""

from __future__ import annotations

import unicodedata

import pytest

from goodstanding.core.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\rb\x08c\x7f", r"a\x0db\x08c\x7f"),
        # the one-byte form of ESC [
        ("\x9b31m", r"\x9b31m"),
        ("pay \u202eelcitra", r"pay \u202eelcitra"),
        ("half \ud83d", r"half \ud83d"),
    ],
)
def test_what_would_be_obeyed_is_spelt_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["[red]x[/b]", "<b>&amp;", "Zoë 茶 👩‍🍳", "two\nlines\tand a tab", ""])
def test_other_text_stays(text: str) -> None:
    assert printable(text) == text


def test_no_control_character_is_left_but_tab_and_line_feed() -> None:
    everything = "".join(map(chr, range(0x110000)))
    left = {
        character for character in printable(everything) if unicodedata.category(character) in ("Cc", "Cs")
    }
    assert left == {"\t", "\n"}
