"""Writes the letter that tells a customer what was decided and why, from what a receipt keeps.

It names the principal reasons by their plain facts, where the data come from, and the rights to a person and
to the data (as 12 CFR 1002.9(b)(2) and GDPR articles 15, 16 and 22 ask). It names no model, file or policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from unicodedata import normalize

from goodstanding.core.errors import DataProblem
from goodstanding.core.printable import printable
from goodstanding.decisions.decide import HOW, NO, PARTIAL, YES, Answer, Question, money
from goodstanding.decisions.facts import count_of

SIMULATED = "SIMULATED: the orders behind this letter are made up."
PERSON = (
    "This was decided by a computer. You may ask that a person looks at it again, tell that person your "
    "view, and contest the decision. Answer this letter for that, and name the reference above."
)
DATA = (
    "You may also ask which data about you we hold, where they come from and how they were used here, have a "
    "copy of them, and have what is wrong in them corrected."
)
SOURCES = (
    "The decision rests on what you asked for and on our own records of your orders, cancellations, returns "
    "and payments{until}. Nothing that another company knows of you was used."
)


@dataclass(frozen=True)
class Sender:
    """Who writes.

    Attributes:
        lines: the name, the address and where a person is reached; none where the shop does not say.
        currency: three letters, in which all amounts are; None: they have none.
        font: a TrueType file for letters as PDF; None: Times.
    """

    lines: tuple[str, ...] = ()
    currency: str | None = None
    font: str | None = None


NOBODY = Sender()


@dataclass(frozen=True)
class Letter:
    """A letter, without the customer's address.

    Attributes:
        title: what it is about.
        date: the day of the decision, as ISO 8601.
        reference: by which the shop finds the decision again.
        sender: the lines of who writes.
        currency: of all amounts, or None.
        opening: paragraphs before the reasons.
        reasons: the principal reasons; none where all was granted.
        closing: paragraphs after them.
    """

    title: str
    date: str
    reference: str
    sender: tuple[str, ...]
    currency: str | None
    opening: tuple[str, ...]
    reasons: tuple[str, ...]
    closing: tuple[str, ...]

    @property
    def head(self) -> tuple[str, ...]:
        """The lines under the title."""
        amounts = (f"All amounts are in {self.currency}.",) if self.currency else ()
        return (f"Date: {self.date}", f"Reference: {self.reference}", *amounts)

    def text(self, width: int = 78) -> str:
        """The letter as plain text with lines of at most so many characters."""
        from textwrap import fill

        reasons = [
            fill(reason, width, initial_indent=f"{number}. ", subsequent_indent="   ")
            for number, reason in enumerate(self.reasons, start=1)
        ]
        opening, closing = (
            [fill(paragraph, width) for paragraph in part] for part in (self.opening, self.closing)
        )
        parts = [
            *(["\n".join(self.sender)] if self.sender else []),
            *(self.title, "\n".join(self.head)),
            *opening,
            *(["\n".join(reasons)] if reasons else []),
            *closing,
        ]
        return "\n\n".join(parts) + "\n"


def letter(question: Question, answer: Answer, day: str, reference: str, sender: Sender = NOBODY) -> Letter:
    """The letter about an answer.

    Args:
        question: what was asked.
        answer: to it.
        day: of the decision, as ISO 8601.
        reference: by which the shop finds the decision again.
        sender: who writes.

    Raises:
        DataProblem: the answer is of an earlier version, whose reasons were no plain facts.
    """
    if any(isinstance(reason, str) for reason in answer["reasons"]):
        raise DataProblem(
            f"the answer {reference} was given by an earlier version, whose reasons cannot stand in a "
            "letter; ask the question again"
        )
    is_granted = answer["decision"] == YES
    reasons = () if is_granted else tuple(reason["formal"] for reason in answer["reasons"])
    opening = [_asked(question), _decided(question, answer)]
    if reasons:
        opening.append("The principal reason is:" if len(reasons) == 1 else "The principal reasons are:")
    until = f" up to {answer['as_of']}" if answer["as_of"] else ""
    change = answer["nearest_change"]
    closing = [
        *([f"What you can do: {_begin_small(change['sentence'])}"] if change else []),
        SOURCES.format(until=until),
        PERSON,
        DATA,
        *([SIMULATED] if answer["simulated"] else []),
    ]
    title = f"Your request to pay {HOW[question.method]}"
    # words of the shop's files are in the reasons
    lines, *parts = (
        tuple(normalize("NFC", printable(text)) for text in part)
        for part in (sender.lines, opening, reasons, closing)
    )
    return Letter(title, day, reference, lines, sender.currency, *parts)


def _asked(question: Question) -> str:
    over = f" over {count_of(question.months, 'month')}" if question.months else ""
    return f"You asked to pay an order of {money(question.basket)} {HOW[question.method]}{over}."


def _decided(question: Question, answer: Answer) -> str:
    how = HOW[question.method]
    if answer["decision"] == NO:
        return "We cannot agree to this."
    if answer["decision"] == PARTIAL:
        now, later = answer["pay_now"], answer["granted"]
        text = f"We agree to a part: {now} is to be paid at once, and {later} may be paid {how}."
    else:
        text = f"We agree: all of it may be paid {how}."
    plan = answer["plan"]
    if plan is None:
        return text
    rate = Decimal(plan["yearly_rate"]) * 100
    last = plan["schedule"][-1]["instalment"]
    interest = f"at a yearly rate of {rate.normalize():f}%" if rate else "without interest"
    payments = count_of(plan["months"], "instalment")
    return (
        f"{text} There are {payments} of {plan['instalment']} (the last {last}), {plan['total']} in all, "
        f"{interest}."
    )


def _begin_small(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
