"""Splits the lines of a CSV file into records, one by one and exactly.

A record that cannot be split, or that would be read as something that nobody wrote, keeps its reason: a quote
that swallows whole lines, a last line that was cut.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from goodstanding.shops.mapping import Section

# A quote that is still open after this many lines is a stray quote and not the begin of a long text.
LONGEST_RECORD = 50
# what a number or a time looks like, however it is written
_NUMBER = re.compile(r"[+-]?[\d.,' ]*\d[\d.,' ]*")
_TIME = re.compile(r"(?=(.*\d){4}).{6,40}")
_VALUES = {
    "whole_number": _NUMBER,
    "integer": _NUMBER,
    "decimal": _NUMBER,
    "timestamp": _TIME,
    "date": _TIME,
}
# the module's own limit of 131,072 characters would set aside a long text that DuckDB reads
csv.field_size_limit(2**31 - 1)


@dataclass(frozen=True)
class Record:
    """One record below the header.

    Attributes:
        number: the line on which it begins; the header is line 1.
        fields: its fields, as many as the header has; None where it cannot be split.
        text: it as written.
        fault: why it is set aside, or None.
    """

    number: int
    fields: list[str] | None
    text: str
    fault: str | None


def cut_off(source: Section) -> str:
    """Why a record that is whole but for its line break is set aside."""
    return (
        "cut off: the file ends without a line break, so that its last field may not be whole "
        f"({source.prefix}files.last_line_break: optional in {source.mapping_file} reads such a line)"
    )


def not_encoded(source: Section) -> str:
    """Why a line that is not of the mapping's encoding is set aside."""
    return (
        f"not {source.files.encoding.upper()} text "
        f"({source.prefix}files.encoding in {source.mapping_file} says how the files are written)"
    )


def records(blocks: Iterable[bytes], header: Sequence[str], source: Section) -> Iterator[Record]:
    """The records of a file's blocks (`text_blocks`), in order. Blank lines are no records.

    A quote left open takes the following lines with it only where that makes a record of the right width, and
    none of these lines looks like a record of its own. Otherwise they are set aside, or its own line is, and
    reading goes on with the next.
    """
    lines, layout = _Lines(blocks), _Layout(header, source)
    lines.take()  # the header
    while line := lines.take():
        number = lines.taken
        if not line.strip() and layout.delimiter.encode() not in line:
            continue
        text, fault = _decoded(line, source)
        fields = None if fault else layout.fields(text)
        if fault or fields is not None:
            yield _judged(number, fields, text, fault, lines, layout)
        elif not layout.is_open(text):
            fault = "text beside a quoted field, or a carriage return within the line"
            yield Record(number, None, text, fault)
        elif (joined := _joined(lines, text, layout)) is None:
            yield Record(number, None, text, "a quote is not closed")
        else:
            fields, texts = joined
            if layout.swallows_records(fields, texts):
                yield from _swallowed(number, texts)
            else:
                yield _judged(number, fields, "\n".join(texts), "", lines, layout)


