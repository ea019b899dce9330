"""Reads a shop's mapping: the YAML file that says how the shop's files become canonical lines.

`shops/online_retail.yml` is the worked example, `shops/simulated.yml` one with payments, returns and
deliveries; every key is described by the field it becomes below.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal, Self

import duckdb
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from goodstanding.core.days import Days
from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import PROJECT, Settings
from goodstanding.core.sql import escaped
from goodstanding.core.strict_yaml import as_written, text_of
from goodstanding.core.zones import zone
from goodstanding.identity.normal_form import NOBODY, Case, CustomerIds, IdCast, normal_form, normal_text
from goodstanding.shops.kinds import KINDS, OPTIONAL_KINDS, ORDERS, PAYMENTS, TEXT, CastKind, Kind

CUSTOMER, INVOICE = "customer_id", "invoice_no"
# the case of ids and codes where the mapping says none; other texts keep theirs
CASES: Mapping[str, Case] = {CUSTOMER: "keep", INVOICE: "keep", "stock_code": "upper"}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# the keys of orders, which have no section of their own in a mapping
ORDERS_KEYS = (
    *("files", "columns", "invoice_kinds", "no_products", "order_money", "order_total", "no_orders"),
)
# of columns, what only exports may have: their lines are numbered anew
OF_EXPORTS = ("else_from", "carry_down", "in_every_file", "first_seen")
# placeholders for year, month and day in a formatted path: characters that no file name has
_PARTS = {"%Y": "\ue001", "%m": "\ue002", "%d": "\ue003"}
# what the table of lines as text holds beside the mapped columns
_READERS_OWN = ("file_name", "line_number", "fault", "record")
# what Python can decode, but not line by line: names of hosts, and text that itself spells its line breaks
_NO_ENCODINGS_OF_LINES = ("idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape")
_DAY = re.compile(r"\{day(?::([^{}]*))?\}")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _known_zone(name: str | None) -> str | None:
    if name is not None:
        try:
            zone(name)
        except LookupError as error:
            raise ValueError(error.args[0]) from None
    return name


class Fallback(_Strict):
    """A column to look at where those before it say nothing."""

    source: str = Field(alias="column", min_length=1)
    """The file's column."""
    keep: Literal["all", "digits"] = "all"
    """Which characters of it count: `digits` makes one phone number of +49 (151) 123 and +49151123."""


class Column(_Strict):
    """Where one canonical column comes from and how its text is read.

    Times: a text with an offset (2011-01-04T08:00:00+02:00) is that instant; one without is the local time of
    `zone`, which is the shop's own unless given. `format` is for times not written like that (ISO 8601).
    """

    source: str = Field(alias="from", min_length=1)
    """The file's column."""
    cast: CastKind = Field(alias="as")
    """How its text is read. `text` loses blanks of every kind at its ends (spaces, tabs, no-break and
    zero-width spaces, marks, control characters), and accents are composed (Unicode NFC). `whole_number`
    makes customer 17850 of 17850.0, 017850 and +17850; `integer` may be negative."""
    case: Case | None = None
    """For ids and codes that are text: `lower` and `upper` make those one that differ by case alone, `keep`
    does not. Default: `upper` for stock_code, `keep` for customer_id and invoice_no. Rules see the case that
    is written."""
    optional: bool = False
    """Whether a line may lack it; else such a line is set aside."""
    format: str | None = None
    """How times or dates are written that are not ISO 8601, as DuckDB's `strptime` reads it."""
    zone: str | None = None
    """The zone of times without an offset, if it is not the shop's own."""
    decimal_mark: Literal[".", ","] = "."
    """What stands before the decimals."""
    thousands_mark: Literal["", ".", ",", " ", "'"] = ""
    """What parts the thousands: `.` in 1.234,50."""
    else_from: tuple[Fallback, ...] = ()
    """Of exports: further columns, looked at in turn where those before are blank, as for a person who is
    known by e-mail or else by phone. A file may lack them."""
    carry_down: bool = False
    """Of exports: whether a cell stands on one line of an order, mostly the first, and is true of all."""
    in_every_file: bool = True
    """Of exports: `false` for a column that some files do not have; they are read as if it were blank."""
    first_seen: bool = False
    """Of exports of returns, for `returned_at`: the file tells no day of a return. It counts on the last day
    of the export that first has its amount, and the column is the time of the order."""

    zone_is_known = field_validator("zone")(_known_zone)

    @field_validator("else_from", mode="before")
    @classmethod
    def _names_or_sections(cls, entries: object) -> object:
        if not isinstance(entries, list):
            return entries
        return [{"column": entry} if isinstance(entry, str) else entry for entry in entries]

    @property
    def format_has_offset(self) -> bool:
        """Whether every time of the column names its own offset."""
        return self.format is not None and "%z" in self.format.replace("%%", "")

    @model_validator(mode="after")
    def _keys_fit_the_cast(self) -> Column:
        for key, kinds in (
            ("format", ("timestamp", "date")),
            ("zone", ("timestamp",)),
            ("decimal_mark", ("decimal",)),
            ("thousands_mark", ("decimal",)),
            ("case", ("text",)),
        ):
            if key in self.model_fields_set and self.cast not in kinds:
                raise ValueError(f"{key} may be set with 'as: {' or '.join(kinds)}' only")
        if self.format and "%Z" in self.format.replace("%%", ""):
            raise ValueError(
                "format: %Z, the name of a zone in each line, cannot be read; set zone, or have offsets (%z)"
            )
        if self.zone and self.format_has_offset:
            raise ValueError("zone contradicts the offset in format; give one of them")
        if self.decimal_mark == self.thousands_mark:
            raise ValueError("decimal_mark and thousands_mark are the same")
        return self


