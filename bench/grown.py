"""A landing that is larger than the real one: the same shop, for more years.

It is made from the real files, line by line, so that days, baskets, duplicates, cancellations and bad rows
keep their shapes. Nothing is drawn, so a landing is the same every time.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import yaml

from goodstanding.settings import PROJECT

# whole weeks, so that a day of the week stays one; the real numbers span 45,223
YEAR = timedelta(weeks=52)
NUMBERS_A_YEAR = 50_000
# once a shop has a history, the gate of raw orders takes a tenth of the usual lines for a broken export
FEWEST_LINES = 350
INVOICE_NUMBER = re.compile(r"^([A-Z]?)(\d+)", re.M)


def write_years(landing: Path, into: Path, years: int) -> None:
    """Give the shop a past: the same customers bought the same baskets in each of `years` - 1 earlier years.

    Every year has invoice numbers of its own. The customers stay the same ones, so the cost of a day can only
    grow with the history that lies behind, not with the number of customers.

    Args:
        landing: day files in the public format, named by their day.
        into: folder for the files of all years; made if it is not there.
    """
    into.mkdir(parents=True, exist_ok=True)
    for path in sorted(landing.glob("*.csv")):
        text = path.read_text(encoding="utf-8")
        if text.count("\n") < FEWEST_LINES:
            continue
        for back in range(years):
            day = date.fromisoformat(path.stem) - back * YEAR
            file = into / f"{day}.csv"
            if not file.exists():  # the last days of a year overlap the first ones of the next
                file.write_text(_moved(text, path.stem, day, back), encoding="utf-8")


def write_mapping(into: Path) -> Path:
    """The real shop's mapping without its calendar: the days of other years have another one."""
    mapping = yaml.safe_load((PROJECT / "shops" / "online_retail.yml").read_text(encoding="utf-8"))
    del mapping["closed"]
    path = into / "grown.yml"
    path.write_text(yaml.safe_dump(mapping, sort_keys=False), encoding="utf-8")
    return path


def _moved(text: str, from_day: str, day: date, back: int) -> str:
    def renumbered(number: re.Match[str]) -> str:
        return f"{number[1]}{int(number[2]) - back * NUMBERS_A_YEAR}"

    return INVOICE_NUMBER.sub(renumbered, text.replace(f",{from_day} ", f",{day} "))
