"""The one normal form of customer ids and codes.

Files write one id in several ways: with blanks that nobody sees, composed or decomposed accents, leading
zeros, another case. Two texts are one id exactly if their normal forms are equal. Ingest, look-ups, the HTTP
API and the file of groups all call what is here, so an id can be asked for as it stands in a file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from goodstanding.core.errors import WrongUse

IdCast = Literal["text", "whole_number"]
Case = Literal["keep", "lower", "upper"]

# characters of a customer id in normal form; an e-mail address has 254 at most
LONGEST_ID = 255
# what exports and shops write where there is no customer
NOBODY = (
    *(
        "NULL",
        "(null)",
        "[null]",
        "<null>",
        r"\N",
        "None",
        "nil",
        "undefined",
        "NaN",
        "NaT",
        "NA",
        "<NA>",
        "N/A",
    ),
    *("#N/A", "-", "0", "-1", "00000000-0000-0000-0000-000000000000", "guest", "anonymous", "unknown"),
)
IS_NOBODY = "stands for nobody (key nobody of the mapping)"
NO_WHOLE_NUMBER = "no whole number"

_ASCII_BLANKS = "".join(map(chr, (*range(0x21), 0x7F)))
# separators, control characters and invisible format characters
_BLANK_CATEGORIES = frozenset(("Zs", "Zl", "Zp", "Cc", "Cf"))
# of other categories, and as invisible: fillers, joiners, variation selectors, the empty Braille pattern
_MORE_BLANKS = frozenset(
    chr(code)
    for first, last in (
        *((0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2800, 0x2800)),
        *((0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF)),
    )
    for code in range(first, last + 1)
)
_WHOLE_NUMBER = re.compile(r"\+?0*([0-9]+)(\.0*)?")
_PHONE = re.compile(r"(?=.*[0-9])['+0-9 ()./-]+")
_NUMBER = re.compile(r"([+-]?)0*([0-9]+)(\.0*)?")
# above it a float no longer tells each whole number from its neighbours
_LARGEST_EXACT_FLOAT = str(2**53)


def normal_text(text: str) -> str:
    """The text in Unicode form NFC without blanks of any kind at its ends; those within it stay."""
    if text.isascii():
        return text.strip(_ASCII_BLANKS)
    text = unicodedata.normalize("NFC", text)
    first, last = 0, len(text)
    while first < last and _is_blank(text[first]):
        first += 1
    while first < last and _is_blank(text[last - 1]):
        last -= 1
    return text[first:last]


def _is_blank(character: str) -> bool:
    return unicodedata.category(character) in _BLANK_CATEGORIES or character in _MORE_BLANKS


def normal_form(text: str, cast: IdCast = "text", case: Case = "keep") -> str | None:
    """The normal form of an id or code, or None where the text has none: it is blank, or no whole number.

    A whole number is its digits without sign, leading zeros and decimals of zero. With decimals it is refused
    above 2^53: it was a float, whose last digits are lost.

    Args:
        text: as a file or a person writes it.
        cast: how it is read.
        case: `lower` and `upper` make texts equal that differ by case alone, in every script (ß is ss).
    """
    text = normal_text(text)
    if cast == "whole_number":
        match = _WHOLE_NUMBER.fullmatch(text)
        if match is None or (match[2] and _is_inexact(match[1])):
            return None
        return match[1]
    if case != "keep":
        # both by way of capitals, so that what is one in capitals (i with and without its dot) is one always
        capitals = unicodedata.normalize("NFD", text).casefold().upper()
        text = unicodedata.normalize("NFC", capitals if case == "upper" else capitals.casefold())
    return text or None


def _is_inexact(digits: str) -> bool:
    return (len(digits), digits) > (len(_LARGEST_EXACT_FLOAT), _LARGEST_EXACT_FLOAT)


def word_of(text: str) -> str:
    """What a word of nobody is compared by: whole numbers by their value, all else without case."""
    match = _NUMBER.fullmatch(normal_text(text))
    if match is None:
        return normal_form(text, case="lower") or ""
    return ("-" if match[1] == "-" and match[2] != "0" else "") + match[2]


class Reading(NamedTuple):
    """What a text says of the customer: the id in normal form or, where `customer` is None, the reason.

    `is_nobody` is whether the text names no customer rightly: it is blank or a word of nobody.
    """

    customer: str | None
    reason: str | None = None
    is_nobody: bool = False


class NoCustomerId(WrongUse):
    """A text by which no customer can be asked for, because ingest gives no customer such an id."""


@dataclass(frozen=True)
class CustomerIds:
    """How the customer ids of one shop are read.

    Attributes:
        cast: `text` or `whole_number`.
        case: whether ids that differ by case alone are one.
        nobody: words that stand for no customer, as `words` gives them.
        phones: whether customers may be known by phone: of a text that is a number with the signs of one the
            digits count.
    """

    cast: IdCast
    case: Case
    nobody: frozenset[str]
    phones: bool = False

    @staticmethod
    def words(nobody: Iterable[str]) -> frozenset[str]:
        """Words that stand for no customer, each in the form in which ids are compared with them."""
        return frozenset(map(word_of, nobody))

    def read(self, text: str) -> Reading:
        """The customer whom a text names."""
        if not normal_text(text):
            return Reading(None, "missing", is_nobody=True)
        if word_of(text) in self.nobody:
            return Reading(None, IS_NOBODY, is_nobody=True)
        if self.phones and _PHONE.fullmatch(normal_text(text)):
            text = re.sub("[^0-9]", "", text)
        customer = normal_form(text, self.cast, self.case)
        if customer is None:
            return Reading(None, NO_WHOLE_NUMBER)
        if len(customer) > LONGEST_ID:
            return Reading(None, f"longer than {LONGEST_ID} characters")
        if any(0xD800 <= ord(character) <= 0xDFFF for character in customer):
            # what Python makes of an argument that is no UTF-8
            return Reading(None, "no Unicode text")
        return Reading(customer)

    def require(self, text: str) -> str:
        """The id in normal form of a customer who is asked for.

        Raises:
            NoCustomerId: no customer can have this id; says why, and never repeats it.
        """
        customer, reason, is_nobody = self.read(text)
        if customer is None:
            advice = (
                "give the id of a customer (over HTTP, null asks for a buyer without one)"
                if is_nobody
                else f"give it as it stands in the shop's files, which are read as {self.cast}"
            )
            raise NoCustomerId(f"customer_id: {reason}; {advice}")
        return customer