class _Lines:
    """The physical lines of a file's blocks, with their line breaks; `ahead` looks at those to come."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._rest = (line for block in blocks for line in io.BytesIO(block))
        self._ahead = deque[bytes]()
        self.taken = 0
        self.ends_with_a_break = True

    def take(self) -> bytes | None:
        """The next line, or None behind the last."""
        line = self._ahead.popleft() if self._ahead else next(self._rest, None)
        if line is not None:
            self.taken += 1
            self.ends_with_a_break = line.endswith(b"\n")
        return line

    def ahead(self, number: int) -> Iterator[bytes]:
        """The next lines, `number` at most, without taking them."""
        for at in range(number):
            if at == len(self._ahead):
                self._ahead.extend(islice(self._rest, 1))
            if at == len(self._ahead):
                return
            yield self._ahead[at]


class _Layout:
    """How many columns the records of a file have, and which of them hold numbers or times."""

    def __init__(self, header: Sequence[str], source: Section) -> None:
        self.source = source
        self.delimiter = source.files.delimiter
        self.width = len(header)
        self._values = {
            header.index(column.source): column for column in source.columns.values() if column.cast != "text"
        }

    def fields(self, text: str) -> list[str] | None:
        """The fields of one record, or None where its quotes do not close or it is not one record."""
        try:
            return next(csv.reader([text], delimiter=self.delimiter, strict=True))
        except csv.Error:
            return None

    def is_open(self, text: str) -> bool:
        """Whether a text that is no record would be one if a quote were closed at its end."""
        return self.fields(text) is None and self.fields(text + '"') is not None

    def swallows_records(self, fields: Sequence[str], texts: Sequence[str]) -> bool:
        """Whether the lines that a record spans look like records of their own, quotes aside.

        Either each has all columns, or one shows that a record ends before the last line or begins after the
        first: there stand numbers and times as the columns behind or before the text have them.
        """
        spanning = [at for at, field in enumerate(fields) if "\n" in field]
        lines = [text.split(self.delimiter) for text in texts if text.strip()]
        before = [at for at in self._values if at < spanning[0]]
        behind = [at - self.width for at in self._values if at > spanning[-1]]
        return (
            all(len(parts) == self.width for parts in lines)
            or any(self._holds(parts, behind, self.width - spanning[-1]) for parts in lines[:-1])
            or any(self._holds(parts, before, spanning[0] + 1) for parts in lines[1:])
        )

    def _holds(self, parts: Sequence[str], places: Sequence[int], at_least: int) -> bool:
        """Whether a line has numbers and times in these places, counted from its begin or its end."""
        if len(parts) < at_least:
            return False
        values = [(self._values[at % self.width], parts[at].strip(' "')) for at in places]
        return any(text for _, text in values) and all(
            _VALUES[column.cast].fullmatch(text) or (column.optional and not text) for column, text in values
        )


def _judged(
    number: int, fields: list[str] | None, text: str, fault: str, lines: _Lines, layout: _Layout
) -> Record:
    """The record of a line, or of several, that were split or have a fault."""
    if fields is None:
        return Record(number, None, text, fault)
    if len(fields) == layout.width:
        is_cut = not lines.ends_with_a_break and layout.source.files.last_line_break == "required"
        return Record(number, fields, text, cut_off(layout.source) if is_cut else None)
    if len(fields) < layout.width and not lines.ends_with_a_break:
        return Record(
            number, None, text, f"cut off: {len(fields)} of {layout.width} columns in the last line"
        )
    return Record(number, None, text, f"{len(fields)} columns instead of {layout.width}")


def _decoded(line: bytes, source: Section) -> tuple[str, str]:
    """The text of a line without its line break, and what is wrong with it or nothing."""
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    try:
        return line.decode("utf-8"), "a NUL character" if b"\0" in line else ""
    except UnicodeDecodeError:
        return line.decode("utf-8", "replace"), not_encoded(source)


def _joined(lines: _Lines, text: str, layout: _Layout) -> tuple[list[str], list[str]] | None:
    """Take lines until the open quote closes: the fields and the text of each line.

    None, and no line taken, where that makes no record.
    """
    texts = [text]
    for line in lines.ahead(LONGEST_RECORD - 1):
        more, fault = _decoded(line, layout.source)
        if fault:
            break
        texts.append(more)
        text += "\n" + more
        fields = layout.fields(text)
        if fields is not None and len(fields) == layout.width:
            for _ in texts[1:]:
                lines.take()
            return fields, texts
        if not layout.is_open(text):
            break
    return None


def _swallowed(number: int, texts: Sequence[str]) -> Iterator[Record]:
    """The lines that a stray quote would take into a field, each for itself; blank ones are no records."""
    fault = (
        f"a quote that opens in line {number} and closes in line {number + len(texts) - 1} takes lines "
        "with it that look like records of their own"
    )
    for at, text in enumerate(texts, number):
        if text.strip():
            yield Record(at, None, text, fault)
