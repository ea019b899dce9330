"""Says how a customer's id is found in other texts of a line, where it must not be left.

Regular expressions here are read alike by Python and by DuckDB, which has no look-around.
"""

from __future__ import annotations

import re
import unicodedata

from goodstanding.core.sql import escaped

# a number below 1,000 and a word of one or two letters name nobody by themselves: PACK OF 12, SIZE L
_IN_EVERY_TEXT = re.compile(r"[0-9]{1,3}|[^\W\d_]{1,2}")
# of a shorter name a longer word is another one: ann and hannah
_LONG = 6
_BLANKS = frozenset(("Zs", "Zl", "Zp", "Cc", "Cf"))


def id_pattern(customer: str) -> str | None:
    r"""What finds an id in a text, in any case: group 1 is what stands before it, and group 2 what behind.

    117850 and 178501 do not hold 17850, 017850.0 does. Of two ids that share what stands between them only
    the first is found.

    Args:
        customer: the id in normal form.

    Returns:
        A regular expression; None of what is no id wherever it stands, as 12 in PACK OF 12.
    """
    if _IN_EVERY_TEXT.fullmatch(customer):
        return None
    body = f"0*{customer}(?:\\.0+)?" if re.fullmatch("[0-9]+", customer) else escaped(customer)
    first, last = (_edge(character, len(customer)) for character in (customer[0], customer[-1]))
    return f"({f'^|{first}' if first else ''}){body}({f'$|{last}' if last else ''})"


def _edge(character: str, length: int) -> str:
    """What may stand beside an id that begins or ends with a character; nothing where all may."""
    if re.fullmatch("[0-9]", character):
        return "[^0-9]"
    return r"\PL" if character.isalpha() and length < _LONG else ""


def squeezed(text: str) -> str:
    """The text in small letters without any blanks, to look for an id whose blanks are lost or more."""
    text = unicodedata.normalize("NFC", text)
    return "".join(one for one in text if unicodedata.category(one) not in _BLANKS).lower()
