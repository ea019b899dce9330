"""The shop's mapping: how one shop's files become canonical order lines. One YAML per shop, no code.

`shops/online_retail.yml` is the worked example; every key is described by the field it becomes below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from goodstanding.days import Days
from goodstanding.errors import WrongUse
from goodstanding.settings import PROJECT, Settings

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CANONICAL = (
    "invoice_no",
    "stock_code",
    "description",
    "quantity",
    "ordered_at",
    "unit_price",
    "customer_id",
    "country",
)
MAY_BE_UNMAPPED = ("description", "country")
CastKind = Literal["text", "whole_number", "integer", "decimal", "timestamp"]
REQUIRED_CASTS: dict[str, tuple[CastKind, ...]] = {
    "quantity": ("integer",),
    "unit_price": ("decimal",),
    "ordered_at": ("timestamp",),
}
TEXT_CASTS: tuple[CastKind, ...] = ("text", "whole_number")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """Where one canonical column comes from and how its text is read."""

    source: str = Field(alias="from", min_length=1)
    cast: CastKind = Field(alias="as")
    optional: bool = False
    format: str | None = None
    zone: str | None = None
    decimal_mark: Literal[".", ","] = "."
    thousands_mark: Literal["", ".", ",", " ", "'"] = ""

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone is not None:
            ZoneInfo(zone)
        return zone


class Files(_Strict):
    """Which files of the landing hold a day; `{day}` is the ISO day, or `{day:%Y/%m/%d}`; `*` matches."""

    path: str
    format: Literal["csv", "parquet"] = "csv"
    delimiter: str = Field(default=",", min_length=1, max_length=1)

    @field_validator("path")
    @classmethod
    def _names_the_day(cls, path: str) -> str:
        if path.format(day=date(2001, 1, 1)) == path.format(day=date(2002, 2, 2)):
            raise ValueError("the path must contain {day}")
        return path


class Rule(_Strict):
    """A pattern (regular expression) on one canonical text column."""

    column: Literal["invoice_no", "stock_code", "description", "quantity"]
    matches: str

    @field_validator("matches")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"'{pattern}' is no regular expression: {error}") from None
        return pattern


class InvoiceKinds(_Strict):
    """What makes a line a cancellation or an adjustment; every other line is a sale."""

    cancellation: Rule | None = None
    adjustment: Rule | None = None


class Closed(_Strict):
    """Days without trade: a missing file is expected on them. Without `closed`, every day may lack one."""

    weekdays: tuple[Literal[WEEKDAYS], ...] = ()  # type: ignore[valid-type]
    days: tuple[Days, ...] = ()

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    @field_validator("days", mode="before")
    @classmethod
    def _ranges(cls, entries: object) -> tuple[Days, ...]:
        if not isinstance(entries, list):
            raise ValueError("must be a list of days or of ranges like 2010-12-24 to 2011-01-03")
        return tuple(Days.parse(*str(entry).split(" to ")) for entry in entries)

    def __contains__(self, day: date) -> bool:
        return WEEKDAYS[day.weekday()] in self.weekdays or any(r.first <= day <= r.last for r in self.days)


class Shop(_Strict):
    """One shop's mapping, as read from its YAML file."""

    source: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    timezone: str
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    files: Files
    columns: dict[Literal[CANONICAL], Column]  # type: ignore[valid-type]
    invoice_kinds: InvoiceKinds = InvoiceKinds()
    no_products: tuple[str, ...] = ()
    closed: Closed | None = None
    mapping_file: str = ""

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except Exception:
            raise ValueError(f"'{zone}' is no time zone; write it like Europe/London") from None
        return zone

    @model_validator(mode="after")
    def _columns_complete(self) -> Shop:
        for name in CANONICAL:
            column = self.columns.get(name)
            if column is None:
                if name not in MAY_BE_UNMAPPED:
                    raise ValueError(f"columns.{name} is missing")
                continue
            allowed = REQUIRED_CASTS.get(name, TEXT_CASTS)
            if column.cast not in allowed:
                raise ValueError(f"columns.{name}.as is '{column.cast}'; it must be {' or '.join(allowed)}")
        return self

    def no_products_pattern(self) -> str:
        """The codes that are no products as one case-blind regular expression, which may match nothing."""
        codes = [re.escape(code).replace(r"\*", ".*").replace(r"\ ", " ") for code in self.no_products]
        return "(?i)^(" + "|".join(codes) + ")$" if codes else "$.^"

    def trades_on(self, day: date) -> bool:
        """Whether a file must exist for the day."""
        return self.closed is not None and day not in self.closed

    def files_of(self, landing: Path, day: date) -> list[Path]:
        """The day's files in the landing, by name."""
        return sorted(path for path in landing.glob(self.files.path.format(day=day)) if path.is_file())

    def days_in(self, landing: Path) -> Days | None:
        """First and last day that has a file in the landing, or None where none has.

        Looks for the files that match the path pattern, and reads the day out of each name.
        """
        pattern = re.compile(_day_pattern(self.files.path))
        found = sorted(_days_named(landing, self.files.path, pattern))
        return Days(found[0], found[-1]) if found else None


# stand for year, month and day in a formatted path: characters that no file name has
_PARTS = {"%Y": "\ue001", "%m": "\ue002", "%d": "\ue003"}


def _day_pattern(path: str) -> str:
    """The path pattern as a regular expression whose groups y, m and d are the day."""
    text = re.escape(path.format(day=_Marker())).replace(r"\*", "[^/]*")
    for (part, marker), digits in zip(_PARTS.items(), (4, 2, 2), strict=True):
        group = part[1].lower()
        text = text.replace(marker, f"(?P<{group}>\\d{{{digits}}})", 1).replace(marker, f"(?P={group})")
    return f"^{text}$"


class _Marker:
    """Formats like a date, but leaves a mark where each of its parts would stand."""

    def __format__(self, spec: str) -> str:
        for part, marker in _PARTS.items():
            spec = (spec or "%Y-%m-%d").replace(part, marker)
        return spec


def _days_named(landing: Path, path: str, pattern: re.Pattern[str]) -> Iterator[date]:
    any_day = re.sub(r"\{day[^}]*\}", lambda m: re.sub(r"%[Ymd]", "*", m[0][5:-1] or "*"), path)
    for file in landing.glob(any_day):
        match = pattern.match(file.relative_to(landing).as_posix())
        if match:
            yield date(int(match["y"]), int(match["m"]), int(match["d"]))


def load_shop(settings: Settings) -> Shop:
    """The shop that the settings name: a file in `shops/` by its name, or a path to a YAML file.

    Raises:
        WrongUse: there is no such file, or a key of it is wrong; names the key and the file.
    """
    path = Path(settings.shop).expanduser()
    if path.suffix not in (".yml", ".yaml"):
        path = PROJECT / "shops" / f"{settings.shop}.yml"
    if not path.is_file():
        raise WrongUse(f"setting GOODSTANDING_SHOP: there is no mapping {path}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise WrongUse(f"{path}: no readable YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise WrongUse(f"{path}: must hold the keys source, timezone, currency, files and columns")
    try:
        return Shop.model_validate({**content, "mapping_file": path.name})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"] if part != "[key]")
        reason = first["msg"].removeprefix("Value error, ")
        raise WrongUse(f"{path}: {key + ': ' if key else ''}{reason}") from None
    except WrongUse as error:
        raise WrongUse(f"{path}: closed.days: {error}") from None
