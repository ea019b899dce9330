"""The shop's mapping: how one shop's files become canonical order lines. One YAML per shop, no code.

`shops/online_retail.yml` is the worked example; every key is described by the field it becomes below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal
from zoneinfo import ZoneInfo

import duckdb
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
MAY_BE_BLANK = ("description", "customer_id", "country")
# stand for year, month and day in a formatted path: characters that no file name has
_PARTS = {"%Y": "\ue001", "%m": "\ue002", "%d": "\ue003"}
_DAY = re.compile(r"\{day(?::([^{}]*))?\}")
CastKind = Literal["text", "whole_number", "integer", "decimal", "timestamp"]
REQUIRED_CASTS: dict[str, tuple[CastKind, ...]] = {
    "quantity": ("integer",),
    "unit_price": ("decimal",),
    "ordered_at": ("timestamp",),
}
TEXT_CASTS: tuple[CastKind, ...] = ("text", "whole_number")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _known_zone(zone: str | None) -> str | None:
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (OSError, LookupError, ValueError):
            raise ValueError(f"'{zone}' is no time zone; write it like Europe/London") from None
    return zone


class Column(_Strict):
    """Where one canonical column comes from and how its text is read.

    Times: a text with an offset (2011-01-04T08:00:00+02:00) is that instant; one without is the local time of
    `zone`, which is the shop's own unless given. `format` is for times not written like that (ISO 8601).
    """

    source: str = Field(alias="from", min_length=1)
    cast: CastKind = Field(alias="as")
    optional: bool = False
    format: str | None = None
    zone: str | None = None
    decimal_mark: Literal[".", ","] = "."
    thousands_mark: Literal["", ".", ",", " ", "'"] = ""

    zone_is_known = field_validator("zone")(_known_zone)

    @property
    def format_has_offset(self) -> bool:
        """Whether every time of the column names its own offset or zone."""
        return self.format is not None and re.search(r"%[zZ]", self.format) is not None

    @model_validator(mode="after")
    def _keys_fit_the_cast(self) -> Column:
        for key, kind in (
            ("format", "timestamp"),
            ("zone", "timestamp"),
            ("decimal_mark", "decimal"),
            ("thousands_mark", "decimal"),
        ):
            if key in self.model_fields_set and self.cast != kind:
                raise ValueError(f"{key} is of use with 'as: {kind}' only")
        if self.zone and self.format_has_offset:
            raise ValueError("zone contradicts the offset in format; give one of them")
        if self.decimal_mark == self.thousands_mark:
            raise ValueError("decimal_mark and thousands_mark are the same")
        return self


class Files(_Strict):
    """Which files of the landing hold a day; `{day}` is the ISO day, or `{day:%Y/%m/%d}`; `*` matches."""

    path: str
    format: Literal["csv", "parquet"] = "csv"
    delimiter: str = Field(default=",", min_length=1, max_length=1)

    @field_validator("path")
    @classmethod
    def _names_the_day(cls, path: str) -> str:
        formats = "".join(match[1] or "%Y-%m-%d" for match in _DAY.finditer(path))
        if set(re.findall("%.", formats)) != set(_PARTS):
            raise ValueError("must name year, month and day: {day}, or like {day:%Y/%m/%d}")
        if re.search(r"[{}?\[\]]|\*\*", _DAY.sub("", path)):
            raise ValueError("may hold {day}, * and plain characters, but no other pattern")
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise ValueError("must lie within the landing: neither a leading / nor ..")
        return path

    @field_validator("delimiter")
    @classmethod
    def _separates(cls, delimiter: str) -> str:
        if delimiter in '"\r\n' or not delimiter.isascii():
            raise ValueError("must be an ASCII character, and neither a quote nor a line break")
        return delimiter


class Rule(_Strict):
    """A pattern (regular expression) on one canonical text column."""

    column: Literal["invoice_no", "stock_code", "description", "quantity"]
    matches: str


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
        try:
            pairs = [str(entry).partition(" to ") for entry in entries]
            return tuple(Days.parse(first, last or None) for first, _, last in pairs)
        except WrongUse as error:
            raise ValueError(str(error)) from None

    def __contains__(self, day: date) -> bool:
        return WEEKDAYS[day.weekday()] in self.weekdays or any(r.first <= day <= r.last for r in self.days)


class Shop(_Strict):
    """One shop's mapping, as read from its YAML file.

    `archive` says that the log has ended and no day will follow: the age of the data then counts from their
    publication, not from the last day.
    """

    source: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    timezone: str
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    files: Files
    columns: dict[Literal[CANONICAL], Column]  # type: ignore[valid-type]
    invoice_kinds: InvoiceKinds = InvoiceKinds()
    no_products: tuple[str, ...] = ()
    closed: Closed | None = None
    archive: bool = False
    mapping_file: str = ""

    timezone_is_known = field_validator("timezone")(_known_zone)

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
            if column.optional and name not in MAY_BE_BLANK:
                raise ValueError(f"columns.{name}.optional: a line without {name} is of no use")
        return self

    @model_validator(mode="after")
    def _warehouse_can_read_it(self) -> Shop:
        """Patterns and formats are DuckDB's, whose regular expressions know no look-ahead, for instance."""
        kinds = {"cancellation": self.invoice_kinds.cancellation, "adjustment": self.invoice_kinds.adjustment}
        refusal = _refusal(
            tuple((f"invoice_kinds.{kind}.matches", rule.matches) for kind, rule in kinds.items() if rule),
            tuple((f"columns.{name}.format", c.format) for name, c in self.columns.items() if c.format),
        )
        if refusal:
            raise ValueError(refusal)
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
    any_day = re.sub(r"\*+", "*", _DAY.sub(lambda match: re.sub("%.", "*", match[1] or "*"), path))
    for file in landing.glob(any_day):
        match = pattern.match(file.relative_to(landing).as_posix())
        if match:
            with suppress(ValueError):  # 2011-02-30.csv is no day's file
                yield date(int(match["y"]), int(match["m"]), int(match["d"]))


@lru_cache(maxsize=8)
def _refusal(patterns: tuple[tuple[str, str], ...], formats: tuple[tuple[str, str], ...]) -> str | None:
    """What DuckDB will not take, of pairs of a key and its value. Kept, as opening DuckDB takes 20 ms."""
    checks = [("regexp_matches('', ?)", "regular expression", pair) for pair in patterns]
    checks += [("try_strptime('', ?)", "time format", pair) for pair in formats]
    with duckdb.connect(config={"threads": 1}) as connection:
        for sql, what, (key, value) in checks:
            try:
                connection.execute(f"select {sql}", [value]).fetchall()
            except duckdb.Error as error:
                reason = str(error).splitlines()[0].removeprefix("Invalid Input Error: ")
                return f"{key}: '{value}' is no {what}: {reason}"
    return None


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
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongUse(f"{path}: no readable YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise WrongUse(f"{path}: must hold the keys source, timezone, currency, files and columns")
    try:
        return Shop.model_validate({**content, "mapping_file": path.name})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"] if part != "[key]")
        plain = {"extra_forbidden": "there is no such key", "missing": "is missing"}
        reason = plain.get(first["type"], first["msg"].removeprefix("Value error, "))
        raise WrongUse(f"{path}: {key + ': ' if key else ''}{reason}") from None
