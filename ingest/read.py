"""Reading files as text: every record of a file becomes either a row of text or a set-aside line.

DuckDB reads whole batches of well-formed CSV files at once. A file in which it would lose or move anything
(found by an independent count of its records) is taken apart record by record in Python instead, which costs
about thirty times as much per line and is exact about where a record begins and why it cannot be read.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd

from goodstanding.errors import DataProblem
from ingest.shop import Shop

# A record whose quote is still open after this many lines is taken for one stray quote, not for a long text.
LONGEST_RECORD = 50


@dataclass
class File:
    """One file of the landing and what was found in it before reading its values."""

    path: Path
    name: str
    day: date
    hash: str
    bytes: int
    header: tuple[str, ...]
    records: int
    plain: bool
    note: str | None = None
    unreadable: list[tuple[int, str, str]] = field(default_factory=list)
    """Set-aside records: line number, masked text, reason."""


def inspect(path: Path, landing: Path, day: date, shop: Shop) -> File:
    """Hash a file, read its header and count its records without reading their values.

    Raises:
        DataProblem: the file is empty, has no header that can be read, or lacks a mapped column.
    """
    data = path.read_bytes()
    file = File(
        path=path,
        name=path.relative_to(landing).as_posix(),
        day=day,
        hash=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        header=(),
        records=0,
        plain=True,
    )
    if shop.files.format == "parquet":
        _inspect_parquet(file)
    else:
        _inspect_csv(file, _unpacked(data, path), shop)
    absent = [
        (name, column.source) for name, column in shop.columns.items() if column.source not in file.header
    ]
    if absent:
        name, source = absent[0]
        raise DataProblem(
            f"{file.name} has no column '{source}' (it has: {', '.join(file.header)}); "
            f"mend the file, or columns.{name}.from in {shop.mapping_file} if the shop renamed it"
        )
    return file


def _unpacked(data: bytes, path: Path) -> bytes:
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError) as error:
        raise DataProblem(f"{path.name} cannot be unpacked ({error}); export it again") from None


def _inspect_parquet(file: File) -> None:
    with duckdb.connect() as connection:
        try:
            names = connection.execute("describe select * from read_parquet(?)", [str(file.path)]).fetchall()
            count = connection.execute("select count(*) from read_parquet(?)", [str(file.path)]).fetchone()
        except duckdb.Error as error:
            raise DataProblem(
                f"{file.name} is no readable Parquet file: {str(error).splitlines()[0]}"
            ) from None
    file.header = tuple(row[0] for row in names)
    file.records = count[0] if count else 0


def _inspect_csv(file: File, data: bytes, shop: Shop) -> None:
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise DataProblem(f"{file.name} is empty, without even a header; export it again")
    head, _, body = data.partition(b"\n")
    file.header = _header(head, file.name, shop)
    file.plain, file.records = _count_records(body)


def _header(line: bytes, name: str, shop: Shop) -> tuple[str, ...]:
    try:
        text = line.decode("utf-8").rstrip("\r")
        header = tuple(next(csv.reader([text], delimiter=shop.files.delimiter, strict=True)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataProblem(f"{name}, line 1: the header cannot be read ({error})") from None
    if len(set(header)) < len(header):
        raise DataProblem(f"{name}, line 1: a column name occurs twice ({', '.join(header)})")
    return header


def _count_records(body: bytes) -> tuple[bool, int]:
    """Whether every line of the body is one record that DuckDB may read, and how many there are."""
    outside = body.split(b'"')
    inside, outside = outside[1::2], outside[::2]
    newlines = sum(part.count(b"\n") for part in outside)
    records = newlines + (0 if body.endswith(b"\n") or not body else 1)
    returns = body.count(b"\r")
    plain = (
        not any(b"\n" in part for part in inside)
        and len(inside) < len(outside)
        and b"\0" not in body
        and not re.search(rb"(?:^|\n)[ \t\r]*(?:\n|$)", body.removesuffix(b"\n"))
        and (returns == 0 or returns == body.count(b"\r\n") == body.count(b"\n"))
    )
    if plain:
        try:
            body.decode("utf-8")
        except UnicodeDecodeError:
            plain = False
    return plain or not body, records


def load_text(connection: duckdb.DuckDBPyConnection, files: Sequence[File], shop: Shop) -> None:
    """Fill the temporary table `text_lines`: file_name, line_number and every mapped column as text.

    Records that cannot be split into columns end in the files' own `unreadable`. `records` of every file is
    exact afterwards: rows in `text_lines` + unreadable.
    """
    mapped = ", ".join(f"{name} varchar" for name in shop.columns)
    connection.execute(
        f"create or replace temp table text_lines (file_name varchar, line_number bigint, {mapped})"
    )
    if shop.files.format == "parquet":
        _load_parquet(connection, files, shop)
        return
    plain = [file for file in files if file.plain]
    for header in dict.fromkeys(file.header for file in plain):
        batch = [file for file in plain if file.header == header]
        for file in _load_plain(connection, batch, header, shop):
            file.plain = False
    for file in files:
        if not file.plain:
            _load_record_by_record(connection, file, shop)


def _select_mapped(shop: Shop) -> str:
    return ", ".join(f"{_quoted(column.source)} as {name}" for name, column in shop.columns.items())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _load_parquet(connection: duckdb.DuckDBPyConnection, files: Sequence[File], shop: Shop) -> None:
    names = pd.DataFrame({"path": [str(f.path) for f in files], "file_name": [f.name for f in files]})
    if names.empty:
        return
    connection.register("file_names", names)
    mapped = ", ".join(
        f"cast({_quoted(column.source)} as varchar) as {name}" for name, column in shop.columns.items()
    )
    connection.execute(
        f"""
        insert into text_lines
        select file_names.file_name, file_row_number + 1, {mapped}
        from read_parquet(?, filename = true, file_row_number = true, union_by_name = true) as parquet
        join file_names on file_names.path = parquet.filename
        """,
        [names["path"].tolist()],
    )
    connection.unregister("file_names")


def _load_plain(
    connection: duckdb.DuckDBPyConnection, batch: Sequence[File], header: tuple[str, ...], shop: Shop
) -> list[File]:
    """Read a batch of files of one header; returns those in which DuckDB's count differs from ours."""
    columns = ", ".join(f"'{name.replace(chr(39), chr(39) * 2)}': 'varchar'" for name in header)
    names = pd.DataFrame({"path": [str(f.path) for f in batch], "file_name": [f.name for f in batch]})
    connection.register("file_names", names)
    try:
        # row_number() follows the order of files and lines: DuckDB keeps the insertion order of a scan
        connection.execute(
            f"""
            create or replace temp table batch_lines as
            select filename as path, row_number() over () as n, {_select_mapped(shop)}
            from read_csv(
                ?, columns = {{{columns}}}, header = true, delim = ?, quote = '"', escape = '"',
                auto_detect = false, strict_mode = true, null_padding = false, ignore_errors = true,
                filename = true
            )
            """,
            [names["path"].tolist(), shop.files.delimiter],
        )
    except duckdb.Error:
        return list(batch)
    counts = dict(connection.execute("select path, count(*) from batch_lines group by path").fetchall())
    odd = [file for file in batch if counts.get(str(file.path), 0) != file.records]
    odd_paths = {str(file.path) for file in odd}
    names["is_odd"] = [path in odd_paths for path in names["path"]]
    connection.register("file_names", names)
    mapped = ", ".join(shop.columns)
    connection.execute(
        f"""
        insert into text_lines
        select file_name, n - min(n) over (partition by file_name) + 2, {mapped}
        from batch_lines join file_names using (path)
        where not is_odd
        """
    )
    connection.execute("drop table batch_lines")
    connection.unregister("file_names")
    return odd


