"""Hides customers' ids in other texts, by the macros of `masks.sql`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import duckdb

from goodstanding.identity.in_texts import id_pattern
from goodstanding.identity.normal_form import CustomerIds
from goodstanding.identity.pseudonyms import pseudonym

MASKS = Path(__file__).with_name("masks.sql")
HIDDEN = "select hidden($number, {'customer': $customer::varchar, 'pattern': $pattern::varchar}, $buyer)"


def define_masks(connection: duckdb.DuckDBPyConnection) -> None:
    """Define the macros by which customers' ids are masked in texts."""
    for statement in connection.extract_statements(MASKS.read_text(encoding="utf-8")):
        connection.execute(statement.query)


def number_without_id(number: str, buyer: str, texts: Sequence[str], ids: CustomerIds, key: bytes) -> str:
    """The number of an order as ingest stores it, where the customer is known by the pseudonym.

    Args:
        number: in normal form.
        buyer: the pseudonym of the customer.
        texts: where the customer's id may stand: the number as it was written and, if it is at hand, the id
            itself. Without that, an id is not found whose letters the number has in another mix of cases.
        ids: how the shop's ids are read.
        key: of the pseudonyms.
    """
    pieces = {text[first:last] for text in texts for first, last in combinations(range(len(text) + 1), 2)}
    # ingest looks for an id in any case
    for text in {form for one in pieces for form in (one, one.lower(), one.upper(), one.title())}:
        customer, _, _ = ids.read(text)
        if customer is not None and pseudonym(customer, key) == buyer:
            values = {"number": number, "customer": customer, "pattern": id_pattern(customer), "buyer": buyer}
            with duckdb.connect(config={"threads": 1}) as connection:
                define_masks(connection)
                (hidden,) = connection.execute(HIDDEN, values).fetchall()[0]
            return str(hidden)
    return number
