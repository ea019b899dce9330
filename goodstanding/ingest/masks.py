"""Hides customers' ids in other texts, by the macros of `masks.sql`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb

from goodstanding.identity.in_texts import id_pattern
from goodstanding.identity.normal_form import CustomerIds, normal_form, normal_text
from goodstanding.identity.pseudonyms import pseudonym

MASKS = Path(__file__).with_name("masks.sql")
HIDDEN = "select hidden($number, {'customer': $customer::varchar, 'pattern': $pattern::varchar}, $buyer)"


def define_masks(connection: duckdb.DuckDBPyConnection) -> None:
    """Define the macros by which customers' ids are masked in texts."""
    for statement in connection.extract_statements(MASKS.read_text(encoding="utf-8")):
        connection.execute(statement.query)


def possible_ids(text: str, length: int | None, ids: CustomerIds) -> set[str]:
    """What in a text may be a customer's id, in the mixes of cases that shops write.

    Args:
        text: as it was written, such as the number of an order.
        length: of the id in normal form; None: any, of which a long text has very many.
        ids: how the shop's ids are read.
    """
    written = normal_text(text)
    forms = {written, written.lower(), written.upper(), normal_form(text, case=ids.case) or ""}
    return {
        piece
        for form in forms
        for size in ([length] if length else range(1, len(form) + 1))
        for first in range(len(form) - size + 1)
        for piece in (form[first : first + size], form[first : first + size].title())
    }


def number_without_id(
    number: str, buyer: str, candidates: Iterable[str], ids: CustomerIds, key: bytes
) -> str:
    """The number of an order as ingest stores it, where the customer is known by the pseudonym.

    Args:
        number: in normal form.
        buyer: the pseudonym of the customer.
        candidates: what the customer's id may be: the id itself or, where it is not at hand, `possible_ids`
            of the number, among which it is not where the number has its letters in another mix of cases.
        ids: how the shop's ids are read.
        key: of the pseudonyms.
    """
    for candidate in candidates:
        customer, _, _ = ids.read(candidate)
        if customer is not None and pseudonym(customer, key) == buyer:
            values = {"number": number, "customer": customer, "pattern": id_pattern(customer), "buyer": buyer}
            with duckdb.connect(config={"threads": 1}) as connection:
                define_masks(connection)
                (hidden,) = connection.execute(HIDDEN, values).fetchall()[0]
            return str(hidden)
    return number