class Form(_Strict):
    """How files are written."""

    format: Literal["csv", "parquet"] = "csv"
    """csv may be packed as .gz."""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """One ASCII character between the columns of a csv file."""
    encoding: str = "utf-8"
    """How the text of a csv file is written: latin-1, cp1252, utf-16, mac-roman or another encoding that
    Python knows. A line that is not of it is set aside."""
    last_line_break: Literal["required", "optional"] = "required"
    """Whether the last line of a csv file ends in a line break too. Where it is required, a last line without
    one is set aside: the file may be cut within it. Set `optional` for a shop whose whole files end so."""

    @field_validator("delimiter")
    @classmethod
    def _separates(cls, delimiter: str) -> str:
        if delimiter in '"\r\n' or not delimiter.isascii():
            raise ValueError("must be an ASCII character, and neither a quote nor a line break")
        return delimiter

    @field_validator("encoding")
    @classmethod
    def _writes_text(cls, encoding: str) -> str:
        with suppress(LookupError, ValueError):
            codec = codecs.lookup(encoding)
            if codec.incrementaldecoder and codec.name not in _NO_ENCODINGS_OF_LINES:
                # what turns bytes into bytes (base64) or text into text (rot13) refuses to decode
                b"a".decode(encoding, "replace")
                return encoding
        raise ValueError(
            f"'{encoding}' is no encoding that Python knows; write it like latin-1, cp1252 or utf-16"
        )

    @model_validator(mode="after")
    def _keys_fit_the_format(self) -> Self:
        for key in ("delimiter", "encoding", "last_line_break"):
            if self.format != "csv" and key in self.model_fields_set:
                raise ValueError(f"{key} may be set with 'format: csv' only")
        return self


class Files(Form):
    """Which files of the landing hold the lines: files of a day each, or exports of any range.

    `{day}` is the ISO day, or `{day:%Y/%m/%d}`; `*` matches any characters but a slash.

    A path without `{day}` names exports: a month, one growing file, a full dump, in whatever ranges somebody
    chose. Each covers the time from its first line to its last. Where several cover the same time, the one
    whose name comes last counts (numbers in names by their value: write the day of the export into the name):
    what it states otherwise is restated, and what it has no longer is withdrawn, both told as notices.
    """

    path: str
    """Where the files lie in the landing, like `{day}.csv`, `{day:%Y/%m/%d}/orders-*.csv.gz`, or of exports
    `orders_export_*.csv`."""

    rows_of_other_days: Literal["set_aside", "take_in"] = "set_aside"
    """What becomes of a row of the day before or after in a day's file. It is set aside, or that day takes it
    in (once it is loaded), as for a shop whose files are cut by UTC. Rows of days farther away are set aside
    always."""

    @field_validator("path")
    @classmethod
    def _names_a_day_or_none(cls, path: str) -> str:
        formats = "".join(match[1] or "%Y-%m-%d" for match in _DAY.finditer(path))
        if _DAY.search(path) and set(re.findall("%.", formats)) != set(_PARTS):
            raise ValueError(
                "must name year, month and day: {day}, or like {day:%Y/%m/%d}; or none of them, with * in "
                "their place, for exports of any range"
            )
        if not path or re.search(r"[{}?\[\]]|\*\*", _DAY.sub("", path)):
            raise ValueError("may hold {day}, * and plain characters, but no other pattern")
        return _within_the_landing(path)

    @property
    def is_of_a_day(self) -> bool:
        """Whether each file is of the one day in its name, and no export of any range."""
        return _DAY.search(self.path) is not None


