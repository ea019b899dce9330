"""Reads CSV and Parquet files as text: every record becomes a row, with a fault where it must be set aside.

DuckDB reads whole batches of well-formed CSV files at once. A file in which it would lose or move anything
(found by an independent count of its records) is read record by record in Python instead. That costs about
thirty times as much per line, and is exact about where a record begins and why it cannot be read. Arrow reads
the well-formed files that are not written in UTF-8.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import accumulate, chain, islice
from pathlib import Path

import duckdb
import pandas as pd

from goodstanding.core.errors import DataProblem
from goodstanding.core.sql import identifier, literal
from goodstanding.ingest.blocks import is_utf8, text_blocks, too_large
from goodstanding.ingest.records import cut_off, not_encoded, records
from goodstanding.shops.kinds import ORDERS, TEXT
from goodstanding.shops.mapping import Section
from goodstanding.warehouse.notices import Notice

# Records that Python hands to DuckDB at a time.
BATCH_RECORDS = 20_000


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
        is_cut: whether its last record lacks the line break that the mapping requires.
        neighbours: the days before and after its own that take in its lines of them.
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
    is_cut: bool = False
    neighbours: tuple[date, ...] = ()
    notices: list[Notice] = field(default_factory=list)


def inspect(path: Path, landing: Path, day: date, source: Section, limit_mb: int) -> File:
    """Hash a file, read its header and count its records without reading their values.

    Raises:
        DataProblem: the file cannot be opened, holds more than `limit_mb` million bytes, is empty, has no
            header that can be read, or lacks a mapped column.
    """
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = path.stat().st_size
    except OSError as error:
        raise DataProblem(f"{path} cannot be opened: {error.strerror}") from None
    file = File(
        path=path,
        name=path.relative_to(landing).as_posix(),
        day=day,
        hash=digest,
        bytes=size,
        header=(),
        records=0,
        plain=True,
        kind=source.name,
    )
    if source.files.format == "parquet":
        may_be_larger = _inspect_parquet(file, limit_mb)
        _check_header(file, source)
        if may_be_larger and _text_bytes(file, source) > limit_mb * 1_000_000:
            raise too_large(file.name, limit_mb)
    else:
        _inspect_csv(file, source, limit_mb)
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
            f"or mend {source.prefix}files.delimiter, {source.prefix}files.encoding or the columns of the "
            "mapping"
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


# up to here the floating-point types of Parquet tell each whole number from its neighbours
LARGEST_EXACT = {"FLOAT": 2**24, "DOUBLE": 2**53}
# a folder named like key=value is part of a path here, and no column of its files
NO_PARTITIONS = "hive_partitioning = false"


def exact(path: Path) -> str:
    """The path with * ? [ escaped, which DuckDB would otherwise read as a pattern."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def _inspect_parquet(file: File, limit_mb: int) -> bool:
    """Read what the file says of itself; whether its text may be larger than the limit nevertheless, because
    a value that is stored once may stand in every row."""
    import pyarrow.parquet  # 0.1 s that shops of CSV files need not wait

    try:
        with pyarrow.parquet.ParquetFile(file.path) as parquet:
            file.header = tuple(parquet.schema_arrow.names)
            file.types = str(parquet.schema)
            file.records = parquet.metadata.num_rows
            groups = [parquet.metadata.row_group(n) for n in range(parquet.metadata.num_row_groups)]
            unpacked = sum(group.total_byte_size for group in groups)
            longest = sum(
                group.num_rows * group.column(n).total_uncompressed_size
                for group in groups
                for n in range(group.num_columns)
            )
    except (OSError, ValueError) as error:  # Arrow's own errors are among these
        raise _no_parquet(file, error) from None
    # in a CSV file the smallest value takes a byte, which parts it from the next
    if max(file.bytes, unpacked, file.records * len(file.header)) > limit_mb * 1_000_000:
        raise too_large(file.name, limit_mb)
    return bool(longest > limit_mb * 1_000_000)


def _text_bytes(file: File, source: Section) -> int:
    """How long the mapped columns of a Parquet file are as text."""
    lengths = " + ".join(
        f"coalesce(sum(strlen(cast({identifier(column.source)} as varchar))), 0)"
        for column in source.columns.values()
    )
    with duckdb.connect(config={"threads": 1}) as connection:
        try:
            answer = connection.execute(
                f"select {lengths} from read_parquet(?, {NO_PARTITIONS})", [exact(file.path)]
            ).fetchone()
        except duckdb.Error as error:
            raise _no_parquet(file, error) from None
    assert answer is not None
    return int(answer[0])


def _no_parquet(file: File, error: Exception) -> DataProblem:
    return DataProblem(f"{file.name} is no readable Parquet file: {_told(error)}")


def _told(error: Exception) -> str:
    # DuckDB quotes a text that is no UTF-8, and it may be a customer's
    return str(error).partition(': value "')[0].splitlines()[0]


def _inspect_csv(file: File, source: Section, limit_mb: int) -> None:
    blocks = text_blocks(file.path, source, limit_mb)
    first = next(blocks, b"")
    if not first.strip():
        raise DataProblem(f"{file.name} is empty, without even a header; export it again")
    line, line_break, body = first.partition(b"\n")
    file.header = _header(line, file.name, source)
    counts = _Counts(len(file.header), source.files.delimiter.encode(), line + line_break)
    for block in chain([body] if body else [], blocks):
        counts.add(block)
    file.plain, file.records = counts.is_plain, counts.lines
    file.is_cut = source.files.last_line_break == "required" and not counts.ends_with_a_break


def _header(line: bytes, name: str, source: Section) -> tuple[str, ...]:
    try:
        text = line.decode("utf-8").rstrip("\r")
        # a NUL is the other half of a character of UTF-16
        columns = (
            None if "\0" in text else next(csv.reader([text], delimiter=source.files.delimiter, strict=True))
        )
        reason = not_encoded(source)
    except (UnicodeDecodeError, csv.Error) as error:
        columns, reason = None, not_encoded(source) if isinstance(error, UnicodeDecodeError) else str(error)
    if columns is None:
        raise DataProblem(f"{name}, line 1: the header cannot be read: {reason}")
    return tuple(columns)


class _Counts:
    """Counts the lines below a header, block by block, and tells whether DuckDB may read them.

    DuckDB drops an empty field too many, or spaces around quotes, without a line less in its count: so quotes
    must stand exactly around fields, and there must be as many delimiters outside quotes as it takes, which
    also finds line breaks inside quotes.
    """

    def __init__(self, width: int, delimiter: bytes, header: bytes) -> None:
        self._width, self._delimiter = width, delimiter
        self._returns, self._pairs, self._breaks = (header.count(part) for part in (b"\r", b"\r\n", b"\n"))
        self._is_exact = True
        self.lines = 0
        self.ends_with_a_break = True

    def add(self, block: bytes) -> None:
        """Count a block of whole lines, the last of which may lack its line break."""
        parts = block.split(b'"')
        outside = parts[::2]
        breaks = block.count(b"\n")
        self.ends_with_a_break = block.endswith(b"\n")
        lines = breaks + (not self.ends_with_a_break)
        self.lines += lines
        self._breaks += breaks
        self._returns += block.count(b"\r")
        self._pairs += block.count(b"\r\n")
        self._is_exact = (
            self._is_exact
            and len(parts) % 2 == 1
            and all(not part or part.startswith((self._delimiter, b"\n", b"\r")) for part in outside[1:])
            and all(not part or part.endswith((self._delimiter, b"\n")) for part in outside[:-1])
            and sum(part.count(self._delimiter) for part in outside) == lines * (self._width - 1)
            and b"\0" not in block
            and _is_utf8_text(block)
        )

    @property
    def is_plain(self) -> bool:
        """Whether every line is one record that DuckDB may read, as far as the count tells."""
        return self._is_exact and (self._returns == 0 or self._returns == self._pairs == self._breaks)


def _is_utf8_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def load_text(connection: duckdb.DuckDBPyConnection, files: Sequence[File], source: Section) -> None:
    """Fill the temporary table `text_lines`: a row for every record of the files.

    Its columns are file_name, line_number, every mapped column as text, `fault` (why the record must be set
    aside, else null) and `record` (the text of a record that cannot be split into columns, else null).
    Afterwards `records` of every file is exact.
    """
    mapped = ", ".join(f"{identifier(name)} varchar" for name in source.columns)
    connection.execute(
        f"""
        create or replace temp table text_lines (
            file_name varchar, line_number bigint, {mapped}, fault varchar, record varchar
        )
        """
    )
    if source.files.format == "parquet":
        _load_parquet(connection, files, source)
        return
    plain = [file for file in files if file.plain]
    if is_utf8(source.files.encoding):
        for header in dict.fromkeys(file.header for file in plain):
            batch = [file for file in plain if file.header == header]
            for file in _load_plain(connection, batch, header, source):
                file.plain = False
    else:
        for file in plain:
            file.plain = _load_transcoded(connection, file, source)
    for file in files:
        if not file.plain:
            _load_record_by_record(connection, file, source)
        elif file.is_cut:
            connection.execute(
                "update text_lines set fault = ? where file_name = ? and line_number = ?",
                [cut_off(source), file.name, file.records + 1],
            )


def _select_mapped(source: Section) -> str:
    return ", ".join(
        f"{identifier(column.source)} as {identifier(name)}" for name, column in source.columns.items()
    )


def _load_parquet(connection: duckdb.DuckDBPyConnection, files: Sequence[File], source: Section) -> None:
    """Read only files of the same types together: else a column's type, and its text, would depend on
    others."""
    scan = f"read_parquet(?, {NO_PARTITIONS}, file_row_number = true, filename = 'path of the file')"
    for types in dict.fromkeys(file.types for file in files):
        batch = [file for file in files if file.types == types]
        names = pd.DataFrame({"path": [str(f.path) for f in batch], "file_name": [f.name for f in batch]})
        connection.register("file_names", names)
        paths = [exact(file.path) for file in batch]
        try:
            described = connection.execute(f"describe select * from {scan}", [paths]).fetchall()
            texts, fault = _parquet_texts(source, {name: type_ for name, type_, *_ in described})
            connection.execute(
                f"""
                insert into text_lines
                select file_names.file_name, lines.file_row_number + 1, {texts}, {fault}, null
                from {scan} as lines join file_names on lines."path of the file" = file_names.path
                """,
                [paths],
            )
        except duckdb.Error as error:
            named = next((file for file in batch if str(file.path) in str(error)), batch[0])
            raise DataProblem(f"{named.name} cannot be read: {_told(error)}") from None
        finally:
            connection.unregister("file_names")


def _parquet_texts(source: Section, types: Mapping[str, str]) -> tuple[str, str]:
    """SQL for the texts of the mapped columns of a Parquet file, and for why a row is set aside, or null.

    Bytes are text in UTF-8. A number that is an id or code is written without decimals of zero: whether a
    writer kept 17850 as an integer, a decimal or a float makes no other customer.
    """
    texts, faults = [], []
    for name, column in source.columns.items():
        value, type_ = f"lines.{identifier(column.source)}", types[column.source]
        text = f"cast({value} as varchar)"
        if type_ == "BLOB":
            text = f"try(decode({value}))"
            faults.append(
                f"when {value} is not null and {text} is null then '{name}: bytes that are no UTF-8'"
            )
        elif column.cast not in TEXT:
            pass
        elif type_.startswith("DECIMAL") and not type_.endswith(",0)"):
            text = f"rtrim(rtrim({text}, '0'), '.')"
        elif type_ in LARGEST_EXACT:
            is_whole = f"isfinite({value}) and {value} = trunc({value})"
            is_exact = f"abs({value}) <= {LARGEST_EXACT[type_]}"
            whole = f"when {is_whole} and {is_exact} then cast(cast({value} as bigint) as varchar)"
            text = f"case when isnan({value}) then null {whole} else {text} end"
            faults.append(f"when {is_whole} and not {is_exact} then '{name}: a float that has lost digits'")
        texts.append(text)
    return ", ".join(texts), f"case {' '.join(faults)} end" if faults else "null"


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
            select
                file_name, n - lines_before + 1, {", ".join(identifier(name) for name in source.columns)},
                null, null
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


class _Stream(io.RawIOBase):
    """The blocks of a file as a stream that Arrow reads."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._rest = blocks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._rest = self._rest or next(self._blocks, b"")
        taken, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def _load_transcoded(connection: duckdb.DuckDBPyConnection, file: File, source: Section) -> bool:
    """Read a plain file that is not written in UTF-8; false, and nothing read, where Arrow's count differs
    from ours."""
    import pyarrow  # 0.1 s that shops of UTF-8 need not wait
    import pyarrow.csv

    positions = [str(file.header.index(column.source)) for column in source.columns.values()]
    lines = 0
    try:
        batches = pyarrow.csv.open_csv(
            io.BufferedReader(_Stream(text_blocks(file.path, source))),
            # by their places, as a header may name a column twice that is not mapped
            pyarrow.csv.ReadOptions(
                skip_rows=1, column_names=[str(at) for at in range(len(file.header))], use_threads=False
            ),
            pyarrow.csv.ParseOptions(delimiter=source.files.delimiter),
            pyarrow.csv.ConvertOptions(
                include_columns=positions,
                column_types=dict.fromkeys(positions, pyarrow.string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
        for batch in batches:
            numbers = pyarrow.array(range(lines + 2, lines + 2 + batch.num_rows), pyarrow.int64())
            numbered = pyarrow.table([numbers, *batch.columns], ["line_number", *source.columns])
            connection.register("batch_lines", numbered)
            connection.execute("insert into text_lines select ?, *, null, null from batch_lines", [file.name])
            connection.unregister("batch_lines")
            lines += batch.num_rows
    except pyarrow.ArrowInvalid:
        lines = -1
    if lines == file.records:
        return True
    connection.execute("delete from text_lines where file_name = ?", [file.name])
    return False


def _load_record_by_record(connection: duckdb.DuckDBPyConnection, file: File, source: Section) -> None:
    positions = [file.header.index(column.source) for column in source.columns.values()]
    blank = [None] * len(positions)
    columns = ["line_number", *source.columns, "fault", "record"]
    rows = (
        (record.number, *blank, record.fault, record.text)
        if record.fields is None
        else (record.number, *(record.fields[position] or None for position in positions), record.fault, None)
        for record in records(text_blocks(file.path, source), file.header, source)
    )
    file.records = 0
    while batch := list(islice(rows, BATCH_RECORDS)):
        file.records += len(batch)
        connection.register("record_lines", pd.DataFrame(batch, columns=columns, dtype=object))
        connection.execute("insert into text_lines select ?, * from record_lines", [file.name])
        connection.unregister("record_lines")
