"""Reads which groups (sex, age band) people belong to, for checking how decisions treat each group.

Groups serve that check and nothing else. They are read into memory when it is asked for, the shop's own ids
become pseudonyms there, and neither the warehouse nor a publication ever holds any of it.
"""

from __future__ import annotations

from datetime import date

import duckdb
import pandas as pd

from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import Settings
from goodstanding.identity.normal_form import normal_text
from goodstanding.identity.pseudonyms import pseudonym_key
from goodstanding.ingest.casts import REASONS, cast
from goodstanding.ingest.misread import mark_second_headers
from goodstanding.ingest.normal_forms import joined_texts, read_customers, read_texts
from goodstanding.ingest.read import inspect, load_text
from goodstanding.shops.mapping import CUSTOMER, load_shop


def read_groups(settings: Settings) -> pd.DataFrame:
    """The groups of everybody in the file that the shop's mapping names.

    Returns:
        A row for each person: the pseudonym as the index, and a column of text for each group, missing
        where the file says nothing.

    Raises:
        WrongUse: the mapping has no `groups`, or the file is not there.
        DataProblem: a line cannot be read, or two are about the same person; names the file and the line, and
            never their content.
    """
    shop = load_shop(settings)
    groups = shop.groups
    if groups is None:
        raise WrongUse(f"{shop.mapping_file} has no section groups: it names the file, and which columns")
    landing = settings.landing_folder
    path = landing / groups.files.path
    if not path.is_file():
        raise WrongUse(f"{shop.mapping_file}: groups.files.path: there is no file {path}")
    # of no day
    file = inspect(path, landing, date.max, groups, settings.max_file_mb)
    names = [name for name in groups.columns if name != CUSTOMER]
    listed = ", ".join(
        f'text_lines."{name}", {cast(name, groups.columns[name])} as "{name}_value"' for name in names
    )
    with duckdb.connect(config={"threads": 1}) as connection:
        load_text(connection, [file], groups)
        mark_second_headers(connection, [file], groups)
        fault = connection.execute(
            "select line_number, fault from text_lines where fault is not null order by line_number limit 1"
        ).fetchone()
        if fault:
            raise DataProblem(f"{file.name}, line {fault[0]}: {fault[1]}; mend that line")
        texts = read_texts(connection, groups)
        customers = read_customers(connection, groups, shop.customer_ids, pseudonym_key(settings))
        for name, frame in {**texts, "customers": customers}.items():
            connection.register(name, frame)
        lines = connection.execute(
            f"""
            select
                line_number, customers.pseudonym as {CUSTOMER}_value,
                coalesce(customers.fault, 'missing') as {CUSTOMER}_fault, {listed}
            from text_lines
            left join customers on text_lines.{CUSTOMER} = customers.text
            {joined_texts(texts)}
            order by line_number
            """
        ).df()
    for name, column in groups.columns.items():
        if name == CUSTOMER:
            is_wrong, reasons = lines[f"{CUSTOMER}_value"].isna(), lines[f"{CUSTOMER}_fault"]
        else:  # a group may be blank
            is_wrong = lines[f"{name}_value"].isna() & lines[name].fillna("").map(normal_text).ne("")
            reasons = pd.Series(REASONS[column.cast], index=lines.index)
        if is_wrong.any():
            raise DataProblem(
                f"{file.name}, line {lines.line_number[is_wrong].iloc[0]}: {reasons[is_wrong].iloc[0]}; mend "
                f"that line, or groups.columns.{name} in {shop.mapping_file}"
            )
    is_again = lines[f"{CUSTOMER}_value"].duplicated()
    if is_again.any():
        raise DataProblem(
            f"{file.name}, line {lines.line_number[is_again].iloc[0]}: an earlier line has the same "
            f"groups.columns.{CUSTOMER}; leave one of them"
        )
    return pd.DataFrame(
        {name: lines[f"{name}_value"].to_numpy() for name in names},
        index=lines[f"{CUSTOMER}_value"].to_list(),
    )