class OneFile(Form):
    """One file of the landing that is of no day."""

    path: str = Field(min_length=1)
    """Where the file lies in the landing."""

    @field_validator("path")
    @classmethod
    def _is_plain(cls, path: str) -> str:
        if re.search(r"[{}?*\[\]]", path):
            raise ValueError("must name one file, without a pattern")
        return _within_the_landing(path)


def _within_the_landing(path: str) -> str:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError("must lie within the landing: neither a leading / nor ..")
    return path


class Rule(_Strict):
    """A pattern (regular expression) on one of the canonical columns that `Kind.ruled_by` names."""

    column: str
    """The canonical column to look at."""
    matches: str
    """The regular expression, as DuckDB reads it."""


class OrderMoney(_Strict):
    """Money of a whole order, beside its lines: a cell that stands on one line of the order."""

    source: str = Field(alias="from", min_length=1)
    """The file's column; a file may lack it."""
    sign: Literal["plus", "minus"] = "plus"
    """`minus` for what lowers the order, such as a discount that is written as 5.00."""
    becomes: Literal["line", "spread"] = "line"
    """A line of the order that is no product, or spread over its lines by their amounts, to the cent: the
    largest remainders get a cent more, of equal ones the first lines."""
    where: Literal["always", "total_needs_it"] = "always"
    """`total_needs_it` for taxes: they count where the order's own total holds them beside the lines, and not
    where prices include them."""


class OrderTotal(_Strict):
    """What an order sums to by its file: a cell that stands on one line of the order."""

    source: str = Field(alias="from", min_length=1)
    """The file's column."""


class NoOrders(_Strict):
    """Which orders are none, or none any more: all their lines are left out, and a notice tells how many."""

    source: str = Field(alias="from", min_length=1)
    """The file's column, a cell that stands on one line of the order."""
    matches: str
    """The regular expression, as DuckDB reads it."""


class Section(_Strict):
    """Files of the landing, and what their columns say. `name` is the section's key in a mapping, and
    `prefix` stands before its keys in messages."""

    name: ClassVar[str]
    prefix: ClassVar[str]

    files: Form
    """Which files, and how they are written."""
    columns: dict[str, Column]
    """Where each column comes from, by its canonical name."""
    mapping_file: str = ""

    @field_validator("columns")
    @classmethod
    def _case_is_of_ids_and_codes(cls, columns: dict[str, Column]) -> dict[str, Column]:
        for name, column in columns.items():
            if column.case is not None and name not in CASES:
                raise ValueError(f"columns.{name}.case: only {', '.join(CASES)} may have one")
        return columns

    def case_of(self, name: str) -> Case:
        """The case in which a text column is stored."""
        return self.columns[name].case or CASES.get(name, "keep")

    def id_cast(self, name: str) -> IdCast:
        """How an id or code is read."""
        return "whole_number" if self.columns[name].cast == "whole_number" else "text"


