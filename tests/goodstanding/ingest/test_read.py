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
from goodstanding.core.sql import literal
from goodstanding.ingest.blocks import BLOCK_BYTES, LONGEST_LINE_BYTES
from goodstanding.ingest.masks import define_masks
from goodstanding.ingest.read import File, inspect, load_text
from goodstanding.ingest.records import LONGEST_RECORD
from goodstanding.shops.mapping import Source, load_shop
from tests.goodstanding.ingest.homes import DAY, HEADER, Home, line

WIDTH = len(HEADER.split(","))
Rows = list[tuple[Any, ...]]
LIMIT_MB = 100


@pytest.fixture(scope="module")
def shop() -> Source:
    orders = load_shop(Settings(_env_file=None)).orders
    assert orders is not None
    return orders


@cache
def memory() -> duckdb.DuckDBPyConnection:
    """One shared DuckDB for read-only tests, as opening one takes longer than reading a file."""
    connection = duckdb.connect(config={"threads": 1})
    define_masks(connection)
    return connection


def read(content: bytes, shop: Source, carefully: bool = False) -> tuple[Rows, Rows, File]:
    """The rows of a file (line number and fields, empty ones as None), those set aside (line number, shape
    and reason), and the facts about the file."""
    connection = memory()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{DAY}.csv")
        path.write_bytes(content)
        file = inspect(path, Path(folder), DAY, shop, LIMIT_MB)
        if carefully:
            file = replace(file, plain=False)
        load_text(connection, [file], shop)
        rows = connection.execute(
            "select * exclude (file_name, fault, record) from text_lines where fault is null order by 1"
        ).fetchall()
        aside = connection.execute(
            "select line_number, masked(record), fault from text_lines where fault is not null order by 1"
        ).fetchall()
        return [(number, *(field or None for field in fields)) for number, *fields in rows], aside, file


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
        content(*(text.replace("WHITE HEART", '"WHITE HEART"') for text in GOOD)),
    ],
    ids=["CRLF", "BOM", "BOM and CRLF", "all quoted"],
)
def test_the_same_lines_in_another_notation_give_the_same_rows_and_are_read_fast(
    written: bytes, shop: Source
) -> None:
    rows, aside, file = read(written, shop)
    assert rows == read(content(*GOOD), shop)[0]
    assert rows[1][3] == 'A "B", C'
    assert (file.records, file.plain, aside) == (3, True, [])


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
    rows, _aside, file = read(f"{HEADER}\n{text}".encode(), shop)
    assert [row[0] for row in rows] == numbers
    assert [row[1] for row in rows] == ["1", "2", "3"]
    assert file.records == 3


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_break_in_a_description_is_kept_and_lines_keep_their_numbers(end: str, shop: Source) -> None:
    text = line(invoice=2, description=f'"WHITE{end}{end}HEART, ""A"""')
    rows, _aside, file = read(content(line(invoice=1), text, line(invoice=3), end=end), shop)
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
        (line(description="CAF\udce9"), "not UTF-8 text (files.encoding in online_retail.yml says"),
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
        rows, aside, _file = read(written, shop)
        [(number, text, stored_reason)] = aside
        assert (number, reason in stored_reason) == (3, True)
        assert not any(character.isdigit() and character != "9" for character in text)
        assert [(row[0], row[1]) for row in rows] == [(2, "1"), *((n, str(n)) for n in range(4, 60))]


def test_a_stray_quote_within_an_unquoted_text_is_part_of_it(shop: Source) -> None:
    rows, _aside, file = read(content(line(description='5" PIPE'), line(description='5" X 7" TRAY')), shop)
    assert [row[3] for row in rows] == ['5" PIPE', '5" X 7" TRAY']
    assert file.records == 2


def test_a_quote_that_closes_after_too_many_lines_is_treated_as_stray(shop: Source) -> None:
    for breaks, taken in ((LONGEST_RECORD - 1, 1), (LONGEST_RECORD, 0)):
        rows, aside, file = read(content(line(description='"A' + "\nB" * breaks + '"')), shop)
        assert len(rows) == taken
        assert file.records == len(rows) + len(aside)


@pytest.mark.parametrize("cut", [3, 20, 55, len(line().rpartition(",")[0])])
def test_a_last_line_that_is_cut_off_is_set_aside_as_such(cut: int, shop: Source) -> None:
    rows, aside, _file = read(content(line(invoice=1)) + line()[:cut].encode(), shop)
    assert [row[1] for row in rows] == ["1"]
    [(number, _, reason)] = aside
    assert number == 3
    assert reason.startswith("cut off: ")


