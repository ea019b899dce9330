"""Proposes a mapping for the exports that a shop has: by a preset that knows their columns.

What the preset leaves to the shop is read from the exports: the currency of most orders, and the time zone
whose clock shows the offsets of their times, of the country that most orders are from.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import TypedDict

from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import PROJECT, Settings
from goodstanding.core.zones import zone
from goodstanding.ingest.exports.inputs import required
from goodstanding.shops.mapping import Shop, load_shop

PRESETS = PROJECT / "shops" / "presets"
# enough to see a summer and a winter of a small shop
ROWS_LOOKED_AT = 50_000
OFFSET = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})\s*([+-])(\d{2}):?(\d{2})$")
COUNTRY = re.compile(r"[A-Z]{2}")


class Proposal(TypedDict):
    """A mapping that is proposed, or was written.

    Attributes:
        preset: the preset that knows the columns.
        source, timezone, currency, path: the shop's own keys of the mapping.
        unsure: what the exports do not prove, as sentences.
        mapping: the file that was written, if one was.
    """

    preset: str
    source: str
    timezone: str
    currency: str
    path: str
    unsure: list[str]
    mapping: str | None


@dataclass(frozen=True)
class _Facts:
    """How many orders have each currency, each country, and each time with its offset."""

    currencies: Counter[str]
    countries: Counter[str]
    times: dict[tuple[datetime, timedelta], int]


def propose(name: str, places: Sequence[Path]) -> Proposal:
    """A mapping for these exports, or the exports in these folders.

    Args:
        name: what the mapping is to be called.
        places: files and folders.

    Raises:
        WrongUse: the name is none for a source.
        DataProblem: there is no file, one has no header, or no preset knows the columns; names them.
    """
    source = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if not re.match(r"[a-z]", source):
        raise WrongUse(f"--name: '{name}' is no name; begin it with a letter, like my_shop")
    files = [file for place in places for file in _files(place)]
    if not files:
        raise DataProblem(f"there is no csv file in {', '.join(map(str, places))}")
    preset, shop = _preset(files)
    facts = _facts(files, shop)
    unsure = []
    currency, currencies = shop.currency, facts.currencies
    if currencies:
        (currency, most), *others = currencies.most_common()
        if others:
            unsure.append(
                f"currency: {most:,} orders are in {currency}; orders in "
                f"{', '.join(code for code, _ in others)} would be left out"
            )
    else:
        unsure.append(f"currency: the exports name none, so {currency} is the preset's")
    timezone, is_sure = _zone(facts)
    if timezone is None:
        timezone = shop.timezone
        unsure.append(f"timezone: no zone shows all offsets of the times, so {timezone} is the preset's")
    elif not is_sure:
        unsure.append(f"timezone: other zones show the same offsets as {timezone}")
    return {
        "preset": preset,
        "source": source,
        "timezone": timezone,
        "currency": currency,
        "path": _path(files),
        "unsure": unsure,
        "mapping": None,
    }


def write_mapping(proposal: Proposal, path: Path) -> Proposal:
    """Write the mapping that is proposed.

    Raises:
        WrongUse: the file is there already, or a key that somebody chose is wrong; nothing stays written.
    """
    if path.exists():
        raise WrongUse(f"{path} is there already; give another --name or --out")
    text = (PRESETS / f"{proposal['preset']}.yml").read_text(encoding="utf-8")
    for key in ("source", "timezone", "currency"):
        text = re.sub(rf"(?m)^{key}: .*$", f"{key}: {proposal[key]}", text)
    text = re.sub(r'(?m)^( +path:) ".*"$', lambda match: f'{match[1]} "{proposal["path"]}"', text)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    try:
        load_shop(Settings(shop=str(path), _env_file=None))
    except WrongUse:
        path.unlink()
        raise
    return {**proposal, "mapping": str(path)}


def _files(place: Path) -> list[Path]:
    if place.is_dir():
        return sorted(path for path in place.iterdir() if path.suffix == ".csv" and path.is_file())
    if not place.is_file():
        raise DataProblem(f"there is no file {place}")
    return [place]


def _header(file: Path) -> list[str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            return next(csv.reader(stream), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataProblem(f"{file}: the header cannot be read: {error}") from None


def _preset(files: Sequence[Path]) -> tuple[str, Shop]:
    """The preset that knows the columns of all files; of several the one that uses most of them."""
    headers = [set(_header(file)) for file in files]
    fitting, missing = [], dict[str, list[str]]()
    for path in sorted(PRESETS.glob("*.yml")):
        shop = load_shop(Settings(shop=str(path), _env_file=None))
        needed = {column.source for source in shop.sources for column in required(source).columns.values()}
        missing[path.stem] = sorted(needed - headers[0].intersection(*headers))
        if not missing[path.stem]:
            fitting.append((len(needed), path.stem, shop))
    if not fitting:
        # what stands in the first line is not shown: it may be no header, and name a customer
        nearest = min(missing, key=lambda name: len(missing[name]))
        raise DataProblem(
            f"no preset knows the columns of {files[0].name}; the nearest, {nearest}, needs also "
            f"{', '.join(missing[nearest][:8])}. Write a mapping: docs/how-to/add-a-source.md"
        )
    _, name, shop = max(fitting, key=lambda one: one[:2])
    return name, shop


def _rows(files: Sequence[Path]) -> Iterator[dict[str, str]]:
    for file in files:
        with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            yield from islice(csv.DictReader(stream), ROWS_LOOKED_AT)


def _facts(files: Sequence[Path], shop: Shop) -> _Facts:
    columns = shop.sources[0].columns
    wanted = {name: columns[name].source for name in ("currency", "country", "ordered_at") if name in columns}
    facts = _Facts(Counter(), Counter(), Counter())
    for row in _rows(files):
        said = {name: (row.get(column) or "").strip() for name, column in wanted.items()}
        if said.get("currency"):
            facts.currencies[said["currency"].upper()] += 1
        if COUNTRY.fullmatch(said.get("country", "")):
            facts.countries[said["country"]] += 1
        if written := OFFSET.match(said.get("ordered_at", "")):
            day, clock, sign, hours, minutes = written.groups()
            offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
            local = datetime.fromisoformat(f"{day} {clock}")
            facts.times[(local - offset).replace(tzinfo=UTC), offset] += 1
    return facts


def _zone(facts: _Facts) -> tuple[str | None, bool]:
    """The zone whose clock shows the offsets of nearly all times; whether its country has no other such."""
    if not facts.times:
        return None, False
    country = facts.countries.most_common(1)[0][0] if facts.countries else ""
    zones = _zones_by_country()
    own = [name for name in zones.get(country, []) if _shows(name, facts)]
    if own:
        return own[0], len(own) == 1
    others = [name for names in zones.values() for name in names if _shows(name, facts)]
    return (others[0] if others else None), False


def _shows(name: str, facts: _Facts) -> bool:
    here = zone(name)
    shown = sum(
        count
        for (instant, offset), count in facts.times.items()
        if instant.astimezone(here).utcoffset() == offset
    )
    return shown >= 0.95 * sum(facts.times.values())


def _zones_by_country() -> dict[str, list[str]]:
    """The zones of each country, its main one first, by the book of time zones."""
    zones: dict[str, list[str]] = {}
    table = resources.files("tzdata.zoneinfo").joinpath("zone.tab").read_text(encoding="utf-8")
    for line in table.splitlines():
        if line and not line.startswith("#"):
            country, _, name = line.split("\t")[:3]
            zones.setdefault(country, []).append(name)
    return zones


def _path(files: Sequence[Path]) -> str:
    """A pattern that finds files of these names, with other numbers in them too."""
    patterns = {re.sub(r"[ (]*[0-9]+(?:[-_. ()]*[0-9]+)*\)?", "*", file.name) for file in files}
    pattern = patterns.pop() if len(patterns) == 1 else "*.csv"
    # it may come again with a number: orders_export.csv, orders_export (2).csv
    return pattern if "*" in pattern else f"{Path(pattern).stem}*{Path(pattern).suffix}"