class Source(Section):
    """Which files of the landing hold one kind of line, and what their columns say.

    `kinds` has a rule for each sort of line that is not the usual one; the first rule that matches gives
    the sort: for payments auto_billed, on_delivery or on_account, else e_payment; for returns refusal, else
    return; for deliveries on_delivery, else prepaid.
    """

    of: ClassVar[Kind]
    kinds_key: ClassVar[str] = "kinds"

    files: Files
    """Which files of the landing hold a day, and how they are written."""
    kinds: dict[str, Rule] = {}
    """Which lines are of a special sort, by its name; the first rule that matches counts."""

    def __init_subclass__(cls, kind: Kind | None = None, **named: Any) -> None:
        super().__init_subclass__(**named)
        if kind is not None:
            cls.of, cls.name, cls.prefix = kind, kind.name, "" if kind is ORDERS else f"{kind.name}."

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        for name, column in self.columns.items():
            allowed = self.of.casts.get(name)
            if allowed is None:
                raise ValueError(
                    f"columns.{name}: there is no such column; there are {', '.join(self.of.casts)}"
                )
            if column.cast not in allowed:
                raise ValueError(f"columns.{name}.as is '{column.cast}'; it must be {' or '.join(allowed)}")
            if column.optional and name not in self.of.may_be_blank:
                raise ValueError(f"columns.{name}.optional: a line without {name} cannot be used")
        if "rows_of_other_days" in self.files.model_fields_set and self.of.happened not in self.columns:
            raise ValueError(
                f"files.rows_of_other_days: needs columns.{self.of.happened}, which says a row's day"
            )
        for name, column in self.columns.items():
            for key in OF_EXPORTS:
                if self.files.is_of_a_day and key in column.model_fields_set:
                    raise ValueError(
                        f"columns.{name}.{key}: only exports may have it, whose path has no {{day}}"
                    )
            if column.first_seen and (self.of.name, name) != ("returns", "returned_at"):
                raise ValueError(f"columns.{name}.first_seen: only returns.columns.returned_at may have it")
            if column.first_seen and column.format and not column.format_has_offset:
                raise ValueError(f"columns.{name}.first_seen: needs a format with the offset (%z), or none")
            if column.first_seen and "amount" not in self.columns:
                raise ValueError(f"columns.{name}.first_seen: columns.amount is missing")
        if not self.files.is_of_a_day:
            if self.of.happened not in self.columns:
                raise ValueError(
                    f"files.path: names no {{day}}, so that columns.{self.of.happened} has to say the day of "
                    "each line, and it is missing"
                )
            if "rows_of_other_days" in self.files.model_fields_set:
                raise ValueError(
                    "files.rows_of_other_days: every line of an export counts on its own day; leave it out"
                )
        for name in self.of.casts:
            if name not in self.columns and name not in self.of.may_be_unmapped:
                raise ValueError(f"columns.{name} is missing")
        for name, rule in self.kinds.items():
            key = f"{self.kinds_key}.{name}"
            if name not in self.of.others:
                raise ValueError(f"{key}: there is no such kind; there are {', '.join(self.of.others)}")
            if rule.column not in self.of.ruled_by:
                raise ValueError(f"{key}.column: must be one of {', '.join(self.of.ruled_by)}")
            if rule.column not in self.columns:
                raise ValueError(f"{key}.column: columns.{rule.column} is missing")
        return self

    @property
    def takes_in(self) -> bool:
        """Whether lines count on their own day where they lie in the file of a neighbour."""
        return self.files.rows_of_other_days == "take_in"

    def place_of(self, name: str) -> int:
        """The place of a column among those of the mapping, from 1 on; 0 if it is not mapped. The text of a
        line that is set aside has them in this order."""
        return list(self.columns).index(name) + 1 if name in self.columns else 0

    def files_of(self, landing: Path, day: date) -> list[Path]:
        """The day's files in the landing, by name."""
        return sorted(path for path in landing.glob(self.files.path.format(day=day)) if path.is_file())

    def exports_in(self, landing: Path) -> list[Path]:
        """The exports in the landing, the one that counts before all others last."""
        found = (path for path in landing.glob(self.files.path) if path.is_file())
        return sorted(found, key=lambda path: _natural(path.relative_to(landing)))

    def days_named(self, landing: Path) -> set[date]:
        """Every day that has a file in the landing, read out of the names that match the path pattern."""
        if not self.files.is_of_a_day:
            return set()
        return set(_days_named(landing, self.files.path, re.compile(_day_pattern(self.files.path))))

    def may_hold(self, path: str) -> bool:
        """Whether a path within the landing is that of some day's file, or of an export."""
        return re.match(_day_pattern(self.files.path), PurePosixPath(path).as_posix()) is not None


class Orders(Source, kind=ORDERS):
    """Order lines: the mapping's own files and columns. `no_products` are codes of fees, postage and more."""

    kinds_key = "invoice_kinds"

    kinds: dict[str, Rule] = Field({}, alias=kinds_key)
    """Which lines are cancellations or adjustments; all others are sales."""
    no_products: tuple[str, ...] = ()
    """Codes of postage, fees and vouchers (`*` matches anything): money of the invoice, but no product."""

    order_money: dict[str, OrderMoney] = {}
    """Of exports: money of whole orders beside their lines, by a name of your own, like `discount`."""
    order_total: OrderTotal | None = None
    """Of exports: an order whose lines, with `order_money`, do not sum to it within 0.01 is set aside."""
    no_orders: NoOrders | None = None
    """Of exports: which orders are none by their status, such as voided ones."""

    @model_validator(mode="after")
    def _orders_of_exports(self) -> Self:
        for key in ("order_money", "order_total", "no_orders"):
            if self.files.is_of_a_day and getattr(self, key):
                raise ValueError(f"{key}: only exports may have it, whose path has no {{day}}")
        for name in self.order_money:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(
                    f"order_money.{name}: call it by small letters, digits and _, like gift_card"
                )
        return self

    @model_validator(mode="after")
    def _has_amounts(self) -> Self:
        if not {"unit_price", "line_total"} & self.columns.keys():
            raise ValueError(
                "columns.unit_price is missing, and so is columns.line_total; one of them must be there"
            )
        return self

    def no_products_pattern(self) -> str:
        """The codes that are no products as one case-blind regular expression, which may match nothing."""
        cast = self.id_cast("stock_code")
        written = [normal_form(code, cast) or normal_text(code) for code in self.no_products]
        codes = [escaped(code).replace(r"\*", ".*") for code in written]
        return "(?i)^(" + "|".join(codes) + ")$" if codes else "$.^"