def test_a_text_longer_than_the_readers_buffers_is_read_whole(shop: Source) -> None:
    for length in (200_000, 3_000_000):
        rows, aside, _file = read(content(line(description="A" * length), line()), shop)
        assert [len(row[3]) for row in rows] == [length, len("WHITE HEART")]
        assert aside == []


def test_one_file_that_the_fast_reader_refuses_does_not_slow_the_others(shop: Source, tmp_path: Path) -> None:
    mixed = content(line(), end="\r\n").replace(b"\r\n", b"\n", 1)
    written = {"a.csv": content(*GOOD), "b.csv": mixed, "c.csv": content(*GOOD)}
    for name, data in written.items():
        (tmp_path / name).write_bytes(data)
    files = [inspect(tmp_path / name, tmp_path, DAY, shop, LIMIT_MB) for name in written]
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
    file = inspect(path, tmp_path, DAY, shop, LIMIT_MB)
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
    file = inspect(path, tmp_path, DAY, shop, LIMIT_MB)
    with duckdb.connect() as connection:
        load_text(connection, [file], shop)
        assert connection.execute("select count(*) from text_lines").fetchall() == [(3,)]
    assert (file.records, file.plain) == (3, True)
    path.write_bytes(path.read_bytes()[damage])
    with pytest.raises(DataProblem, match=r"2011-01-04\.csv\.gz (cannot be unpacked|is empty)"):
        inspect(path, tmp_path, DAY, shop, LIMIT_MB)


def test_a_table_of_tabs_has_records_of_blanks_only(shop: Source) -> None:
    tabs = shop.model_copy(update={"files": shop.files.model_copy(update={"delimiter": "\t"})})
    text = content(line(), ",,,,,,,").replace(b",", b"\t")
    for carefully in (False, True):
        rows, _aside, file = read(text, tabs, carefully)
        assert rows[1] == (3, *[None] * 8)
        assert file.records == 2


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"Invo\xe9ceNo,StockCode", "line 1: the header cannot be read"),
        (b'"InvoiceNo,StockCode', "line 1: the header cannot be read"),
        (HEADER.replace(",", ";").encode(), "has no header with the columns of online_retail.yml"),
        (HEADER.encode("utf-16"), "begins with the mark of UTF-16, .* set files.encoding: utf-16"),
        (HEADER.encode("utf-32"), "begins with the mark of UTF-32"),
        (HEADER.encode("utf-16-le"), "line 1: the header cannot be read: not UTF-8 text .files.encoding in"),
        (HEADER.encode() + b"\r" + line().encode() + b"\r", "line 1: the header cannot be read"),
    ],
    ids=[
        "not UTF-8",
        "open quote",
        "another delimiter",
        "UTF-16",
        "UTF-32",
        "UTF-16 unmarked",
        "old line breaks",
    ],
)
def test_an_unreadable_header_is_reported(header: bytes, message: str, shop: Source) -> None:
    with pytest.raises(DataProblem, match=message):
        read(header + b"\n" + line().encode(), shop)


def test_a_masked_text_shows_only_its_shape() -> None:
    text = "K\u00e4se-17850.0 \u0667\u4e2d\u00bd, a_b"
    assert memory().execute("select masked(?)", [text]).fetchone() == ("xxxx-99999.9 9x9, x_x",)


# --- a file that was cut ---


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_last_line_without_a_line_break_is_set_aside_unless_the_mapping_allows_it(
    end: str, packed: bool, shop: Source, tmp_path: Path
) -> None:
    whole = content(*GOOD, end=end)
    path = tmp_path / (f"{DAY}.csv.gz" if packed else f"{DAY}.csv")
    for last_line_break in ("required", "optional"):
        form = shop.files.model_copy(update={"last_line_break": last_line_break})
        mapped = shop.model_copy(update={"files": form})
        for missing in range(len(end) + 1):
            written = whole[: len(whole) - missing]
            path.write_bytes(gzip.compress(written) if packed else written)
            for carefully in (False, True):
                file = inspect(path, tmp_path, DAY, mapped, LIMIT_MB)
                file.plain = file.plain and not carefully
                load_text(memory(), [file], mapped)
                aside = memory().execute("select line_number, fault from text_lines where fault is not null")
                is_aside = missing > 0 and last_line_break == "required"
                faults = aside.fetchall()
                assert [number for number, _ in faults] == [4] * is_aside
                assert all("files.last_line_break: optional" in fault for _, fault in faults)
                assert file.records == 3


