"""The download, tested against a local server that sends the archive or something else."""

from __future__ import annotations

import http.server
import io
import socket
import threading
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from rich.console import Console

from goodstanding.core.errors import DataProblem
from goodstanding.ingest.samples.download import COLUMNS, WORKBOOK, NoNetwork, download_online_retail

ORDER_LINES: list[list[Any]] = [
    [536365, "85123A", " WHITE HEART ", 6, datetime(2010, 12, 1, 8, 26), 2.55, 17850, "United Kingdom"],
    ["C536379", "D", "Discount", -1, datetime(2010, 12, 1, 9, 41), 27.5, 14527, "United Kingdom"],
    [536414, 22139, "", 56, datetime(2010, 12, 1, 11, 52), 0, "", "United Kingdom"],
    [536520, 22760, 'TRAY, 7" IN £', 1, datetime(2010, 12, 2, 12, 43), 12.75, 14729, "EIRE"],
    [536600, 20713, 20713, 1, datetime(2010, 12, 2, 23, 59), 0.001, 14729, "EIRE"],
]
FIRST_DAY = """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A, WHITE HEART ,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
C536379,D,Discount,-1,2010-12-01 09:41:00,27.5,14527.0,United Kingdom
536414,22139,,56,2010-12-01 11:52:00,0.0,,United Kingdom
"""
SECOND_DAY = """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536520,22760,"TRAY, 7"" IN £",1,2010-12-02 12:43:00,12.75,14729.0,EIRE
536600,20713,20713,1,2010-12-02 23:59:00,0.001,14729.0,EIRE
"""
XML = '<?xml version="1.0" encoding="UTF-8"?>'
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
SHEETS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def workbook(rows: list[list[Any]]) -> bytes:
    """The smallest workbook with these rows; times are day numbers, as a spreadsheet program writes them."""

    def cell(value: Any) -> str:
        if isinstance(value, datetime):
            return f'<c s="1"><v>{(value - datetime(1899, 12, 30)).total_seconds() / 86400!r}</v></c>'
        if isinstance(value, str):
            text = f'<is><t xml:space="preserve">{escape(value)}</t></is>'
            return f'<c t="inlineStr">{text}</c>' if value else "<c/>"
        return f"<c><v>{value}</v></c>"

    sheet = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    parts = {
        "_rels/.rels": f'{XML}<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'{XML}<workbook xmlns="{SHEETS}" xmlns:r="{OFFICE}"><sheets>'
        '<sheet name="Online Retail" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{XML}<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="r1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="r2" Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'{XML}<styleSheet xmlns="{SHEETS}"><cellXfs count="2"><xf numFmtId="0"/>'
        '<xf numFmtId="22"/></cellXfs></styleSheet>',
        "xl/worksheets/sheet1.xml": f'{XML}<worksheet xmlns="{SHEETS}"><sheetData>{sheet}</sheetData>'
        "</worksheet>",
    }
    return zipped({name: text.encode() for name, text in parts.items()})