class Payments(Source, kind=PAYMENTS):
    """Files of which each line is a line about an instalment or statement of account."""

    amounts: Literal["so_far", "each"] = "so_far"
    """What `paid_amount` of a line is: all that was paid of the instalment up to then, or one payment of its
    own. Of `each`, all payments of an instalment are added up; one that is told again, with the same
    `recorded_at` (else `paid_day`, else file day), `paid_day` and `paid_amount`, counts once."""

    @model_validator(mode="after")
    def _amounts_are_told(self) -> Self:
        if self.amounts == "each" and "paid_amount" not in self.columns:
            raise ValueError("amounts: 'each' needs columns.paid_amount, which says how much a payment was")
        return self


def _section_of(kind: Kind) -> type[Source]:
    """The section of a mapping for a kind other than orders."""

    class Section(Source, kind=kind):
        __doc__ = f"Files of which each line is {kind.line}."

    return Section


def _with_optional_kinds(shop: type[Shop]) -> type[Shop]:
    """The mapping with a section for each of OPTIONAL_KINDS, which a shop may leave out."""
    own = {PAYMENTS.name: Payments}
    sections: dict[str, Any] = {
        kind.name: ((own.get(kind.name) or _section_of(kind)) | None, None) for kind in OPTIONAL_KINDS
    }
    return create_model(shop.__name__, __base__=shop, __module__=__name__, __doc__=shop.__doc__, **sections)


class Groups(Section):
    """Which groups people belong to: customer_id and the columns that are groups, such as sex or an age band.

    Ingest does not read it and no score may use it: `goodstanding policy groups` reads the file when it is
    called, and keeps none of it.
    """

    name = "groups"
    prefix = "groups."

    files: OneFile
    """The one file with the groups."""

    @model_validator(mode="after")
    def _names_groups(self) -> Self:
        if CUSTOMER not in self.columns:
            raise ValueError(f"columns.{CUSTOMER} is missing")
        if len(self.columns) == 1:
            raise ValueError("columns: names no group beside customer_id")
        for name, column in self.columns.items():
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in _READERS_OWN:
                raise ValueError(
                    f"columns.{name}: call a group by small letters, digits and _, like age_band"
                )
            if column.cast not in TEXT:
                raise ValueError(f"columns.{name}.as is '{column.cast}'; it must be {' or '.join(TEXT)}")
            if name != CUSTOMER and "optional" in column.model_fields_set:
                raise ValueError(f"columns.{name}.optional: a group may always be blank; leave it out")
        for name, column in self.columns.items():
            for key in OF_EXPORTS:
                if key in column.model_fields_set:
                    raise ValueError(f"columns.{name}.{key}: a file of groups cannot have it; leave it out")
        if self.columns[CUSTOMER].optional:
            raise ValueError(f"columns.{CUSTOMER}.optional: a line without {CUSTOMER} cannot be used")
        return self


def _ranges_of_days(entries: object) -> tuple[Days, ...]:
    if not isinstance(entries, list):
        raise ValueError("must be a list of days or of ranges like 2010-12-24 to 2011-01-03")
    try:
        pairs = [str(entry).partition(" to ") for entry in entries]
        return tuple(Days.parse(first, last or None) for first, _, last in pairs)
    except WrongUse as error:
        raise ValueError(str(error)) from None


