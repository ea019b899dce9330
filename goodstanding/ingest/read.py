"""Reads CSV and Parquet files as text: every record becomes a row, or is set aside with a reason.

DuckDB reads whole batches of well-formed CSV files at once. A file in which it would lose or move anything
(found by an independent count of its records) is read record by record in Python instead. That costs about
thirty times as much per line, and is exact about where a record begins and why it cannot be read.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import accumulate
from pathlib import Path

import duckdb
import pandas as pd

from goodstanding.core.errors import DataProblem
from goodstanding.core.sql import identifier, literal
from goodstanding.shops.kinds import ORDERS
from goodstanding.shops.mapping import Section
from goodstanding.warehouse.notices import Notice

# A quote that is still open after this many lines is a stray quote and not the begin of a long text.
LONGEST_RECORD = 50
BOM = b"\xef\xbb\xbf"
# the module's own limit of 131,072 characters would set aside a long text that DuckDB reads
csv.field_size_limit(2**31 - 1)


@dataclass
class File:
    """One file of the landing and what is known of it before its values are read.

    Attributes:
        path: where it lies.
        name: its path within the landing, as rows name it.
        day: the event day in its name.
        hash: SHA-256 of its bytes, as hex digits.
        bytes: its size.
        header: its column names, in order.
        records: records below the header; exact once `load_text` has read it.
        plain: whether DuckDB may read it (CSV); else Python reads it record by record.
        types: the column types of a Parquet file.
        kind: the kind of source (`Kind.name`) that its lines are.
        note: why it is not read, if so.
        unreadable: records that cannot be split into columns: line number, masked text, reason.
        notices: what was noticed about it and stops nothing.
    """

    path: Path
    name: str
    day: date
    hash: str
    bytes: int
    header: tuple[str, ...]
    records: int
    plain: bool
    types: str = ""
    kind: str = ORDERS.name
    note: str | None = None
    unreadable: list[tuple[int, str, str]] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def inspect(path: Path, landing: Path, day: date, source: Section) -> File:
    """Hash a file, read its header and count its records without reading their values.

    Raises:
        DataProblem: the file cannot be opened, is empty, has no header that can be read, or lacks a mapped
            column.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataProblem(f"{path} cannot be opened: {error.strerror}") from None
    file = File(
        path=path,
        name=path.relative_to(landing).as_posix(),
        day=day,
        hash=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        header=(),
        records=0,
        plain=True,
        kind=source.name,
    )
    if source.files.format == "parquet":
        _inspect_parquet(file)
    else:
        _inspect_csv(file, _unpacked(data, path), source)
    _check_header(file, source)
    return file


def _check_header(file: File, source: Section) -> None:
    """Every mapped column must be there, once. A first line that is not a header may name a customer, so no
    message shows it."""
    absent = {
        name: column.source for name, column in source.columns.items() if column.source not in file.header
    }
    if len(absent) == len(source.columns):
        raise DataProblem(
            f"{file.name} has no header with the columns of {source.mapping_file} "
            f"({', '.join(absent.values())}); put one above its {len(file.header)} columns, "
            f"or mend {source.prefix}files.delimiter or the columns of the mapping"
        )
    if absent:
        name, wanted = next(iter(absent.items()))
        raise DataProblem(
            f"{file.name} has no column '{wanted}' (it has: {', '.join(file.header)}); mend the file, "
            f"or {source.prefix}columns.{name}.from in {source.mapping_file} if the shop renamed it"
        )
    for name, column in source.columns.items():
        if file.header.count(column.source) > 1:
            raise DataProblem(
                f"{file.name} has the column '{column.source}' more than once; "
                f"rename one of them in the file, {source.prefix}columns.{name} in {source.mapping_file} "
                "needs a single one"
            )


def _unpacked(data: bytes, path: Path) -> bytes:
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataProblem(f"{path.name} cannot be unpacked ({error}); export it again") from None


# a folder named like key=value is part of a path here, and no column of its files
NO_PARTITIONS = "hive_partitioning = false"


