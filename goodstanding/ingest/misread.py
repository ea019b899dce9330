"""Finds lines that can be read, but not as what was written: a file that changes its form on the way.

Files are joined from exports of different form: then a second header stands in the middle, with the columns
in another order perhaps, or days and amounts are written otherwise from some line on. What the file itself
proves gets a fault in `text_lines` (`goodstanding.ingest.read`); nothing else is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

import duckdb
import pandas as pd

from goodstanding.core.sql import escaped, identifier, literal
from goodstanding.ingest.casts import cast
from goodstanding.ingest.read import File
from goodstanding.shops.mapping import Column, Section, Source

LAST = 2**62
# what may stand around a name of a header: the mark of a file that was put behind another, quotes, blanks
AROUND = '\ufeff" \t\r'
# %d or %m in a format of times, with or without zeros in front; %% is no begin of one
DAY_OR_MONTH = re.compile(r"%%|(%-?)([dm])")


def mark_second_headers(
    connection: duckdb.DuckDBPyConnection, files: Sequence[File], source: Section
) -> None:
    """Set aside a header that stands again in the middle of a file and, where its columns are in another
    order, all lines behind it up to one in the right order."""
    if source.files.format == "parquet":
        return
    names = [column.source.strip(AROUND) for column in source.columns.values()]
    frame = pd.DataFrame(
        {
            "file_name": [file.name for file in files],
            "names": [[name.strip(AROUND) for name in file.header] for file in files],
        }
    )
    connection.register("headers", frame)
    enough = max(2, (len(names) + 1) // 2)
    # of any so many columns a header has a name in one; looked for first, as trimming every text takes long
    all_names = sorted({name.strip(AROUND) for file in files for name in file.header})
    a_name = literal(f"[{AROUND}]*({'|'.join(map(escaped, all_names))})[{AROUND}]*")
    some = " or ".join(
        f"regexp_full_match(text_lines.{identifier(name)}, {a_name})"
        for name in [*source.columns][: len(names) - enough + 1]
    )
    # a group of people may be called like any name here
    bare = [f"trim(text_lines.{identifier(name)}, $around)" for name in source.columns]
    known = [f"list_contains(headers.names, {text})" for text in bare]
    headers = connection.execute(
        f"""
        select file_name, line_number, [{", ".join(bare)}]
        from text_lines join headers using (file_name)
        where ({some}) and {" + ".join(f"coalesce({one}, false)::int" for one in known)} >= $enough
        order by all
        """,
        {"around": AROUND, "enough": enough},
    ).fetchall()
    connection.unregister("headers")
    for file_name, of_file in groupby(headers, key=lambda row: row[0]):
        found = [(number, written == names) for _, number, written in of_file]
        for (number, is_same), (next_number, _) in pairwise([*found, (LAST, True)]):
            if is_same:
                _mark(connection, file_name, number, number, "the header again")
            else:
                fault = f"behind a second header in line {number}, whose columns are not those of the first"
                _mark(connection, file_name, number, next_number - 1, fault)


def _mark(connection: duckdb.DuckDBPyConnection, file_name: str, first: int, last: int, fault: str) -> None:
    connection.execute(
        """
        update text_lines set fault = ?
        where file_name = ? and line_number between ? and ? and fault is null
        """,
        [fault, file_name, first, last],
    )


def mark_other_notations(connection: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Set aside what can be read in two ways, in a file that has values which only the other way can read.

    Day and month in the other order, or the marks of decimals and thousands exchanged: 03/04 and 1,234 are
    sure while the file writes 25/04 and 1.50, up to the last such line before the first 04/25 or 1,50.
    """
    for name, column in source.columns.items():
        for mapped, other, hint in _notations(name, column, source.of.rounded.get(name)):
            first_others = connection.execute(
                f"""
                select file_name, min(line_number) from text_lines
                where fault is null and {hint} and ({mapped}) is null and ({other}) is not null
                group by all order by all
                """
            ).fetchall()
            for file_name, first_other in first_others:
                fault = (
                    f"{name}: can be read in two ways, and line {first_other} of the file is not written as "
                    f"the mapping says ({source.prefix}columns.{name})"
                )
                connection.execute(
                    f"""
                    update text_lines set fault = $fault
                    where
                        file_name = $file_name and fault is null and ({mapped}) <> ({other})
                        and line_number > (
                            select coalesce(max(line_number), 0) from text_lines
                            where
                                file_name = $file_name and line_number < $first_other
                                and ({mapped}) is not null and ({other}) is null
                        )
                    """,
                    {"fault": fault, "file_name": file_name, "first_other": first_other},
                )


def _notations(name: str, column: Column, decimals: int | None) -> Iterator[tuple[str, str, str]]:
    """SQL for the value as the mapping writes it, as the other notation does, and a cheap condition that
    holds for every text of which only the other notation makes a value."""
    if column.cast == "decimal":
        mark = column.decimal_mark
        other_mark = "," if mark == "." else "."
        usual = column.model_copy(update={"thousands_mark": column.thousands_mark or other_mark})
        other = column.model_copy(update={"decimal_mark": other_mark, "thousands_mark": mark})
        mapped, swapped = (cast(name, notation, decimals=decimals) for notation in (usual, other))
        yield mapped, swapped, f"contains({name}, '{other_mark}')"
    elif column.format and {"d", "m"} <= {letter for _, letter in DAY_OR_MONTH.findall(column.format)}:
        turned = DAY_OR_MONTH.sub(_turned, column.format)
        other = column.model_copy(update={"format": turned})
        yield cast(name, column), cast(name, other), f"{name} is not null"


def _turned(found: re.Match[str]) -> str:
    return found[0] if not found[2] else found[1] + {"d": "m", "m": "d"}[found[2]]
