"""Reading files as text: no line is ever lost, and the fast and the careful reader agree."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import Settings
from goodstanding.ingest.read import LONGEST_RECORD, File, inspect, load_text, masked
from goodstanding.shops.mapping import Source, load_shop
from tests.goodstanding.ingest.homes import DAY, HEADER, Home, line

WIDTH = len(HEADER.split(","))
Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def shop() -> Source:
    orders = load_shop(Settings(_env_file=None)).orders
    assert orders is not None
    return orders


@cache
def memory() -> duckdb.DuckDBPyConnection:
    """One shared DuckDB for read-only tests, as opening one takes longer than reading a file."""
    return duckdb.connect(config={"threads": 1})


def read(content: bytes, shop: Source, carefully: bool = False) -> tuple[Rows, File]:
    """The rows of a file (line number and fields, empty ones as None) and the facts about the file."""
    connection = memory()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{DAY}.csv")
        path.write_bytes(content)
        file = inspect(path, Path(folder), DAY, shop)
        if carefully:
            file = replace(file, plain=False)
        load_text(connection, [file], shop)
        rows = connection.execute("select * exclude (file_name) from text_lines order by 1").fetchall()
        return [(number, *(field or None for field in fields)) for number, *fields in rows], file


def content(*lines: str, end: str = "\n") -> bytes:
    return "".join(text + end for text in (HEADER, *lines)).encode()


GOOD = (
    line(invoice=1),
    line(invoice=2, description='"A ""B"", C"'),
    line(invoice=3, description="caf\u00e9"),
)


@pytest.mark.parametrize(
    "written",
    [
        content(*GOOD, end="\r\n"),
        b"\xef\xbb\xbf" + content(*GOOD),
        b"\xef\xbb\xbf" + content(*GOOD, end="\r\n"),
        content(*GOOD).removesuffix(b"\n"),
        content(*GOOD, end="\r\n").removesuffix(b"\r\n"),
        content(*(text.replace("WHITE HEART", '"WHITE HEART"') for text in GOOD)),
    ],
    ids=["CRLF", "BOM", "BOM and CRLF", "no last line break", "CRLF, no last line break", "all quoted"],
)
def test_the_same_lines_in_another_notation_give_the_same_rows_and_are_read_fast(
    written: bytes, shop: Source
) -> None:
    rows, file = read(written, shop)
    assert rows == read(content(*GOOD), shop)[0]
    assert rows[1][3] == 'A "B", C'
    assert (file.records, file.plain, file.unreadable) == (3, True, [])


@pytest.mark.parametrize(
    ("body", "numbers"),
    [
        ("{1}\n\n{2}\n  \n{3}\n", [2, 4, 6]),
        ("{1}\r\n{2}\n{3}\r\n", [2, 3, 4]),
        ("{1}\n{2}\n{3}\n\n\n", [2, 3, 4]),
    ],
    ids=["blank lines", "two kinds of line break", "blank lines at the end"],
)
def test_unusual_line_breaks_move_no_line_number(body: str, numbers: list[int], shop: Source) -> None:
    text = body.format("", *(line(invoice=n) for n in (1, 2, 3)))
    rows, file = read(f"{HEADER}\n{text}".encode(), shop)
    assert [row[0] for row in rows] == numbers
    assert [row[1] for row in rows] == ["1", "2", "3"]
    assert file.records == 3


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_break_in_a_description_is_kept_and_lines_keep_their_numbers(end: str, shop: Source) -> None:
    text = line(invoice=2, description=f'"WHITE{end}{end}HEART, ""A"""')
    rows, file = read(content(line(invoice=1), text, line(invoice=3), end=end), shop)
    assert [(row[0], row[1], row[3]) for row in rows] == [
        (2, "1", "WHITE HEART"),
        (3, "2", 'WHITE\n\nHEART, "A"'),
        (6, "3", "WHITE HEART"),
    ]
    assert file.records == 3


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (line(description='"HEART'), "a quote is not closed"),
        (line(country='"UK'), "a quote is not closed"),
        (line(description='"HEART"S'), "text beside a quoted field"),
        (line(description='"HEART" '), "text beside a quoted field"),
        (line(description="A\rB"), "carriage return within the line"),
        (line(description="A\0B"), "a NUL character"),
        (line(description="CAF\udce9"), "not UTF-8 from byte 18 of the line"),
        (line() + ",", "9 columns instead of 8"),
        (line(description="WHITE, HEART"), "9 columns instead of 8"),
        (line().rpartition(",")[0], "7 columns instead of 8"),
        ("x", "1 columns instead of 8"),
    ],
)
def test_only_the_broken_line_is_set_aside_and_the_rest_is_read(
    broken: str, reason: str, shop: Source
) -> None:
    for around in ('"quoted"', "plain"):
        after = [line(invoice=n, description=around) for n in range(4, 60)]
        lines = [HEADER, line(invoice=1), broken, *after]
        written = ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")
        rows, file = read(written, shop)
        [(number, text, stored_reason)] = file.unreadable
        assert (number, reason in stored_reason) == (3, True)
        assert not any(character.isdigit() and character != "9" for character in text)
        assert [(row[0], row[1]) for row in rows] == [(2, "1"), *((n, str(n)) for n in range(4, 60))]


