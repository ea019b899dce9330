"""Reads the normal forms of the ids, codes and other texts of `text_lines`, each different text once.

Python makes them (`goodstanding.identity.normal_form`), and SQL joins them to the lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
import pandas as pd

from goodstanding.core.sql import identifier
from goodstanding.identity.in_texts import id_pattern, squeezed
from goodstanding.identity.normal_form import CustomerIds, normal_form, word_of
from goodstanding.identity.pseudonyms import pseudonym
from goodstanding.ingest.casts import is_plain
from goodstanding.shops.mapping import CUSTOMER, Section

# what is known of a customer whom a text names
OF_CUSTOMER = ("customer", "pseudonym", "pattern", "squeezed", "written")


def read_customers(
    connection: duckdb.DuckDBPyConnection, section: Section, ids: CustomerIds, key: bytes
) -> pd.DataFrame:
    """Every text of the column customer_id of `text_lines`.

    Returns:
        A row for each text, with the columns

        - text: as the files write it,
        - customer: the id in normal form, missing where the text names no customer, as are the next four,
        - pseudonym: of the customer,
        - pattern: what finds the id in other texts (`in_texts.id_pattern`),
        - squeezed, written: the id and the text by which fields of lines set aside are searched,
        - fault: why a line with this text cannot be used, if so,
        - nobody: the word of nobody that the text is, where a line may lack its customer.
    """
    rows: list[tuple[str | None, ...]] = []
    for text in _texts(connection, CUSTOMER, "true"):
        customer, reason, is_nobody = ids.read(text)
        if customer is not None:
            found_by = (id_pattern(customer), squeezed(customer), squeezed(text))
            rows.append((text, customer, pseudonym(customer, key), *found_by, None, None))
        else:
            may_lack_it = is_nobody and section.columns[CUSTOMER].optional
            word = word_of(text) if may_lack_it else None
            rows.append((text, *[None] * 5, None if may_lack_it else reason, word or None))
    return _frame(rows, "text", *OF_CUSTOMER, "fault", "nobody")


def read_texts(connection: duckdb.DuckDBPyConnection, section: Section) -> Mapping[str, pd.DataFrame]:
    """The normal forms that SQL does not make by itself, by `<name>_forms` of the column (see `casts.cast`).

    Returns:
        A frame for each column of text or whole numbers but that of customers. It has a row for each text of
        `text_lines` that is not plain, with the columns text, written (with its case) and value, both missing
        where the text has no normal form.
    """
    frames = {}
    for name, column in section.columns.items():
        if name != CUSTOMER and (column.cast == "text" or column.cast == "whole_number"):
            case = section.case_of(name)
            texts = _texts(connection, name, f"not {is_plain(identifier(name), column.cast)}")
            rows = [
                (text, normal_form(text, column.cast), normal_form(text, column.cast, case)) for text in texts
            ]
            frames[f"{name}_forms"] = _frame(rows, "text", "written", "value")
    return frames


def joined_texts(frames: Mapping[str, pd.DataFrame]) -> str:
    """SQL that joins the frames of `read_texts` to `text_lines`."""
    return "\n".join(
        f"left join {identifier(forms)} "
        f"on text_lines.{identifier(forms.removesuffix('_forms'))} = {identifier(forms)}.text"
        for forms in frames
    )


def _texts(connection: duckdb.DuckDBPyConnection, name: str, condition: str) -> list[str]:
    texts = connection.execute(
        f"select distinct {identifier(name)} from text_lines "
        f"where {identifier(name)} is not null and {condition}"
    ).fetchall()
    return [text for (text,) in texts]


def _frame(rows: Sequence[tuple[str | None, ...]], *columns: str) -> pd.DataFrame:
    # a column without a value is one of text too
    return pd.DataFrame(rows, columns=list(columns), dtype="str")
