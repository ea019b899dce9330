"""Streams a text file of the landing as UTF-8: unpacked, transcoded and cut into blocks of whole lines.

Nothing here holds more than a block and a line, however far a file unpacks, and a file that goes beyond the
limit is refused while it is read.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from goodstanding.core.errors import DataProblem
from goodstanding.shops.mapping import Section

BLOCK_BYTES = 1 << 22
# Longer than any text that somebody writes into a field; a file without line breaks is no file of lines.
LONGEST_LINE_BYTES = 1 << 24
UTF8_MARK = codecs.BOM_UTF8
# what a file may begin with to say how it is written; the mark of UTF-16 is the begin of one of UTF-32
MARKS = {
    UTF8_MARK: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What an encoding cannot read becomes half a surrogate, which UTF-8 does not know: the line is no UTF-8 then,
# just as a line of a file of broken UTF-8.
_BROKEN = "goodstanding-broken"
codecs.register_error(_BROKEN, lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]


def is_utf8(encoding: str) -> bool:
    """Whether text of this encoding needs no transcoding."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def text_blocks(path: Path, source: Section, limit_mb: int | None = None) -> Iterator[bytes]:
    """The file as UTF-8 without a mark at its begin: blocks of whole lines, the last of which may be cut.

    What is not of the mapping's encoding is no UTF-8 here either.

    Raises:
        DataProblem: the file cannot be opened or unpacked, is written in another encoding, unpacks to more
            than `limit_mb` million bytes, or has a line that is no line.
    """
    blocks = _marked_as_mapped(_unpacked(path, limit_mb), path, source)
    if not is_utf8(source.files.encoding):
        blocks = _transcoded(blocks, source.files.encoding)
    return _whole_lines(blocks, path)


def _unpacked(path: Path, limit_mb: int | None) -> Iterator[bytes]:
    unpacked = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                unpacked += len(block)
                if limit_mb is not None and unpacked > limit_mb * 1_000_000:
                    raise too_large(path.name, limit_mb)
                yield block
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataProblem(f"{path.name} cannot be unpacked ({error}); export it again") from None
    except OSError as error:
        raise DataProblem(f"{path} cannot be opened: {error.strerror}") from None


def too_large(name: str, limit_mb: int) -> DataProblem:
    """The refusal of a file beyond the limit."""
    return DataProblem(
        f"{name} unpacks to more than {limit_mb:,} MB and is not read; if it is a file of the shop, "
        "raise GOODSTANDING_MAX_FILE_MB"
    )


def _marked_as_mapped(blocks: Iterator[bytes], path: Path, source: Section) -> Iterator[bytes]:
    """Refuse a file whose mark says another encoding than the mapping: it would be read as other text."""
    mapped = codecs.lookup(source.files.encoding).name
    for number, block in enumerate(blocks):
        marked = next((known for mark, known in MARKS.items() if block.startswith(mark)), None)
        if number == 0 and marked and not mapped.startswith(marked):
            raise DataProblem(
                f"{path.name} begins with the mark of {marked.upper()}, and {source.mapping_file} reads it "
                f"as {source.files.encoding}; set {source.prefix}files.encoding: {marked} there, or mend the "
                "file"
            )
        yield block


def _transcoded(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)(errors=_BROKEN)
    for block in blocks:
        yield decoder.decode(block).encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")


def _whole_lines(blocks: Iterable[bytes], path: Path) -> Iterator[bytes]:
    lines, rest, is_begin = 0, b"", True
    for block in blocks:
        rest += block
        if is_begin and len(rest) >= len(UTF8_MARK):
            rest, is_begin = rest.removeprefix(UTF8_MARK), False
        end = rest.rfind(b"\n") + 1
        if end:
            yield rest[:end]
            lines += rest.count(b"\n", 0, end)
            rest = rest[end:]
        if len(rest) > LONGEST_LINE_BYTES:
            raise DataProblem(
                f"{path.name}, line {lines + 1}: longer than {LONGEST_LINE_BYTES / 1e6:.0f} MB, so this is "
                "no file of lines; export it again"
            )
    if rest:
        yield rest
