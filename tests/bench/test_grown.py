"""A longer made-up past repeats the real year: same weekdays, baskets and customers, new invoice numbers."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pytest

from bench.grown import FEWEST_LINES, write_mapping, write_years
from goodstanding.core.settings import Settings
from goodstanding.shops.mapping import load_shop

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
DAYS = ("2011-01-04", "2011-12-08")


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    for day in DAYS:
        lines = [f"{540_000 + n},MUG,A MUG,5,{day} 09:00:00,1.5,{n}.0,France" for n in range(FEWEST_LINES)]
        lines.append(f'C540001,MUG,"540000, A MUG",-5,{day} 10:00:00,1.5,1.0,France')
        (folder / f"{day}.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    (folder / "2011-02-06.csv").write_text(HEADER + "\n")
    return folder


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_every_year_has_the_same_weekdays_customers_and_baskets(landing: Path, tmp_path: Path) -> None:
    write_years(landing, tmp_path / "grown", 3)
    paths = sorted((tmp_path / "grown").glob("*.csv"))
    assert len(paths) == 3 * len(DAYS)
    real = {day: rows(landing / f"{day}.csv") for day in DAYS}
    weekdays = sorted(date.fromisoformat(day).weekday() for day in DAYS) * 3
    assert sorted(date.fromisoformat(path.stem).weekday() for path in paths) == sorted(weekdays)
    for path in paths:
        found = rows(path)
        assert {row[4][:10] for row in found[1:]} == {path.stem}
        assert [row[1:4] + row[5:] for row in found] in [
            [r[1:4] + r[5:] for r in day] for day in real.values()
        ]


def test_two_years_share_no_invoice_number(landing: Path, tmp_path: Path) -> None:
    write_years(landing, tmp_path / "grown", 3)
    by_year: dict[str, set[str]] = {}
    for path in (tmp_path / "grown").glob("*.csv"):
        by_year.setdefault(path.stem[:4], set()).update(row[0] for row in rows(path)[1:])
    numbers = [number for year in by_year.values() for number in year]
    assert len(by_year) == 3 and len(numbers) == len(set(numbers))
    assert all("C" + number[1:] in numbers for number in numbers if number.startswith("C"))


def test_the_mapping_requires_no_file_on_any_day(tmp_path: Path) -> None:
    shop = load_shop(Settings(home=tmp_path, shop=str(write_mapping(tmp_path)), _env_file=None))
    assert not any(shop.trades_on(date(2005, 1, day)) for day in range(1, 15))