def exact(path: Path) -> str:
    """The path with * ? [ escaped, which DuckDB would otherwise read as a pattern."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def _inspect_parquet(file: File) -> None:
    import pyarrow.parquet  # 0.1 s that shops of CSV files need not wait

    try:
        with pyarrow.parquet.ParquetFile(file.path) as parquet:
            file.header = tuple(parquet.schema_arrow.names)
            file.types = str(parquet.schema)
            file.records = parquet.metadata.num_rows
    except (OSError, ValueError) as error:  # Arrow's own errors are among these
        raise DataProblem(f"{file.name} is no readable Parquet file: {str(error).splitlines()[0]}") from None


def _inspect_csv(file: File, data: bytes, source: Section) -> None:
    data = data.removeprefix(BOM)
    if not data.strip():
        raise DataProblem(f"{file.name} is empty, without even a header; export it again")
    file.header = _header(data.partition(b"\n")[0], file.name, source)
    file.plain, file.records = _count_records(data, len(file.header), source.files.delimiter.encode())


def _header(line: bytes, name: str, source: Section) -> tuple[str, ...]:
    try:
        text = line.decode("utf-8").rstrip("\r")
        return tuple(next(csv.reader([text], delimiter=source.files.delimiter, strict=True)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataProblem(f"{name}, line 1: the header cannot be read ({error})") from None


def _count_records(data: bytes, width: int, delimiter: bytes) -> tuple[bool, int]:
    """Whether every line below the header is one record that DuckDB may read, and how many lines there are.

    DuckDB drops an empty field too many, or spaces around quotes, without a line less in its count: so quotes
    must stand exactly around fields, and there must be as many delimiters outside quotes as it takes, which
    also finds line breaks inside quotes.
    """
    body = data.partition(b"\n")[2]
    parts = body.split(b'"')
    outside = parts[::2]
    lines = body.count(b"\n") + (0 if body.endswith(b"\n") or not body else 1)
    returns = data.count(b"\r")
    is_plain = (
        len(parts) % 2 == 1
        and all(not part or part.startswith((delimiter, b"\n", b"\r")) for part in outside[1:])
        and all(not part or part.endswith((delimiter, b"\n")) for part in outside[:-1])
        and sum(part.count(delimiter) for part in outside) == lines * (width - 1)
        and b"\0" not in body
        and (returns == 0 or returns == data.count(b"\r\n") == data.count(b"\n"))
        and _is_utf8(body)
    )
    return is_plain, lines


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def load_text(connection: duckdb.DuckDBPyConnection, files: Sequence[File], source: Section) -> None:
    """Fill the temporary table `text_lines`: file_name, line_number and every mapped column as text.

    Records that cannot be split into columns go to `unreadable` of their file. Afterwards `records` of every
    file is exact: rows in `text_lines` + unreadable.
    """
    mapped = ", ".join(f"{identifier(name)} varchar" for name in source.columns)
    connection.execute(
        f"create or replace temp table text_lines (file_name varchar, line_number bigint, {mapped})"
    )
    if source.files.format == "parquet":
        _load_parquet(connection, files, source)
        return
    plain = [file for file in files if file.plain]
    for header in dict.fromkeys(file.header for file in plain):
        batch = [file for file in plain if file.header == header]
        for file in _load_plain(connection, batch, header, source):
            file.plain = False
    for file in files:
        if not file.plain:
            _load_record_by_record(connection, file, source)


def _select_mapped(source: Section) -> str:
    return ", ".join(
        f"{identifier(column.source)} as {identifier(name)}" for name, column in source.columns.items()
    )


def _load_parquet(connection: duckdb.DuckDBPyConnection, files: Sequence[File], source: Section) -> None:
    """Read only files of the same types together: else a column's type, and its text, would depend on
    others."""
    mapped = ", ".join(
        f"cast(lines.{identifier(column.source)} as varchar)" for column in source.columns.values()
    )
    scan = f"read_parquet(?, {NO_PARTITIONS}, file_row_number = true, filename = 'path of the file')"
    for types in dict.fromkeys(file.types for file in files):
        batch = [file for file in files if file.types == types]
        names = pd.DataFrame({"path": [str(f.path) for f in batch], "file_name": [f.name for f in batch]})
        connection.register("file_names", names)
        try:
            connection.execute(
                f"""
                insert into text_lines
                select file_names.file_name, lines.file_row_number + 1, {mapped}
                from {scan} as lines join file_names on lines."path of the file" = file_names.path
                """,
                [[exact(file.path) for file in batch]],
            )
        except duckdb.Error as error:
            named = next((file for file in batch if str(file.path) in str(error)), batch[0])
            raise DataProblem(f"{named.name} cannot be read: {str(error).splitlines()[0]}") from None
        finally:
            connection.unregister("file_names")


def _load_plain(
    connection: duckdb.DuckDBPyConnection, batch: Sequence[File], header: tuple[str, ...], source: Section
) -> list[File]:
    """Read a batch of files of one header; returns those in which DuckDB's count differs from ours."""
    columns = ", ".join(f"{literal(name)}: 'varchar'" for name in header)
    # where the lines of a file begin among those of all: its own are counted without another pass over them
    before = accumulate((file.records for file in batch[:-1]), initial=0)
    names = pd.DataFrame(
        {
            "path": [str(f.path) for f in batch],
            "file_name": [f.name for f in batch],
            "lines_before": list(before),
        }
    )
    connection.register("file_names", names)
    try:
        # row_number() follows the order of files and lines, because DuckDB keeps the insertion order of a
        # scan
        connection.execute(
            f"""
            insert into text_lines
            select file_name, n - lines_before + 1, {", ".join(identifier(name) for name in source.columns)}
            from (
                select filename as path, row_number() over () as n, {_select_mapped(source)}
                from read_csv(
                    ?, columns = {{{columns}}}, header = true, delim = ?, quote = '"', escape = '"',
                    auto_detect = false, strict_mode = true, null_padding = false, ignore_errors = true,
                    {NO_PARTITIONS}, filename = true
                )
            )
            join file_names using (path)
            """,
            [[exact(file.path) for file in batch], source.files.delimiter],
        )
    except duckdb.Error:
        # one file that DuckDB refuses must not make a year of others slow
        one_by_one = [_load_plain(connection, [file], header, source) for file in batch if len(batch) > 1]
        return [odd for part in one_by_one for odd in part] if one_by_one else list(batch)
    counts = dict(
        connection.execute(
            """
            select file_name, count(*) from text_lines
            semi join file_names using (file_name) group by file_name
            """
        ).fetchall()
    )
    odd = [file for file in batch if counts.get(file.name, 0) != file.records]
    if odd:
        connection.execute("delete from text_lines where file_name in (select file_name from file_names)")
        odd_names = {file.name for file in odd}
        others = [file for file in batch if file.name not in odd_names]
        odd += _load_plain(connection, others, header, source) if others else []
    connection.unregister("file_names")
    return odd