def test_a_stray_quote_within_an_unquoted_text_is_part_of_it(shop: Source) -> None:
    rows, file = read(content(line(description='5" PIPE'), line(description='5" X 7" TRAY')), shop)
    assert [row[3] for row in rows] == ['5" PIPE', '5" X 7" TRAY']
    assert file.records == 2


def test_a_quote_that_closes_after_too_many_lines_is_treated_as_stray(shop: Source) -> None:
    for breaks, taken in ((LONGEST_RECORD - 1, 1), (LONGEST_RECORD, 0)):
        rows, file = read(content(line(description='"A' + "\nB" * breaks + '"')), shop)
        assert len(rows) == taken
        assert file.records == len(rows) + len(file.unreadable)


@pytest.mark.parametrize("cut", [3, 20, 55, len(line().rpartition(",")[0])])
def test_a_last_line_that_is_cut_off_is_set_aside_as_such(cut: int, shop: Source) -> None:
    rows, file = read(content(line(invoice=1)) + line()[:cut].encode(), shop)
    assert [row[1] for row in rows] == ["1"]
    [(number, _, reason)] = file.unreadable
    assert number == 3
    assert reason.startswith("cut off: ")


def test_a_text_longer_than_the_readers_buffers_is_read_whole(shop: Source) -> None:
    for length in (200_000, 3_000_000):
        rows, file = read(content(line(description="A" * length), line()), shop)
        assert [len(row[3]) for row in rows] == [length, len("WHITE HEART")]
        assert file.unreadable == []


def test_one_file_that_the_fast_reader_refuses_does_not_slow_the_others(shop: Source, tmp_path: Path) -> None:
    mixed = content(line(), end="\r\n").replace(b"\r\n", b"\n", 1)
    written = {"a.csv": content(*GOOD), "b.csv": mixed, "c.csv": content(*GOOD)}
    for name, data in written.items():
        (tmp_path / name).write_bytes(data)
    files = [inspect(tmp_path / name, tmp_path, DAY, shop) for name in written]
    assert [file.plain for file in files] == [True, False, True]
    # the reader normally detects what DuckDB would refuse; here it has to handle the error
    files[1].plain = True
    load_text(memory(), files, shop)
    counts = memory().execute("select file_name, count(*) from text_lines group by 1").fetchall()
    assert dict(counts) == {"a.csv": 3, "b.csv": 1, "c.csv": 3}
    assert [file.plain for file in files] == [True, False, True]


@pytest.mark.parametrize("folder", ["day=2011", "a[b]c*", "it's"])
def test_the_name_of_a_folder_is_neither_a_pattern_nor_a_column(
    folder: str, shop: Source, tmp_path: Path
) -> None:
    path = tmp_path / folder / "file.csv"
    path.parent.mkdir()
    path.write_bytes(content(*GOOD).replace(b"StockCode", b"day", 1))
    columns = {**shop.columns, "stock_code": shop.columns["stock_code"].model_copy(update={"source": "day"})}
    shop = shop.model_copy(update={"columns": columns})
    file = inspect(path, tmp_path, DAY, shop)
    with duckdb.connect() as connection:
        load_text(connection, [file], shop)
        assert connection.execute("select distinct stock_code from text_lines").fetchall() == [("85123A",)]
    assert file.plain


@pytest.mark.parametrize("damage", [slice(0, 60), slice(4, None), slice(0, 0)])
def test_a_compressed_file_is_read_and_a_damaged_one_reported_by_name(
    damage: slice, shop: Source, tmp_path: Path
) -> None:
    path = tmp_path / f"{DAY}.csv.gz"
    path.write_bytes(gzip.compress(content(*GOOD)))
    file = inspect(path, tmp_path, DAY, shop)
    with duckdb.connect() as connection:
        load_text(connection, [file], shop)
        assert connection.execute("select count(*) from text_lines").fetchall() == [(3,)]
    assert (file.records, file.plain) == (3, True)
    path.write_bytes(path.read_bytes()[damage])
    with pytest.raises(DataProblem, match=r"2011-01-04\.csv\.gz (cannot be unpacked|is empty)"):
        inspect(path, tmp_path, DAY, shop)