class Closed(_Strict):
    """Days without trade: a missing file is expected on them. Without `closed`, every day may lack one."""

    weekdays: tuple[Literal[WEEKDAYS], ...] = ()  # type: ignore[valid-type]
    """Weekdays without trade."""
    days: tuple[Days, ...] = ()
    """Further days without trade, like 2011-04-29 or 2010-12-24 to 2011-01-03."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True
    )

    @field_validator("days", mode="before")
    @classmethod
    def _ranges(cls, entries: object) -> tuple[Days, ...]:
        return _ranges_of_days(entries)

    def __contains__(self, day: date) -> bool:
        return WEEKDAYS[day.weekday()] in self.weekdays or any(day in days for days in self.days)


class Accepted(_Strict):
    """Days that a person says are right as they are, although an expectation of a gate is not met.

    On these days that expectation stops nothing. The gate's result, its page and the status name who accepted
    it and why, and name an acceptance that is not needed.
    """

    days: tuple[Days, ...]
    """A day or a range, or a list of such, like 2011-12-27 or 2011-12-27 to 2012-01-03."""
    expectation: str = Field(min_length=1)
    """What is not met, by the name that the gate's message gives after "on", like `lines_of_usual`."""
    by: str = Field(min_length=1)
    """Who accepts it."""
    why: str = Field(min_length=1)
    """Why the days are right."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True
    )

    @field_validator("days", mode="before")
    @classmethod
    def _ranges(cls, entries: object) -> tuple[Days, ...]:
        return _ranges_of_days(entries if isinstance(entries, list) else [entries])

    def __contains__(self, day: date) -> bool:
        return any(day in days for days in self.days)


class Limits(_Strict):
    """What the gates take for usual, where a shop differs.

    A share above its limit still passes if chance explains it. The figure behind each limit is the greatest
    of two real years of a gift shop.
    """

    rejected_share: float = Field(0.05, ge=0, le=1)
    """The greatest share of a day's lines that may be set aside (0)."""
    share_without_customer: float = Field(0.8, ge=0, le=1)
    """The greatest share of a day's invoices that may lack their customer (0.55)."""
    share_below_zero: float = Field(0.75, ge=0, le=1)
    """The greatest share of a day's invoices but cancellations that may have a quantity below zero (0.43)."""
    beyond_usual: float = Field(0.5, ge=0, le=1)
    """The greatest share of lines that may be beyond the recent days' lowest or highest tenth (0.33)."""
    unmatched_share: float = Field(0.5, ge=0, le=1)
    """The greatest share of cancellations, or of what names an order, that may find no purchase (0.5)."""
    withdrawn_share: float = Field(0.2, ge=0, le=1)
    """Of exports: the greatest share of the orders of earlier exports that a later one of their time may
    lack; fewer than 10 it may lack always."""
    times_usual: float = Field(8, gt=1)
    """How many times the usual of recent days, or a part of it, lines, sales and invoices may be (7.7)."""


class Invoices(_Strict):
    """What becomes of invoice numbers that contradict themselves.

    An invoice is the lines of one customer with one number on one day. What stops nothing is told: by a run,
    the report and the status, with how many lines it is about and a place.
    """

    missing_customer: Literal["carry_over", "leave"] = "carry_over"
    """Whether lines that lack a customer get the one whom all other lines of their number and day name, in
    whichever file of the day. Where these name two customers, the lines stay without one."""
    number_again: Literal["another", "stop"] = "another"
    """A number of a sale that comes again on another day is another invoice, or gate 1 stops every day but
    the first that has it, also one that had passed before the first was loaded."""
    two_customers: Literal["another", "stop"] = "another"
    """A number that several customers have on one day is an invoice of each, or gate 1 stops that day."""

    @property
    def stopped(self) -> tuple[str, ...]:
        """The keys by which gate 1 stops a day."""
        return tuple(name for name in ("number_again", "two_customers") if getattr(self, name) == "stop")


class Letters(_Strict):
    """Who writes to customers: the head of each letter about a decision.

    Amounts in letters are in the shop's `currency`.
    """

    name: str = Field(min_length=1)
    """The shop's name, as customers know it."""
    address: tuple[str, ...] = Field(min_length=1)
    """The lines of its address."""
    contact: str | None = Field(default=None, min_length=1)
    """Where customers reach a person: an e-mail address, a phone number, or both."""
    font: str | None = Field(default=None, min_length=1)
    """A TrueType file (.ttf) for letters as PDF, by its path from the mapping's folder. Without it they are
    set in Times, which has the letters of Western European languages alone."""


