"""A tiny shop for tests: day files in the public format, written line by line."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def line(
    day: date | str,
    invoice: str,
    customer: int | None,
    code: str = "22423",
    quantity: int = 1,
    price: float | str = 2.5,
    at: str = "10:00:00",
) -> str:
    """One order line as the public files write it."""
    shown = f"{customer}.0" if customer else ""
    return f"{invoice},{code},A THING,{quantity},{day} {at},{price},{shown},United Kingdom"


def write_day(landing: Path, day: date | str, lines: Iterable[str]) -> Path:
    """Write the file of a day."""
    landing.mkdir(parents=True, exist_ok=True)
    path = landing / f"{day}.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def mapping(folder: Path) -> Path:
    """A mapping like `shops/online_retail.yml` of a shop that may have no file on any day."""
    text = Path(__file__).parent.parent.joinpath("shops", "online_retail.yml").read_text()
    path = folder / "tiny.yml"
    path.write_text(text[: text.index("# A file is expected")])
    return path