def _load_record_by_record(connection: duckdb.DuckDBPyConnection, file: File, shop: Shop) -> None:
    width = len(file.header)
    positions = [file.header.index(column.source) for column in shop.columns.values()]
    rows = []
    file.records = 0
    for number, record, reason in _records(_unpacked(file.path.read_bytes(), file.path), width, shop):
        file.records += 1
        if isinstance(record, str):
            file.unreadable.append((number, masked(record), reason))
        else:
            rows.append((file.name, number, *(record[position] or None for position in positions)))
    if rows:
        frame = pd.DataFrame(rows, columns=["file_name", "line_number", *shop.columns], dtype=object)
        connection.register("record_lines", frame)
        connection.execute("insert into text_lines select * from record_lines")
        connection.unregister("record_lines")


def _records(data: bytes, width: int, shop: Shop) -> Iterator[tuple[int, list[str] | str, str]]:
    """The records below the header: line number and fields, or line number, raw text and reason.

    A quote left open takes the following lines with it only where that makes a record of the right width;
    otherwise its own line is set aside and reading goes on with the next.
    """
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    at = 1
    while at < len(lines):
        number, line = at + 1, lines[at].removesuffix(b"\r")
        at += 1
        if not line.strip():
            continue
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            yield (
                number,
                line.decode("utf-8", "replace"),
                f"not UTF-8 from byte {error.start + 1} of the line",
            )
            continue
        fields = _fields(text, shop)
        if fields is None:
            joined, used = _joined(lines, at, text, width, shop)
            if joined is None:
                yield number, text, "a quote is not closed, or stands inside a field"
                continue
            fields, at = joined, used
        if len(fields) == width and "\0" not in text:
            yield number, fields, ""
        elif at >= len(lines) and len(fields) < width:
            yield number, text, f"cut off: {len(fields)} of {width} columns in the last line"
        else:
            yield number, text, f"{len(fields)} columns instead of {width}"


def _joined(lines: list[bytes], at: int, text: str, width: int, shop: Shop) -> tuple[list[str] | None, int]:
    """Add lines until the quote closes with the right width: the fields and the next line, or None."""
    for end in range(at, min(at + LONGEST_RECORD, len(lines))):
        try:
            text += "\n" + lines[end].removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError:
            break
        fields = _fields(text, shop)
        if fields is not None and len(fields) == width:
            return fields, end + 1
    return None, at


def _fields(text: str, shop: Shop) -> list[str] | None:
    """The fields of one record, or None where its quotes do not close."""
    if text.count('"') % 2:
        return None
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=shop.files.delimiter, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def masked(text: str) -> str:
    """The shape of a text: letters become x, digits 9. For lines in which the customer cannot be located."""
    return re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "9", text))