@_with_optional_kinds
class Shop(_Strict):
    """One shop's mapping, as read from its YAML file.

    `archive` says that the log has ended and no day will follow: the age of the data then counts from their
    publication, not from the last day, and the schedule's runs of later days are skipped.
    """

    source: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """A short name of small letters, digits and _, which every row carries."""
    timezone: str
    """The shop's own, like Europe/London: it decides when a day ends."""
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    """Three letters, like GBP."""
    other_currencies: Literal["set_aside", "leave_out"] = "set_aside"
    """What becomes of orders in another currency than the shop's. `set_aside` counts their lines among those
    that are lost, so that gate 1 stops a day with many; `leave_out`, of exports, tells them as a notice."""
    orders: Orders | None = None
    groups: Groups | None = None
    """A file that says which groups people belong to."""
    closed: Closed | None = None
    """Days without trade. On any other day a missing file stops the run; without it, any day may lack one."""
    nobody: tuple[str, ...] = NOBODY
    """Words and numbers that stand for no customer, in any case: a line whose customer_id is one of them is a
    line without a customer. A list here replaces the default; an empty one makes each of them a customer.
    Which words a day has, on how many lines, is told where it is new or unusual."""
    invoices: Invoices = Invoices()
    """What becomes of invoice numbers that contradict themselves."""
    accepted: tuple[Accepted, ...] = ()
    """Days that a person has accepted although a gate stops them."""
    limits: Limits = Limits()
    """What the gates take for usual, where this shop differs."""
    letters: Letters | None = None
    """Who writes to customers; without it, letters have no sender."""
    archive: bool = False
    """Whether the log has ended, so that the age of the data counts from their publication."""
    mapping_file: str = ""

    timezone_is_known = field_validator("timezone")(_known_zone)

    @property
    def customer_ids(self) -> CustomerIds:
        """How customer ids are read, in files of every kind and wherever somebody asks for a customer."""
        section = self.sources[0]
        words = CustomerIds.words(self.nobody)
        phones = any(fallback.keep == "digits" for fallback in section.columns[CUSTOMER].else_from)
        return CustomerIds(section.id_cast(CUSTOMER), section.case_of(CUSTOMER), words, phones)

    @property
    def order_form(self) -> tuple[IdCast, Case]:
        """How the ids of orders are read: the cast and case of invoice numbers."""
        section = next((section for section in self.sources if INVOICE in section.columns), None)
        return (section.id_cast(INVOICE), section.case_of(INVOICE)) if section else ("text", CASES[INVOICE])

    @property
    def sources(self) -> tuple[Source, ...]:
        """The kinds of lines that this shop has, orders first."""
        sections: list[Source | None] = [getattr(self, kind.name) for kind in KINDS]
        return tuple(section for section in sections if section is not None)

    @property
    def takes_in_rows(self) -> bool:
        """Whether lines of any kind may lie in the file of a neighbour day."""
        return any(source.takes_in for source in self.sources)

    @model_validator(mode="after")
    def _groups_are_no_days_file(self) -> Shop:
        """Refuse a groups file that is also the file of a day: ingest would read the groups as lines."""
        for source in self.sources if self.groups else ():
            if self.groups and source.may_hold(self.groups.files.path):
                raise ValueError(
                    f"groups.files.path: {source.prefix}files.path matches it too; rename one of them"
                )
        return self

    @model_validator(mode="after")
    def _keys_of_orders_have_some(self) -> Shop:
        """Refuse what would do nothing here."""
        exported = [source for source in self.sources if not source.files.is_of_a_day]
        if self.other_currencies == "leave_out" and not any("currency" in one.columns for one in exported):
            raise ValueError("other_currencies: leave_out needs exports with columns.currency")
        for key in ("invoices", "closed"):
            if self.orders is None and key in self.model_fields_set:
                raise ValueError(f"{key}: the shop has no orders; leave it out")
        if self.orders and not self.orders.columns[CUSTOMER].optional:
            for name, key in (("invoices", "missing_customer"), ("limits", "share_without_customer")):
                if key in getattr(self, name).model_fields_set:
                    raise ValueError(
                        f"{name}.{key}: no line may lack its customer here; leave it out, or say optional: "
                        f"true at columns.{CUSTOMER}"
                    )
        return self

    @model_validator(mode="after")
    def _customers_have_one_normal_form(self) -> Shop:
        """Refuse sections that read the ids of customers differently: one customer would be two."""
        sections: list[Section | None] = [*self.sources, self.groups]
        first, *others = [section for section in sections if section is not None]
        for other in others:
            forms = [(part.columns[CUSTOMER].cast, part.case_of(CUSTOMER)) for part in (first, other)]
            if forms[0] != forms[1]:
                raise ValueError(
                    f"{other.prefix}columns.{CUSTOMER} and {first.prefix}columns.{CUSTOMER} differ in as or "
                    "case, so that one customer would be two; give both the same"
                )
        for other in self.sources[1:]:
            named = [
                (part.columns[CUSTOMER].source, part.columns[CUSTOMER].else_from) for part in (first, other)
            ]
            if other.files.path == self.sources[0].files.path and named[0] != named[1]:
                raise ValueError(
                    f"{other.prefix}columns.{CUSTOMER} and {first.prefix}columns.{CUSTOMER} read the same "
                    "files and differ in from or else_from, so that one customer would be two"
                )
        return self

    @model_validator(mode="after")
    def _warehouse_can_read_it(self) -> Shop:
        """DuckDB must accept the patterns and formats; its regular expressions have no look-ahead, for
        instance."""
        refusal = _refusal(
            (
                *(
                    (f"{source.prefix}{source.kinds_key}.{name}.matches", rule.matches)
                    for source in self.sources
                    for name, rule in source.kinds.items()
                ),
                *(
                    [("no_orders.matches", self.orders.no_orders.matches)]
                    if self.orders and self.orders.no_orders
                    else []
                ),
            ),
            tuple(
                (f"{source.prefix}columns.{name}.format", column.format)
                for source in self.sources
                for name, column in source.columns.items()
                if column.format
            ),
        )
        if refusal:
            raise ValueError(refusal)
        return self

    def trades_on(self, day: date) -> bool:
        """Whether a file of orders must exist for the day."""
        return self.closed is not None and day not in self.closed

    @model_validator(mode="after")
    def _each_line_is_of_one_day(self) -> Shop:
        """Refuse days that take lines in from their neighbours beside exports, which are cut into days."""
        if self.takes_in_rows and not all(source.files.is_of_a_day for source in self.sources):
            raise ValueError(
                "files.rows_of_other_days: take_in cannot stand beside exports, whose path has no {day}; "
                "let all sources be exports, each line of which counts on its own day"
            )
        return self

    def days_named(self, landing: Path) -> set[date]:
        """Every day that has a file of its own in the landing, of whatever kind."""
        return set[date]().union(*(source.days_named(landing) for source in self.sources))