def zipped(parts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def archive(rows: list[list[Any]]) -> bytes:
    return zipped({WORKBOOK: workbook(rows)})


class Server(http.server.ThreadingHTTPServer):
    """Sends `content`, or only its first `cut` bytes while it announces all of them."""

    content = b""
    cut: int | None = None
    status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/online+retail.zip"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content[: self.server.cut])

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_the_workbook_becomes_one_file_per_day_as_the_shop_exports_them(
    server: Server, tmp_path: Path
) -> None:
    server.content = archive([COLUMNS, *ORDER_LINES])
    landing = tmp_path / "data" / "landing"
    assert download_online_retail(landing, url=server.url, rows=5) == 5
    assert {path.name for path in landing.iterdir()} == {
        "2010-12-01.csv",
        "2010-12-02.csv",
        "ATTRIBUTION.txt",
    }
    assert (landing / "2010-12-01.csv").read_bytes() == FIRST_DAY.encode()
    assert (landing / "2010-12-02.csv").read_bytes() == SECOND_DAY.encode()
    assert "CC BY 4.0" in (landing / "ATTRIBUTION.txt").read_text()
    assert [path.name for path in landing.parent.iterdir()] == ["landing"]


def test_days_out_of_order_still_make_one_file_each(server: Server, tmp_path: Path) -> None:
    first, second, third, fourth, fifth = ORDER_LINES
    server.content = archive([COLUMNS, fourth, first, second, fifth, third])
    download_online_retail(tmp_path / "landing", url=server.url, rows=5)
    assert (tmp_path / "landing" / "2010-12-01.csv").read_bytes() == FIRST_DAY.encode()
    assert (tmp_path / "landing" / "2010-12-02.csv").read_bytes() == SECOND_DAY.encode()


def test_an_empty_landing_is_filled_and_progress_is_drawn(server: Server, tmp_path: Path) -> None:
    server.content = archive([COLUMNS, *ORDER_LINES])
    drawn = io.StringIO()
    (tmp_path / "landing").mkdir()
    download_online_retail(tmp_path / "landing", Console(file=drawn), url=server.url, rows=5)
    assert len(list((tmp_path / "landing").iterdir())) == 3
    assert "Downloading" in drawn.getvalue()
    assert "Splitting" in drawn.getvalue()
    assert "100%" in drawn.getvalue()


def test_a_landing_that_holds_files_is_left_as_it_is(server: Server, tmp_path: Path) -> None:
    server.content = archive([COLUMNS, *ORDER_LINES])
    (tmp_path / "2010-12-01.csv").write_text("mine")
    with pytest.raises(DataProblem, match="already holds files"):
        download_online_retail(tmp_path, url=server.url, rows=5)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_missing_network_has_its_own_error_and_leaves_nothing(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound but not listening, so nothing can answer there
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/online+retail.zip"
        with pytest.raises(NoNetwork, match=r"cannot be reached: .*refused"):
            download_online_retail(tmp_path / "landing", url=url)
    assert not list(tmp_path.iterdir())


HEADER_AND_LINES = [COLUMNS, *ORDER_LINES]
RENAMED = [[*COLUMNS[:6], "Customer ID", "Country"], *ORDER_LINES]
NO_TIME = [COLUMNS, [*ORDER_LINES[0][:4], "yesterday", *ORDER_LINES[0][5:]], *ORDER_LINES[1:]]
HALF_A_UNIT = [COLUMNS, *ORDER_LINES[:4], [*ORDER_LINES[4][:3], 0.5, *ORDER_LINES[4][4:]]]


@pytest.mark.parametrize(
    ("content", "cut", "status", "message"),
    [
        (archive(HEADER_AND_LINES[:-1]), None, 200, "expected 5 order lines, found 4"),
        (archive(RENAMED), None, 200, "expected the columns .*CustomerID.*, found .*Customer ID"),
        (archive([]), None, 200, "expected the columns"),
        (archive(NO_TIME), None, 200, "row 2 is no order line"),
        (archive(HALF_A_UNIT), None, 200, "row 6 is no order line"),
        (archive(HEADER_AND_LINES), 900, 200, r"broke off: expected [\d,]+ bytes, got 900"),
        (archive(HEADER_AND_LINES)[:-40], None, 200, "no whole zip archive"),
        (b"<html>Please log in</html>", None, 200, "no whole zip archive"),
        (zipped({"readme.txt": b""}), None, 200, "holds no 'Online Retail.xlsx'"),
        (zipped({WORKBOOK: b"not a workbook"}), None, 200, "Online Retail.xlsx cannot be read"),
        (b"gone", None, 404, "answered 404"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_anything_but_the_whole_archive_is_refused_and_leaves_nothing(
    server: Server, tmp_path: Path, content: bytes, cut: int | None, status: int, message: str
) -> None:
    server.content, server.cut, server.status = content, cut, status
    with pytest.raises(DataProblem, match=message):
        download_online_retail(tmp_path / "landing", url=server.url, rows=5)
    assert not list(tmp_path.iterdir())