@pytest.mark.parametrize("body", ["", "{0}\n", "{0}\n\n", "{0}\n   "])
def test_a_file_without_a_record_in_its_last_line_is_not_cut(body: str, shop: Source) -> None:
    rows, aside, _ = read(f"{HEADER}\n{body}".format(line()).encode(), shop)
    assert (len(rows), aside) == (body.count("{0}"), [])


def test_a_text_of_several_lines_that_is_cut_is_set_aside_as_one_record(shop: Source) -> None:
    written = content(line(invoice=1), line(invoice=2, description='"A\nB"')).removesuffix(b"\n")
    rows, aside, file = read(written, shop)
    assert [row[1] for row in rows] == ["1"]
    assert [number for number, _, _ in aside] == [3]
    assert file.records == 2


# --- quotes that swallow lines ---


def swallowed(rows: Rows, aside: Rows) -> list[int]:
    """The lines that a stray quote swallowed; those that were read must be as they are."""
    assert all(row[1:4] == (str(row[0]), "85123A", "WHITE HEART") for row in rows)
    return [number for number, _, fault in aside if "look like records of their own" in fault]


FAR = LONGEST_RECORD + 3


@pytest.mark.parametrize(
    ("texts", "lines"),
    [
        ({2: '"12 INCH', 4: 'RULER 7"'}, [2, 3, 4]),
        ({2: '"12 INCH', 3: 'RULER 7"'}, [2, 3]),
        ({3: '"12 INCH, LONG', 4: 'RULER, 7"'}, [3, 4]),
        ({2: '"12 INCH', 3: 'A ""B""', 5: 'RULER 7"'}, [2, 3, 4, 5]),
        ({2: '"12 INCH', 4: 'RULER 7"', 6: '"9 PLATE', 7: 'CUP 3"'}, [2, 3, 4, 6, 7]),
        ({2: '"12 INCH', 4: None, 5: 'RULER 7"'}, [2, 3, 5]),
    ],
    ids=[
        "a line between",
        "adjacent",
        "commas within the texts",
        "doubled quotes",
        "two pairs",
        "a blank line",
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_lines_that_a_stray_quote_would_swallow_are_set_aside_each_for_itself(
    texts: dict[int, str | None], lines: list[int], delimiter: str, shop: Source
) -> None:
    mapped = shop.model_copy(update={"files": shop.files.model_copy(update={"delimiter": delimiter})})
    written = [HEADER]
    for number in range(2, 10):
        text = texts.get(number, "WHITE HEART")
        written.append("" if text is None else line(invoice=number, description=text))
    body = "\n".join([*written, ""]).replace(",", delimiter).encode()
    rows, aside, file = read(body, mapped)
    assert swallowed(rows, aside) == lines == [number for number, _, _ in aside]
    assert f"opens in line {lines[0]} and closes in line" in aside[0][2]
    assert file.records == len(rows) + len(aside) == sum(text != "" for text in written[1:])


@pytest.mark.parametrize("column", ["invoice", "country", "customer"])
def test_a_quote_swallows_lines_from_any_column(column: str, shop: Source) -> None:
    opened, closed = line(**{"invoice": 2, column: '"2'}), line(**{"invoice": 3, column: '3"'})
    rows, aside, _ = read(content(opened, closed, line(invoice=4)), shop)
    assert [number for number, _, _ in aside] == [2, 3]
    assert [row[1] for row in rows] == ["4"]


def test_a_quote_whose_other_end_is_far_or_missing_costs_its_own_line_alone(shop: Source) -> None:
    for texts in ({2: '"12 INCH', FAR: 'RULER 7"'}, {9: '"12 INCH'}, {FAR: '"12 INCH'}):
        lines = [line(invoice=n, description=texts.get(n, "WHITE HEART")) for n in range(2, FAR + 1)]
        rows, aside, _ = read(content(*lines), shop)
        assert [(number, fault) for number, _, fault in aside] == [(min(texts), "a quote is not closed")]
        assert [row[1] for row in rows] == [str(n) for n in range(2, FAR + 1) if n != min(texts)]


def test_a_long_text_whose_last_quote_was_lost_does_not_take_the_next_records(shop: Source) -> None:
    lost = line(invoice=2, description='"A TEXT\nOF TWO LINES')
    rows, aside, _ = read(content(lost, line(invoice=4, description='7" RULER"'), line(invoice=5)), shop)
    assert "2" not in [row[1] for row in rows]
    assert {2, 3} <= {number for number, _, _ in aside}


@pytest.mark.parametrize(
    "text",
    [
        "Green tea, loose,\n100 g, organic, from Japan",
        "1, 2, 3, 4, 5, 6, 7\n1, 2",
        "one, two, three, four, five, six\nseven, eight",
        "Sizes:\n\n3, 4, 5 and 6\n\n7",
        'A "cup",\nand a ""saucer""',
        "\nbegins and ends\n",
    ],
)
@pytest.mark.parametrize("column", ["description", "country"])
def test_a_text_that_truly_has_several_lines_is_read(text: str, column: str, shop: Source) -> None:
    quoted = '"' + text.replace('"', '""') + '"'
    rows, aside, file = read(content(line(invoice=1, **{column: quoted}), line(invoice=2)), shop)
    assert aside == []
    assert rows[0][3 if column == "description" else 8] == text
    assert (rows[1][0], file.records) == (3 + text.count("\n"), 2)


# --- encodings ---

WESTERN = "Gr\u00fcner Tee \u00e9\u00df"


def in_encoding(shop: Source, encoding: str) -> Source:
    """The mapping of files that are written so."""
    return shop.model_copy(update={"files": shop.files.model_copy(update={"encoding": encoding})})


@pytest.mark.parametrize(
    "encoding",
    [
        "latin-1",
        "cp1252",
        "cp437",
        "mac-roman",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "utf-7",
        "cp1140",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_in_the_encoding_of_the_mapping_is_read_as_in_utf_8(
    encoding: str, end: str, packed: bool, shop: Source, tmp_path: Path
) -> None:
    texts = [line(invoice=n, description=f'"{WESTERN}, ""{n}"""') for n in range(2, 30)]
    path = tmp_path / (f"{DAY}.csv.gz" if packed else f"{DAY}.csv")
    written = content(*texts, end=end).decode().encode(encoding)
    path.write_bytes(gzip.compress(written) if packed else written)
    file = inspect(path, tmp_path, DAY, in_encoding(shop, encoding), LIMIT_MB)
    assert (file.plain, file.records, file.is_cut) == (True, 28, False)
    expected = [(n, str(n), f'{WESTERN}, "{n}"') for n in range(2, 30)]
    for plain in (True, False):
        file.plain = plain
        load_text(memory(), [file], in_encoding(shop, encoding))
        select = "select line_number, invoice_no, description from text_lines order by 1"
        assert memory().execute(select).fetchall() == expected
        assert (file.plain, file.records) == (plain, 28)


@pytest.mark.parametrize(
    ("encoding", "broken"),
    [
        ("utf-8", b"\xe9"),
        ("ascii", b"\xe9"),
        ("cp1252", b"\x81"),
        ("utf-16-le", b"\x00\xd8"),
        ("gb18030", b"\xff"),
        ("shift_jis", b"\xff"),
    ],
)
def test_a_line_that_is_not_of_the_encoding_is_set_aside_and_the_reason_names_the_key(
    encoding: str, broken: bytes, shop: Source
) -> None:
    written = content(*(line(invoice=n, description="@@" if n == 3 else "A") for n in range(2, 6))).decode()
    body = written.encode(encoding).replace("@@".encode(encoding), broken)
    rows, aside, file = read(body, in_encoding(shop, encoding))
    assert [row[1] for row in rows] == ["2", "4", "5"]
    [(number, _, reason)] = aside
    assert (number, file.records) == (3, 4)
    assert reason.startswith(f"not {encoding.upper()} text (files.encoding in online_retail.yml")


def test_a_file_cut_within_a_character_is_cut_in_its_last_line(shop: Source) -> None:
    body = content(*GOOD).decode().encode("utf-16-le")[:-3]
    rows, aside, _ = read(body, in_encoding(shop, "utf-16-le"))
    assert [row[0] for row in rows] == [2, 3]
    assert [number for number, _, _ in aside] == [4]


@pytest.mark.parametrize(
    ("encoding", "mark"), [("latin-1", "utf-8-sig"), ("cp1252", "utf-16"), ("utf-16", "utf-8-sig")]
)
def test_a_mark_of_another_encoding_than_the_mapping_is_refused(
    encoding: str, mark: str, shop: Source
) -> None:
    with pytest.raises(DataProblem, match=f"begins with the mark of .*reads it as {encoding}; set files.enc"):
        read(content(*GOOD).decode().encode(mark), in_encoding(shop, encoding))


# --- files that are too large ---


def test_a_file_that_unpacks_beyond_the_limit_is_refused_by_name(shop: Source, tmp_path: Path) -> None:
    large = content(*[line()] * 20_000)
    once = gzip.compress(large)
    written = {
        f"{DAY}.csv": large,
        f"{DAY}-a.csv.gz": once,
        f"{DAY}-b.csv.gz": gzip.compress(large[:100]) + gzip.compress(large[100:]),
        f"{DAY}-c.csv.gz": gzip.compress(b"\0" * len(large)),
    }
    for name, data in written.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(
            DataProblem, match=rf"{name} unpacks to more than 1 MB .*GOODSTANDING_MAX_FILE_MB"
        ):
            inspect(path, tmp_path, DAY, shop, 1)
    path = tmp_path / "nested.csv.gz"
    path.write_bytes(gzip.compress(once))
    with pytest.raises(DataProblem, match="line 1: the header cannot be read"):
        inspect(path, tmp_path, DAY, shop, 1)
    assert inspect(tmp_path / f"{DAY}-b.csv.gz", tmp_path, DAY, shop, 2).records == 20_000


def test_a_parquet_file_of_few_bytes_and_too_many_or_too_long_rows_is_refused(
    shop: Source, tmp_path: Path
) -> None:
    form = shop.files.model_copy(update={"format": "parquet"})
    parquet = shop.model_copy(update={"files": form})
    path = tmp_path / f"{DAY}.parquet"
    for text, rows, fits in (("A", 100_000, True), ("A" * 10_000, 2_000, False), ("A", 2_000_000, False)):
        columns = dict.fromkeys(HEADER.split(","), "1") | {"Description": text}
        listed = ", ".join(f"{literal(value)} as {name}" for name, value in columns.items())
        memory().execute(f"copy (select {listed} from range({rows})) to {literal(path)} (format parquet)")
        assert path.stat().st_size < 100_000
        if fits:
            assert inspect(path, tmp_path, DAY, parquet, 8).records == rows
        else:
            with pytest.raises(DataProblem, match="parquet unpacks to more than 8 MB"):
                inspect(path, tmp_path, DAY, parquet, 8)


def test_a_file_of_one_endless_line_is_refused(shop: Source, tmp_path: Path) -> None:
    path = tmp_path / f"{DAY}.csv.gz"
    for begin, number in ((b"", 1), (content(*GOOD), 5)):
        path.write_bytes(gzip.compress(begin + b"a" * (LONGEST_LINE_BYTES + BLOCK_BYTES)))
        with pytest.raises(DataProblem, match=rf"csv\.gz, line {number}: longer than 17 MB"):
            inspect(path, tmp_path, DAY, shop, LIMIT_MB)


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
    kinds_drawn = draw(st.lists(st.sampled_from(kinds), max_size=7))
    for kind in kinds_drawn:
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
        is_cut = bool(kinds_drawn) and kinds_drawn[-1] in ("good", "long")
        body = body.removesuffix(end.encode())
        if is_cut:
            broken.append(good.pop()[0])
    written = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + f"{HEADER}{end}".encode() + body
    return (written, good, broken) if is_certain else (written, None, None)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(files())
def test_no_line_is_ever_lost_and_both_ways_of_reading_agree(
    shop: Source, file: tuple[bytes, Rows | None, list[int] | None]
) -> None:
    written, good, broken = file
    rows, set_aside, facts = read(written, shop)
    careful_rows, careful_aside, careful = read(written, shop, carefully=True)
    assert rows == careful_rows
    assert [(number, fault) for number, _, fault in set_aside] == [
        (number, fault) for number, _, fault in careful_aside
    ]
    assert facts.records == careful.records == len(rows) + len(set_aside)
    aside = [number for number, _, _ in set_aside]
    # every physical line that is not blank lies in exactly one record
    inside = [
        number
        for first, *values in rows
        for number in range(first, first + 1 + sum(value.count("\n") for value in values if value))
    ]
    assert len(set(inside + aside)) == len(inside + aside)
    physical = written.split(b"\n")
    if not written.endswith(b"\n") and aside:  # the last record may be cut, and span all that follow
        inside += range(max(inside + aside) + 1, len(physical) + 1)
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