def _load_record_by_record(connection: duckdb.DuckDBPyConnection, file: File, source: Section) -> None:
    width = len(file.header)
    positions = [file.header.index(column.source) for column in source.columns.values()]
    rows = []
    file.records = 0
    for number, record, reason in _records(_unpacked(file.path.read_bytes(), file.path), width, source):
        file.records += 1
        if isinstance(record, str):
            file.unreadable.append((number, masked(record), reason))
        else:
            rows.append((file.name, number, *(record[position] or None for position in positions)))
    if rows:
        frame = pd.DataFrame(rows, columns=["file_name", "line_number", *source.columns], dtype=object)
        connection.register("record_lines", frame)
        connection.execute("insert into text_lines select * from record_lines")
        connection.unregister("record_lines")


def _records(data: bytes, width: int, source: Section) -> Iterator[tuple[int, list[str] | str, str]]:
    """The records below the header: line number and fields, or line number, raw text and reason.

    A quote left open takes the following lines with it only where that makes a record of the right width;
    otherwise its own line is set aside and reading goes on with the next. Blank lines are no records.
    """
    delimiter = source.files.delimiter
    lines = data.removeprefix(BOM).split(b"\n")
    at = 1
    while at < len(lines):
        number, line = at + 1, lines[at].removesuffix(b"\r")
        at += 1
        if not line.strip() and delimiter.encode() not in line:
            continue
        text, fault = _decoded(line)
        if fault:
            yield number, text, fault
            continue
        fields = _fields(text, delimiter)
        if fields is None and _is_open(text, delimiter):
            fields, at = _joined(lines, at, text, width, delimiter)
            fault = "a quote is not closed"
        elif fields is None:
            fault = "text beside a quoted field, or a carriage return within the line"
        elif len(fields) < width and at >= len(lines):
            fault = f"cut off: {len(fields)} of {width} columns in the last line"
        elif len(fields) != width:
            fault = f"{len(fields)} columns instead of {width}"
        if fields is not None and len(fields) == width:
            yield number, fields, ""
        else:
            yield number, text, fault


def _decoded(line: bytes) -> tuple[str, str]:
    """The text of a line, and what is wrong with it or nothing."""
    try:
        return line.decode("utf-8"), "a NUL character" if b"\0" in line else ""
    except UnicodeDecodeError as error:
        return line.decode("utf-8", "replace"), f"not UTF-8 from byte {error.start + 1} of the line"


def _joined(
    lines: list[bytes], at: int, text: str, width: int, delimiter: str
) -> tuple[list[str] | None, int]:
    """Add lines until the open quote closes: the fields and the next line, or None if it makes no record."""
    for end in range(at, min(at + LONGEST_RECORD - 1, len(lines))):
        more, fault = _decoded(lines[end].removesuffix(b"\r"))
        if fault:
            break
        text += "\n" + more
        fields = _fields(text, delimiter)
        if fields is not None and len(fields) == width:
            return fields, end + 1
        if not _is_open(text, delimiter):
            break
    return None, at


def _fields(text: str, delimiter: str) -> list[str] | None:
    """The fields of one record, or None where its quotes do not close or it is not one record."""
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error:
        return None


def _is_open(text: str, delimiter: str) -> bool:
    """Whether a text that is no record would be one if a quote were closed at its end."""
    return _fields(text, delimiter) is None and _fields(text + '"', delimiter) is not None


def masked(text: str) -> str:
    """The shape of a text: digits become 9, letters x. For lines in which the customer cannot be found."""
    return re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "9", text))
