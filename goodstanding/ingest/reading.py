"""The fingerprint of reading: all that decides how a file becomes lines, kept with the days read by it.

A home holds days of one reading alone. Where the mapping has changed, a run whose range covers every held day
reads all of them anew, and any other is refused: half of the days would be read in another way than the other
half, and nothing would say so. Where only the code, the zone data or a library has changed, as on the morning
after an upgrade, the held files are read again and compared: if no line comes out otherwise the run goes on,
else it is refused too.
"""

from __future__ import annotations

import hashlib
import json
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import duckdb

from goodstanding.core.days import Days
from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import Settings
from goodstanding.core.version import folder_version
from goodstanding.core.zones import book_version
from goodstanding.shops.mapping import ORDERS_KEYS, Shop, load_shop
from goodstanding.warehouse.figures import figures_are_noted, note_figures
from goodstanding.warehouse.files import INTAKE, open_intake

# Keys of the mapping that decide which days may lack a file, which day passes a gate, how old the data
# may be, or who writes letters, but not how a line is read; a file of groups is read when it is asked for,
# and never kept.
DECIDE_NO_LINE = frozenset({"closed", "archive", "groups", "accepted", "limits", "letters", "mapping_file"})
# of the section about invoices, what stops a day and changes no line
STOP_DAYS = frozenset({"invoices.number_again", "invoices.two_customers"})
# the rooms whose code reads files
READERS = (
    *("goodstanding/core", "goodstanding/shops", "goodstanding/identity"),
    *("goodstanding/ingest", "goodstanding/ingest/exports", "goodstanding/ingest/landings"),
)
FACT = "reading"
LEFT_OUT = "(left out)"


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes:
        mapping: {key, like columns.quantity.from: its value}, without keys that are left out.
        versions: {what reads besides: its version}.
    """

    mapping: Mapping[str, Any]
    versions: Mapping[str, str]

    def as_json(self) -> str:
        """The text that a home keeps."""
        return json.dumps({"mapping": self.mapping, "versions": self.versions}, sort_keys=True)


@dataclass(frozen=True)
class Change:
    """How the present reading differs from that of the held days.

    Attributes:
        keys: of the mapping, each with the old and the new value, for people.
        versions: of what reads besides, likewise.
        held: from the first held day to the last.
        count: how many days are held.
    """

    keys: tuple[str, ...]
    versions: tuple[str, ...]
    held: Days
    count: int

    @property
    def what(self) -> str:
        """What changed, in words."""
        said = "; ".join((*self.keys, *self.versions))
        return f"the mapping changed: {said}" if self.keys else f"what reads the files changed: {said}"

    def covered_by(self, days: Days) -> bool:
        """Whether a run over these days reads every held day."""
        return days.first <= self.held.first and self.held.last <= days.last

    def told(self) -> str:
        """What a run says that reads all held days anew."""
        return f"{self.what}; reading all {self.count:,} days anew"

    def refused(self, days: Days, why: str = "") -> WrongUse:
        """The error of a run over some days that would mix two readings."""
        first, last = min(self.held.first, days.first), max(self.held.last, days.last)
        by_range = f"`goodstanding run --from {first} --to {last}`"
        undo = "; or undo the change" if self.keys else ""
        return WrongUse(
            f"{self.what}. {why or f'{days} would be read otherwise than the {self.count:,} days held'}; "
            f"nothing was touched. Read all anew: {by_range}, or trigger the DAG orders_history with from "
            f"{first} and to {last}{undo}"
        )


def reading_of(shop: Shop) -> Reading:
    """How the files of a shop are read by its mapping and by this installation."""
    # what is at its default is left out: a key that a later version brings is no change of the mapping
    content = shop.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=set(DECIDE_NO_LINE))
    content |= {key: value for key, value in content.pop("orders", {}).items() if key in ORDERS_KEYS}
    code = "-".join(folder_version(folder) for folder in READERS)
    return Reading(
        mapping={key: value for key, value in _flat(content) if key not in STOP_DAYS},
        versions={
            "the code that reads": code,
            "duckdb": version("duckdb"),
            # it reads Parquet's metadata and what is not in UTF-8
            "pyarrow": version("pyarrow"),
            # it splits what is read record by record, and knows the encodings
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "tzdata": book_version(),
            "unicode": unicodedata.unidata_version,
        },
    )


def change_of(connection: duckdb.DuckDBPyConnection, shop: Shop) -> Change | None:
    """How files are read otherwise now than the days of a home were; None where they are not.

    Args:
        connection: to the intake file.
        shop: the present mapping.
    """
    held = connection.execute("select min(event_day), max(event_day), count(*) from raw.days").fetchone()
    if held is None or not held[2]:
        return None
    now = reading_of(shop)
    kept = connection.execute("select value from ops.facts where name = ?", [FACT]).fetchone()
    days = Days(held[0], held[1])
    if kept is None:
        return Change((), ("the code that reads (its version was not kept)",), days, held[2])
    before = json.loads(kept[0])
    keys = _differences(before["mapping"], json.loads(now.as_json())["mapping"])
    versions = tuple(
        name if name == "the code that reads" else f"{name} {before['versions'].get(name, '?')} -> {present}"
        for name, present in now.versions.items()
        if before["versions"].get(name) != present
    )
    return Change(keys, versions, days, held[2]) if keys or versions else None


def pending_change(settings: Settings) -> Change | None:
    """How files are read otherwise now than the days of the home were, before a run begins."""
    if not (settings.warehouse / INTAKE).exists():
        return None
    with open_intake(settings) as connection:
        return change_of(connection, load_shop(settings))


def keep_reading(connection: duckdb.DuckDBPyConnection, shop: Shop, anew: bool) -> None:
    """Note that every day of the home has been read as files are read now.

    Args:
        connection: to the intake file.
        shop: the present mapping.
        anew: whether no line is held of an earlier reading. Else the lines are those of that reading, to
            which the present one was found to be equal.
    """
    text = reading_of(shop).as_json()
    connection.execute("insert or replace into ops.facts values (?, ?)", [FACT, text])
    if anew or not figures_are_noted(connection, "reading"):
        note_figures(connection, "reading", hashlib.sha256(text.encode()).hexdigest()[:16])


def _flat(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if key == "mapping_file":
            continue
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        f"{key}: {_shown(before.get(key))} -> {_shown(now.get(key))}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    )


def _shown(value: Any) -> str:
    if value is None:
        return LEFT_OUT
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