def test_a_table_of_tabs_has_records_of_blanks_only(shop: Source) -> None:
    tabs = shop.model_copy(update={"files": shop.files.model_copy(update={"delimiter": "\t"})})
    text = content(line(), ",,,,,,,").replace(b",", b"\t")
    for carefully in (False, True):
        rows, file = read(text, tabs, carefully)
        assert rows[1] == (3, *[None] * 8)
        assert file.records == 2


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"Invo\xe9ceNo,StockCode", "line 1: the header cannot be read"),
        (b'"InvoiceNo,StockCode', "line 1: the header cannot be read"),
        (HEADER.replace(",", ";").encode(), "has no header with the columns of online_retail.yml"),
        (HEADER.encode("utf-16"), "line 1: the header cannot be read"),
        (HEADER.encode() + b"\r" + line().encode() + b"\r", "line 1: the header cannot be read"),
    ],
    ids=["not UTF-8", "open quote", "another delimiter", "UTF-16", "old line breaks"],
)
def test_an_unreadable_header_is_reported(header: bytes, message: str, shop: Source) -> None:
    with pytest.raises(DataProblem, match=message):
        read(header + b"\n" + line().encode(), shop)


def test_a_masked_text_shows_only_its_shape() -> None:
    assert masked("K\u00e4se-17850.0 \u0667\u4e2d\u00bd, a_b") == "xxxx-99999.9 9xx, x_x"


# --- the property: nothing is lost ---

fields = st.text(alphabet="ab1 \",;\t\u00e9\\'#", max_size=5)
long_fields = st.text(alphabet='ab ",\n', max_size=8)


def joined(values: list[str], quote_all: bool, end: str) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL, lineterminator=end).writerow(
        values
    )
    return out.getvalue()


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, Rows | None, list[int] | None]:
    """A file, its well-formed records and the line numbers of the broken ones.

    If a quote is left open, later text may close it by chance: then both are None.
    """
    end = draw(st.sampled_from(["\n", "\r\n"]))
    faults = [[], ["long"], ["short", "wide", "beside", "bytes", "blank"], ["open", "long"]]
    kinds = ["good", "good", *draw(st.sampled_from(faults))]
    body, at, good, broken, is_certain = b"", 2, [], [], True
    for kind in draw(st.lists(st.sampled_from(kinds), max_size=7)):
        values = draw(st.lists(fields, min_size=WIDTH, max_size=WIDTH))
        quote_all = draw(st.booleans())
        if kind == "long":
            values[2] = draw(long_fields)
        elif kind == "short":
            values = ["x", *values[: draw(st.integers(0, WIDTH - 2))]]
        elif kind == "wide":
            values += draw(st.lists(fields, min_size=1, max_size=3))
        elif kind == "bytes":
            values[3] += "\udcff"
        text = joined(values, quote_all, end)
        if kind == "beside":
            text = f'"{values[0].replace(chr(34), "")}"x' + joined(
                ["", *values[1:]], False, end
            ).removeprefix('""')
        elif kind == "open":
            text = joined(values[:2], False, "") + ',"x' + joined(["", *values[3:]], False, end)
            is_certain = False
        elif kind == "blank":
            text = end
        if kind in ("good", "long"):
            good.append((at, *(value or None for value in values)))
        elif kind != "blank":
            broken.append(at)
        body += text.encode("utf-8", "surrogateescape")
        at += text.count("\n")
    if draw(st.booleans()):
        body = body.removesuffix(end.encode())
    written = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + f"{HEADER}{end}".encode() + body
    return (written, good, broken) if is_certain else (written, None, None)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(files())
def test_no_line_is_ever_lost_and_both_ways_of_reading_agree(
    shop: Source, file: tuple[bytes, Rows | None, list[int] | None]
) -> None:
    written, good, broken = file
    rows, facts = read(written, shop)
    careful_rows, careful = read(written, shop, carefully=True)
    assert rows == careful_rows
    assert facts.unreadable == careful.unreadable
    assert facts.records == careful.records == len(rows) + len(facts.unreadable)
    aside = [number for number, _, _ in facts.unreadable]
    # every physical line that is not blank lies in exactly one record
    inside = [
        number
        for first, *values in rows
        for number in range(first, first + 1 + sum(value.count("\n") for value in values if value))
    ]
    assert len(set(inside + aside)) == len(inside + aside)
    physical = written.split(b"\n")
    assert {n for n, text in enumerate(physical, 1) if n > 1 and text.strip()} <= set(inside + aside)
    if good is not None:
        assert rows == good
        assert aside == broken


def test_files_of_both_kinds_go_through_ingest_with_their_books_balanced(home: Home) -> None:
    """Several days at once, read fast and carefully in one go."""
    days = [DAY.replace(day=number) for number in range(4, 8)]
    for n, day in enumerate(days):
        texts = [line(invoice=f"{day.day}{i}", time=f"{day} 08:00:00") for i in range(3)]
        odd = line(invoice=f"{day.day}9", time=f"{day} 08:00:00", description='"A\n\nB"')
        home.put(*texts, *([odd, "broken", odd.replace("9,", "8,", 1)] if n % 2 else []), day=day)
    assert home.ingest(days[0], days[-1]) == {
        "files": 4,
        "lines": 18,
        "accepted": 16,
        "rejected": 2,
        "changed_customers": 1,
    }
    assert home.rejected("event_day, line_number") == [(days[1], 8), (days[3], 8)]
    assert home.accepted("line_number")[3:8] == [(2,), (3,), (4,), (5,), (9,)]
