"""Makes the letter about a kept answer, as text or as PDF."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from html import escape
from io import BytesIO
from pathlib import Path

from app.api.receipts import Receipts
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.decisions.decide import Question
from goodstanding.decisions.letter import NOBODY, Letter, Sender, letter
from goodstanding.shops.mapping import Shop

MARGIN = 70  # points of 1/72 inch, as is the size below
SIZE = 11
TIMES, TIMES_BOLD, TIMES_CODE = "Times-Roman", "Times-Bold", "cp1252"


def sender_of(shop: Shop) -> Sender:
    """Who writes the letters of a shop."""
    if shop.letters is None:
        return Sender(currency=shop.currency)
    contact = [shop.letters.contact] if shop.letters.contact else []
    return Sender((shop.letters.name, *shop.letters.address, *contact), shop.currency, shop.letters.font)


def letter_of(receipts: Receipts, receipt_id: str, sender: Sender = NOBODY) -> Letter:
    """The letter about the answer of a receipt.

    Raises:
        DataProblem: there is no such receipt, or it is of an earlier version.
    """
    receipt = receipts.read(receipt_id)
    asked = receipt["question"]
    question = Question(asked["method"], Decimal(asked["basket"]), asked["months"])
    return letter(question, receipt["answer"], receipt["day"], receipt_id, sender)


def as_pdf(content: Letter, font: str | None = None) -> bytes:
    """A letter as PDF, A4. Equal letters give equal bytes.

    Args:
        content: the letter.
        font: the file of its font; None: Times.

    Raises:
        DataProblem: the font cannot show a character of it, or not rightly.
        WrongUse: the file is no font that can be used.
    """
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph, SimpleDocTemplate

    of_text, of_title = (TIMES, TIMES_BOLD) if font is None else (_registered(font),) * 2
    _require_shown(content, font)
    file = BytesIO()
    page = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=content.title,
        author="",
        # without the time at which it was made
        invariant=True,
    )
    size = {"fontSize": SIZE, "leading": 1.4 * SIZE}
    plain = ParagraphStyle("plain", fontName=of_text, **size, spaceAfter=0.9 * SIZE)
    title = ParagraphStyle("title", plain, fontName=of_title, fontSize=16, leading=22, spaceAfter=14)
    sender = ParagraphStyle("sender", plain, spaceAfter=2 * SIZE)
    item = ParagraphStyle(
        "item",
        plain,
        leftIndent=20,
        bulletIndent=4,
        bulletFontName=plain.fontName,
        bulletFontSize=SIZE,
        spaceAfter=0.4 * SIZE,
    )
    last_item = ParagraphStyle("last_item", item, spaceAfter=plain.spaceAfter)
    # what is written comes from the shop's files, too, and is no markup
    page.build(
        [
            *([Paragraph("<br/>".join(map(escape, content.sender)), sender)] if content.sender else []),
            Paragraph(escape(content.title), title),
            Paragraph("<br/>".join(map(escape, content.head)), plain),
            *(Paragraph(escape(text), plain) for text in content.opening),
            *(
                Paragraph(
                    escape(text),
                    last_item if number == len(content.reasons) else item,
                    bulletText=f"{number}.",
                )
                for number, text in enumerate(content.reasons, start=1)
            ),
            *(Paragraph(escape(text), plain) for text in content.closing),
        ]
    )
    return file.getvalue()


@lru_cache(maxsize=4)
def _registered(path: str) -> str:
    """Make a font known, and return the name by which it is."""
    from reportlab.pdfbase.pdfmetrics import registerFont
    from reportlab.pdfbase.ttfonts import TTFError, TTFont

    try:
        registerFont(TTFont(path, path))
    except (OSError, TTFError) as error:
        why = "there is none" if not Path(path).is_file() else str(error)
        name = f"letters.font of the mapping: {Path(path).name}"
        raise WrongUse(f"{name} cannot be used ({why}); name a TrueType file (.ttf)") from None
    return path


def _require_shown(content: Letter, font: str | None) -> None:
    """Refuse a letter with what its font does not have, or what is not shown as it is written.

    Raises:
        DataProblem: names the character and what to do.
    """
    for character in dict.fromkeys(_characters(content)):
        if _is_joined(character):
            why = "whose script runs from right to left or joins its signs, which letters as PDF do not"
        elif not _has(character, font):
            why = f"which {Path(font).name if font else 'Times'} does not have"
        else:
            continue
        raise DataProblem(
            f"the letter has the character {character} (U+{ord(character):04X}), {why}; take it as text"
            + ("" if _is_joined(character) else ", or name a font that has it: letters.font of the mapping")
        )


def _characters(content: Letter) -> Iterator[str]:
    parts = (content.title, *content.sender, *content.head, *content.opening, *content.reasons)
    for text in (*parts, *content.closing):
        yield from text


def _is_joined(character: str) -> bool:
    is_mark = unicodedata.category(character) in ("Mn", "Mc", "Me")
    return is_mark or unicodedata.bidirectional(character) in ("R", "AL", "AN")


def _has(character: str, font: str | None) -> bool:
    if font is None:
        try:
            character.encode(TIMES_CODE)
        except UnicodeEncodeError:
            return False
        return True
    from reportlab.pdfbase.pdfmetrics import getFont

    return character.isspace() or ord(character) in getFont(font).face.charToGlyph
