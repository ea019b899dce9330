"""Makes the letter about a kept answer, as text or as PDF."""

from __future__ import annotations

from decimal import Decimal
from html import escape
from io import BytesIO

from app.api.receipts import Receipts
from goodstanding.decisions.decide import Question
from goodstanding.decisions.letter import Letter, letter

MARGIN = 70  # points of 1/72 inch, as is the size below
SIZE = 11


def letter_of(receipts: Receipts, receipt_id: str) -> Letter:
    """The letter about the answer of a receipt.

    Raises:
        DataProblem: there is no such receipt, or it is of an earlier version.
    """
    receipt = receipts.read(receipt_id)
    asked = receipt["question"]
    question = Question(asked["method"], Decimal(asked["basket"]), asked["months"])
    return letter(question, receipt["answer"], receipt["day"], receipt_id)


def as_pdf(content: Letter) -> bytes:
    """A letter as PDF, A4. Equal letters give equal bytes."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph, SimpleDocTemplate

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
    plain = ParagraphStyle(
        "plain", fontName="Times-Roman", fontSize=SIZE, leading=1.4 * SIZE, spaceAfter=0.9 * SIZE
    )
    title = ParagraphStyle("title", plain, fontName="Times-Bold", fontSize=16, leading=22, spaceAfter=14)
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
    head = f"Date: {escape(content.date)}<br/>Reference: {escape(content.reference)}"
    page.build(
        [
            Paragraph(escape(content.title), title),
            Paragraph(head, plain),
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