def _day_pattern(path: str) -> str:
    """The path pattern as a regular expression whose groups y, m and d are the day."""
    text = re.escape(path.format(day=_Marker())).replace(r"\*", "[^/]*")
    for (part, marker), digits in zip(_PARTS.items(), (4, 2, 2), strict=True):
        group = part[1].lower()
        text = text.replace(marker, f"(?P<{group}>\\d{{{digits}}})", 1).replace(marker, f"(?P={group})")
    return f"^{text}$"


def _natural(path: PurePosixPath | Path) -> tuple[tuple[int, str], ...]:
    """A key that sorts names with numbers by their value, and a name before those that go on after it."""
    bare = re.sub(r"(\.[A-Za-z]+)?(\.gz)?$", "", path.as_posix())
    words = re.findall(r"[0-9]+|[^0-9]", bare)
    parts = [(int(word), "") if word.isascii() and word.isdigit() else (-1, word) for word in words]
    # 01 and 1, or a.csv and a.csv.gz, are told apart by the name itself
    return (*parts, (-2, path.as_posix()))


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
            with suppress(ValueError):  # 2011-02-30.csv is not the file of a day
                yield date(int(match["y"]), int(match["m"]), int(match["d"]))


@lru_cache(maxsize=8)
def _refusal(patterns: tuple[tuple[str, str], ...], formats: tuple[tuple[str, str], ...]) -> str | None:
    """Why DuckDB refuses the first bad one of pairs of a key and its value; None where all are good.

    The answer is cached, because opening DuckDB takes 20 ms.
    """
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
    content = as_written(text_of(path), path)
    if not isinstance(content, dict):
        raise WrongUse(f"{path}: must hold the keys source, timezone, currency, files and columns")
    for section, keys in content.items():
        # it is filled in here
        if section == "mapping_file" or (isinstance(keys, dict) and "mapping_file" in keys):
            within = "" if section == "mapping_file" else f"{section}."
            raise WrongUse(f"{path}: {within}mapping_file: there is no such key")
    if ORDERS.name in content:
        raise WrongUse(f"{path}: orders: there is no such key; files and columns of orders have no section")
    try:
        return Shop.model_validate(_by_section(content, path))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        # orders have no section of their own in the mapping
        key = ".".join(str(part) for part in first["loc"]).removeprefix("orders").removeprefix(".")
        plain = {"extra_forbidden": "there is no such key", "missing": "is missing"}
        reason = plain.get(first["type"], first["msg"].removeprefix("Value error, "))
        raise WrongUse(f"{path}: {key + ': ' if key else ''}{reason}") from None


def _by_section(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """The mapping with its orders as a section too; only a kind that stands alone does without orders."""
    mapping_file = path.name
    orders = {key: content[key] for key in ORDERS_KEYS if key in content}
    sections: dict[str, Any] = {key: value for key, value in content.items() if key not in ORDERS_KEYS}
    if orders or not any(kind.stands_alone and kind.name in sections for kind in OPTIONAL_KINDS):
        sections["orders"] = orders
    for name in (*(kind.name for kind in KINDS), Groups.name):
        if isinstance(sections.get(name), dict):
            sections[name] = {**sections[name], "mapping_file": mapping_file}
    letters = sections.get("letters")
    if isinstance(letters, dict) and isinstance(letters.get("font"), str):
        sections["letters"] = {**letters, "font": str(path.absolute().parent / letters["font"])}
    return {**sections, "mapping_file": mapping_file}
