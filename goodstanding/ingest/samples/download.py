"""Downloads the public data set Online Retail from UCI, checks it and splits it into one file per day.

The archive holds one workbook with every order line of a British online gift shop from 2010-12-01 to
2011-12-09. The daily files look as pandas would write the workbook: whole invoice numbers, prices and
customers as floats (`2.55`, `17850.0`), descriptions with their blanks.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from goodstanding.core.errors import DataProblem, GoodstandingError
from goodstanding.ingest.landings.folder import new_landing

URL = "https://archive.ics.uci.edu/static/public/352/online+retail.zip"
WORKBOOK = "Online Retail.xlsx"
ROWS = 541_909
COLUMNS = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
]
ATTRIBUTION = """\
Online Retail, UCI Machine Learning Repository, id 352, https://doi.org/10.24432/C5BW33.
Chen, D., Sain, S. L., Guo, K. (2012). Data mining for the online retail industry: A case study of RFM
model-based customer segmentation using data mining. Journal of Database Marketing & Customer Strategy
Management 19(3), 197-208.
Licence: Creative Commons Attribution 4.0 International (CC BY 4.0). Changed: one workbook was split into one
CSV file per day.
"""
# how long the server may send nothing, when connecting and between two chunks
SILENCE_SECONDS = 30


class NoNetwork(GoodstandingError):
    """The public address cannot be reached from here."""


def download_online_retail(
    landing: Path, console: Console | None = None, *, url: str = URL, rows: int = ROWS
) -> int:
    """Fill an empty or missing `landing` with the daily files of the UCI archive.

    The landing appears only when every file in it is complete and checked.

    Args:
        landing: folder to fill.
        console: where to draw progress; nothing is drawn without one.
        url: address of the archive.
        rows: order lines that the workbook must hold.

    Returns:
        Order lines written.

    Raises:
        NoNetwork: the address cannot be reached.
        DataProblem: what was downloaded is not the complete archive with its columns and rows, or the landing
            already holds files. Nothing is left behind.
    """
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console or Console(quiet=True),
    )
    with new_landing(landing) as (filling, scratch), progress:
        archive = scratch / "archive.zip"
        _download(url, archive, progress)
        task = progress.add_task("Splitting the order lines by day", total=rows)
        lines = _split_by_day(_rows(_unpack(archive, scratch, url)), filling, progress, task)
        if lines != rows:
            raise DataProblem(f"{WORKBOOK} from {url}: expected {rows:,} order lines, found {lines:,}")
        (filling / "ATTRIBUTION.txt").write_text(ATTRIBUTION, encoding="utf-8")
    return lines


def _download(url: str, target: Path, progress: Progress) -> None:
    import httpx  # 0.1 s that no other command need wait

    has_answered, received, total = False, 0, None
    try:
        with (
            httpx.stream(
                "GET",
                url,
                headers={"Accept-Encoding": "identity"},  # the archive as it is, packed once
                timeout=SILENCE_SECONDS,
                follow_redirects=True,
            ) as response,
            target.open("wb") as file,
        ):
            has_answered = True
            if not response.is_success:
                raise DataProblem(
                    f"{url} answered {response.status_code} {response.reason_phrase} instead of the archive"
                )
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdigit() else None
            task = progress.add_task("Downloading the UCI archive", total=total)
            for chunk in response.iter_raw():
                file.write(chunk)
                received += len(chunk)
                progress.update(task, completed=received)
            progress.update(task, completed=received, total=received)
    except httpx.HTTPError as error:
        if not has_answered:  # name lookup, refusal, time-out, certificate, proxy
            raise NoNetwork(f"{url} cannot be reached: {error}") from None
        expected = f"{total:,}" if total is not None else "more"
        raise DataProblem(
            f"{url} broke off: expected {expected} bytes, got {received:,} ({error}); try again"
        ) from None


def _unpack(archive: Path, scratch: Path, url: str) -> Path:
    try:
        with zipfile.ZipFile(archive) as zipped:
            return Path(zipped.extract(WORKBOOK, scratch))
    except KeyError:
        raise DataProblem(f"the archive from {url} holds no '{WORKBOOK}'") from None
    except (zipfile.BadZipFile, EOFError) as error:
        raise DataProblem(f"what {url} sent is no whole zip archive ({error}); try again") from None


def _rows(workbook: Path) -> Iterator[list[Any]]:
    """The cells of the first sheet, row by row, once its header is as expected."""
    try:
        sheet = CalamineWorkbook.from_path(workbook).get_sheet_by_index(0)
        rows: Iterator[list[Any]] = sheet.iter_rows()
    except CalamineError as error:
        raise DataProblem(f"{WORKBOOK} cannot be read: {error}") from None
    header = next(rows, [])
    if header != COLUMNS:
        raise DataProblem(
            f"{WORKBOOK}: expected the columns {', '.join(COLUMNS)}, found {', '.join(map(str, header))}"
        )
    return rows


def _split_by_day(rows: Iterable[list[Any]], folder: Path, progress: Progress, task: TaskID) -> int:
    """Write each row into the file of its day, keeping the order of rows; returns how many there were."""
    count = 0

    def order_lines() -> Iterator[tuple[date, list[str]]]:
        nonlocal count
        for count, row in enumerate(rows, start=1):
            try:
                yield _as_text(row)
            except (TypeError, ValueError, OverflowError):
                raise DataProblem(f"{WORKBOOK}: row {count + 1} is no order line") from None
            if count % 10_000 == 0:
                progress.update(task, completed=count)

    # one file open at a time: the workbook is in the order of days, and some systems allow 256 open files
    for day, lines in groupby(order_lines(), key=itemgetter(0)):
        with (folder / f"{day}.csv").open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if file.tell() == 0:
                writer.writerow(COLUMNS)
            writer.writerows(cells for _, cells in lines)
    progress.update(task, completed=count)
    return count


def _as_text(row: list[Any]) -> tuple[date, list[str]]:
    invoice, stock_code, description, quantity, ordered_at, price, customer, country = row
    if not isinstance(ordered_at, datetime) or quantity != int(quantity):
        raise ValueError
    # a workbook keeps a time as a fraction of a day, exact to about a microsecond
    ordered_at = (ordered_at + timedelta(milliseconds=500)).replace(microsecond=0)
    return ordered_at.date(), [
        _text(invoice),
        _text(stock_code),
        _text(description),
        str(int(quantity)),
        str(ordered_at),
        repr(float(price)),
        "" if customer == "" else repr(float(customer)),
        _text(country),
    ]


def _text(cell: Any) -> str:
    """A cell as text; a workbook keeps the invoice 536365 as the number 536365.0."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
