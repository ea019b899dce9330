"""An id has one normal form, whichever way it is written, and what stands for nobody is no id."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodstanding.identity.normal_form import (
    LONGEST_ID,
    NOBODY,
    Case,
    CustomerIds,
    IdCast,
    NoCustomerId,
    normal_form,
    normal_text,
)

CASTS: tuple[IdCast, ...] = ("text", "whole_number")
CASES: tuple[Case, ...] = ("keep", "lower", "upper")
# blanks that people do not see: no-break, zero-width, BOM, soft hyphen, marks of direction, full-width
BLANKS = (
    "\t\n\r\x00\x1f\x7f\x85\u00a0\u00ad\u034f\u061c\u115f\u1680\u180b\u180e\u2000\u200a\u200b\u200d\u200e\u200f"
    "\u2028\u2029\u202a\u202e\u202f\u205f\u2060\u2063\u2066\u2069\u2800\u3000\u3164\ufe0f\ufeff\uffa0 "
)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
written = st.one_of(
    texts,
    st.text("0123456789.+-e ", max_size=8),
    st.text("aAß\u0130\u0131\u03c3\u03c2\u03a3é\u0301\u0345 " + BLANKS, max_size=8),
)


def ids(cast: IdCast = "text", case: Case = "keep", nobody: tuple[str, ...] = NOBODY) -> CustomerIds:
    return CustomerIds(cast, case, CustomerIds.words(nobody))


@given(written, st.sampled_from(CASTS), st.sampled_from(CASES))
def test_a_normal_form_is_its_own_normal_form(text: str, cast: IdCast, case: Case) -> None:
    form = normal_form(text, cast, case)
    assert form is None or normal_form(form, cast, case) == form


@given(written, st.text(BLANKS, max_size=4), st.text(BLANKS, max_size=4), st.sampled_from(CASTS))
def test_blanks_of_every_kind_at_the_ends_make_no_other_id(
    text: str, before: str, after: str, cast: IdCast
) -> None:
    assert normal_form(before + text + after, cast) == normal_form(text, cast)
    assert normal_form(unicodedata.normalize("NFD", text), cast) == normal_form(text, cast)


def test_customers_known_by_phone_are_found_by_it_however_it_is_written() -> None:
    ids = CustomerIds("text", "lower", frozenset(), phones=True)
    for text in ("+49 (151) 1234-7", "49151 12347", "'+49 151 12347", "49.151.12347"):
        assert ids.read(text).customer == "4915112347"
    assert [ids.read(text).customer for text in ("a1@b.c", "+", "12 Ann")] == ["a1@b.c", "+", "12 ann"]
    assert CustomerIds("text", "keep", frozenset()).read("+49 151").customer == "+49 151"


@given(written, st.sampled_from(("lower", "upper")))
def test_without_case_an_id_is_one_in_every_case(text: str, case: Case) -> None:
    # of marks in another order than Unicode's own, capitals are other letters
    text = unicodedata.normalize("NFC", text)
    forms = {normal_form(way(text), "text", case) for way in (str, str.upper, str.lower, str.casefold)}
    assert len(forms) == 1


@pytest.mark.parametrize(
    ("text", "form"),
    [
        *((" a ", "a"), ("a  b", "a  b"), ("A", "A"), ("", None), (BLANKS, None), ("\u00a0K1\ufeff", "K1")),
        *(("e\u0301", "\u00e9"), ("\u212a1", "K1"), ("\u200fא1\u200e", "א1"), ("a\u200bb", "a\u200bb")),
        *(("😀", "😀"), ("a/b%2F", "a/b%2F"), ("017850", "017850"), ("x" * 999, "x" * 999)),
    ],
)
def test_a_text_keeps_all_but_the_blanks_at_its_ends(text: str, form: str | None) -> None:
    assert normal_form(text) == form == (normal_text(text) or None)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        *(
            (text, "17850")
            for text in ("17850", "17850.0", "017850", "+17850", " 17850. ", "\u00a017850.000\u200b")
        ),
        *(("0", "0"), ("000", "0"), ("0.0", "0"), ("9" * 40, "9" * 40)),
        *(("9007199254740992.0", "9007199254740992"), ("1000000000000000.0", "1000000000000000")),
        # floats that have lost their last digits
        *((text, None) for text in ("9007199254740993.0", "10000000000000000.0", "1e16", "1.785e+04")),
        *(
            (text, None)
            for text in ("17850.5", "-1", "1 2", "17 850", "17,850", "K1", "", " ", "\u0661", "++1")
        ),
    ],
)
def test_a_whole_number_is_its_digits(text: str, form: str | None) -> None:
    assert normal_form(text, "whole_number") == form


@pytest.mark.parametrize("cast", CASTS)
@pytest.mark.parametrize(
    "word", [*NOBODY, "null", "Null\u00a0", " \\n", "GUEST", "00", "0.0", "-0", "-1.0", "nan"]
)
def test_a_word_of_nobody_stands_for_no_customer_in_any_case(word: str, cast: IdCast) -> None:
    reading = ids(cast).read(word)
    assert reading.customer is None and reading.is_nobody
    with pytest.raises(NoCustomerId, match="customer_id: stands for nobody"):
        ids(cast).require(word)


@pytest.mark.parametrize("text", ["GUESTS", "10", "K0", "N", "nullé", "0a", "1-", "\\NN"])
def test_what_only_resembles_a_word_of_nobody_is_an_id(text: str) -> None:
    assert ids().read(text).customer == text


def test_the_words_of_nobody_are_those_of_the_mapping_alone() -> None:
    some = ids("text", "keep", ("Laufkunde", "9999"))
    assert [some.read(text).is_nobody for text in ("LAUFKUNDE ", "09999.0", "guest", "0")] == [
        True,
        True,
        False,
        False,
    ]
    assert ids(nobody=()).read("NULL").customer == "NULL"


def test_an_id_has_a_length_that_is_stated_and_counted_in_normal_form() -> None:
    assert ids().require(" " + "e\u0301" * LONGEST_ID + "\t") == "é" * LONGEST_ID
    assert ids().read("x" * (LONGEST_ID + 1)).reason == f"longer than {LONGEST_ID} characters"


@pytest.mark.parametrize(
    ("text", "cast", "reason"),
    [
        ("", "text", "missing"),
        ("\u200b", "text", "missing"),
        ("secret", "whole_number", "no whole number"),
        ("secret" * 99, "text", "longer than"),
        # bytes of the command line that are no UTF-8
        (b"secret\xff".decode("utf-8", "surrogateescape"), "text", "no Unicode text"),
    ],
)
def test_an_id_that_cannot_be_is_refused_with_its_reason_and_not_repeated(
    text: str, cast: IdCast, reason: str
) -> None:
    with pytest.raises(NoCustomerId, match=reason) as refusal:
        ids(cast).require(text)
    assert "secret" not in str(refusal.value)
