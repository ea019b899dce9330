"""Loads the last publication into memory, so that a customer's standing is found quickly by pseudonym.

Measured with a million customers: a look-up in the published file scans for 32 ms, one by row number takes
1.3 ms, one in sorted arrays 0.02 ms. So what decisions use is loaded (32 bytes and some twenty numbers per
customer); profiles, which are wide and rarely asked for, are read from the file by row number. A new
publication is loaded beside the old one, which answers until the new one is ready.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from goodstanding.core.errors import DataProblem, GoodstandingError
from goodstanding.core.sql import literal
from goodstanding.core.vocabulary import CLASSES
from goodstanding.decisions.decide import Standing
from goodstanding.decisions.facts import facts_of, in_stated_direction
from goodstanding.decisions.instalments import CENT
from goodstanding.decisions.order import is_of_order
from goodstanding.decisions.policy import (
    BASKET,
    COLUMNS,
    DECISIONS,
    EMI,
    FIRST_TIME_BUYER,
    UNKNOWN_CUSTOMER,
    Policy,
    in_effect,
    parse_policies,
    require_unprotected,
)
from goodstanding.decisions.reasons import MEASURES, Borders, Measures, MonthEnd
from goodstanding.decisions.scorecard import Number, Scorecard

log = logging.getLogger(__name__)

# Inode, time of change in nanoseconds, and size of a file.
Stamp = tuple[int, int, int]
# A profile: the columns of `marts.customer_profiles` by name.
Cell = str | int | float | bool | Decimal | date | datetime | None
Profile = dict[str, Cell]
# Rows that are loaded at once.
BATCH = 10_000
# A pseudonym: 32 hexadecimal digits.
KEY = "S32"
OUTSTANDING, INSTALMENTS = "outstanding", "instalments"
PAYMENTS = "payment_behaviour"
NO_PAYMENTS = "(select null::varchar as customer_id, null::date as as_of, 0 as instalments)"
# Once it is loaded only single profiles are read, so memory is given back. With 64 MB profiles waited, as
# blocks that had just been read were dropped.
MEMORY_TO_LOAD, MEMORY_LOADED = "1GB", "256MB"
# What reading a file that cannot be used may raise.
READ_ERRORS = (GoodstandingError, duckdb.Error, KeyError, TypeError, ValueError)
# What is loaded of a customer besides the characteristics: the name in `Published.columns`, and its source.
STANDING = {
    "class": "profiles.class",
    **{f"now_{measure}": f"profiles.{measure}" for measure in MEASURES},
    "before_class": "before.class",
    **{f"before_{measure}": f"before.{measure}" for measure in MEASURES},
    "scored": "profiles.credit_score",
    "row_number": "profiles.row_number",
}


@dataclass(frozen=True)
class Published:
    """One publication, with everything that answers rest on.

    Attributes:
        stamp: of its file.
        as_of: the last day that the data cover.
        published_at: in UTC.
        simulated: whether the orders are made up.
        policies: all versions of the policy.
        cards: the fitted scorecards that can be used, by decision.
        notes: what is to be said of the scorecard of a decision, by decision.
        benefits: what customers of a class get, by class.
        before_day: the end of last month; None where nothing is published as of it.
        borders: the borders between the classes on that day.
        characteristics: the names of what any scorecard asks for of a customer, and of the plain facts.
        of_order: likewise, of the order that is asked about; the basket left out.
        keys: the pseudonyms, sorted, of shape (customers,).
        columns: by name, of the same shape; NaN where a value is missing, a class as its place in
            `vocabulary.CLASSES`.
        knows_payments: whether anybody is known to have an instalment.
        file: the open file, for profiles.
    """

    stamp: Stamp
    as_of: date
    published_at: datetime
    simulated: bool
    policies: tuple[Policy, ...]
    cards: dict[str, Scorecard]
    notes: dict[str, str]
    benefits: dict[str, str]
    before_day: date | None
    borders: Borders | None
    characteristics: tuple[str, ...]
    of_order: tuple[str, ...]
    keys: NDArray[np.bytes_]
    columns: dict[str, NDArray[np.float64]]
    knows_payments: bool
    file: duckdb.DuckDBPyConnection = field(repr=False)

    def age_days(self, today: date, is_archive: bool) -> int:
        """Days since `as_of`; for a log that has ended and for a simulated shop, since it was published."""
        return max(0, (today - self.data_day(is_archive)).days)

    def data_day(self, is_archive: bool) -> date:
        """`as_of`; for a log that has ended and for a simulated shop, the day on which it was published."""
        return self.published_at.date() if is_archive or self.simulated else self.as_of

    def policy(self, today: date, mode: str = "live") -> Policy | None:
        """The policy of a mode that is in effect."""
        return in_effect(self.policies, today, mode)

    def find(self, pseudonym: str) -> int | None:
        """The place of a customer in `keys` and `columns`, or None."""
        key = pseudonym.encode()
        place = int(np.searchsorted(self.keys, key))
        return place if place < len(self.keys) and self.keys[place] == key else None

    def standing(self, pseudonym: str | None, method: str, age_days: int) -> Standing:
        """The standing of a customer; without a pseudonym, that of a first-time buyer."""
        place = None if pseudonym is None else self.find(pseudonym)
        row = {} if place is None else {name: _plain(values[place]) for name, values in self.columns.items()}
        # How instalments are paid can be scored without an order; characteristics of orders are missing then.
        pays_instalments = method == EMI and (row.get(INSTALMENTS) or 0) > 0
        if place is None and pseudonym:
            situation = UNKNOWN_CUSTOMER
        elif row.get("scored") is None and not pays_instalments:
            situation = FIRST_TIME_BUYER
        else:
            situation = None
        class_ = _class(row.get("class"))
        before = self._before(row) if situation is None else None
        return Standing(
            situation=situation,
            as_of=self.as_of.isoformat(),
            age_days=age_days,
            customer_class=class_,
            benefits=class_ and self.benefits.get(class_),
            values={} if situation else {name: row[name] for name in self.characteristics},
            measures=Measures()
            if situation
            else Measures(
                recency=row["now_recency"], frequency=row["now_frequency"], monetary=row["now_monetary"]
            ),
            before=before,
            borders=self.borders if before and before["class"] != class_ else None,
            outstanding=Decimal(0) if situation else _owed(row),
            simulated=self.simulated,
            note=self.notes.get(method),
            is_stranger=situation is not None,
            knows_payments=self.knows_payments,
        )

    def _before(self, row: dict[str, Number]) -> MonthEnd | None:
        """Class and measures at the end of last month, of a customer who had a class then."""
        class_ = _class(row["before_class"])
        if class_ is None or not self.before_day:
            return None
        return {
            "class": class_,
            "as_of": self.before_day.isoformat(),
            "recency": row["before_recency"],
            "frequency": row["before_frequency"],
            "monetary": row["before_monetary"],
        }

    def profile(self, pseudonym: str) -> Profile | None:
        """The row of `marts.customer_profiles` of a customer, or None."""
        place = self.find(pseudonym)
        if place is None or np.isnan(self.columns["row_number"][place]):
            return None
        cursor = self.file.cursor()
        number = int(self.columns["row_number"][place])
        cursor.execute("select * from published.marts.customer_profiles where rowid = ?", [number])
        names = [column[0] for column in cursor.description or []]
        rows = cursor.fetchall()
        return dict(zip(names, rows[0], strict=True)) if rows else None


def _class(place: Number) -> str | None:
    return None if place is None else CLASSES[int(place)]


def _plain(value: np.float64) -> Number:
    number = float(value)
    if number != number:
        return None
    return int(number) if number.is_integer() else number


def _owed(row: Mapping[str, Number]) -> Decimal | None:
    """What a customer owes, in whole cents: nothing without an instalment, None where it is not known."""
    owed = row.get(OUTSTANDING)
    if owed is None and (row.get(INSTALMENTS) or 0) > 0:
        return None
    return Decimal(str(owed or 0)).quantize(CENT, ROUND_UP)


def stamp_of(path: Path) -> Stamp | None:
    """A stamp that changes when the file is replaced; None where there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def read_published(path: Path, only: str | None = None, cards: Sequence[Scorecard] = ()) -> Published | None:
    """Load a publication; None where there is none.

    Args:
        path: its file.
        only: the pseudonym of the one customer to load; None: all customers.
        cards: scorecards whose characteristics are loaded besides those of the publication's own.

    Raises:
        DataProblem: it was published by a version that had no policy.
        WrongUse: its policy or a scorecard cannot be used.
    """
    stamp = stamp_of(path)
    if stamp is None:
        return None
    # an instance of its own: DuckDB would return the file that it has open under this name, not the new one
    file = duckdb.connect(config={"threads": 1, "memory_limit": MEMORY_TO_LOAD})
    try:
        file.execute(f"attach {literal(path)} as published (read_only)")
        return _read(file, stamp, path, only, cards)
    except BaseException:
        file.close()
        raise


def loaded_again(published: Published, cards: Sequence[Scorecard]) -> Published:
    """A publication from its open file once more, with what other scorecards ask for as well."""
    published.file.execute(f"set memory_limit = '{MEMORY_TO_LOAD}'")
    again = _read(published.file.cursor(), published.stamp, Path("the publication"), None, cards)
    published.file.execute(f"set memory_limit = '{MEMORY_LOADED}'")
    return replace(again, file=published.file)


def require(published: Published | None) -> Published:
    """A publication that must be there.

    Raises:
        DataProblem: there is none.
    """
    if published is None:
        raise DataProblem("nothing is published yet; run `goodstanding run` first")
    return published


def _read(
    file: duckdb.DuckDBPyConnection, stamp: Stamp, path: Path, only: str | None, others: Sequence[Scorecard]
) -> Published:
    tables = relations(file)
    missing = {"marts.policy", "marts.master_data"} - tables
    if missing:
        raise DataProblem(
            f"{path} has no {' and no '.join(sorted(missing))}: an older version of goodstanding published "
            "it; run a day again"
        )
    publication = "select as_of, published_at, simulated from published.marts.publication"
    ((as_of, published_at, simulated),) = file.execute(publication).fetchall()
    policies = _policies(file)
    known = _columns(file, "master_data")
    cards, notes = _cards(file, known) if "predictions.scorecards" in tables else ({}, {})
    used = {*others, *cards.values(), *(rules.card for policy in policies for rules in policy.rules.values())}
    names = {name for card in used for name in card.names} - {BASKET}
    # with the plain facts that reasons tell of them
    characteristics = tuple(sorted((names | facts_of(names)) & known))
    # a shop without data on payments has neither column: nobody is known to owe or to have paid anything
    owed = {OUTSTANDING, INSTALMENTS} & known
    before_day = _one(
        file,
        "select max(as_of) from published.marts.class_borders "
        f"where as_of = last_day(as_of) and as_of < '{as_of}'",
    )
    keys, columns = _customers(file, as_of, before_day, sorted({*characteristics, *owed}), only)
    benefits = file.execute(
        "select class, any_value(benefits) from published.marts.customer_profiles group by class"
    ).fetchall()
    return Published(
        stamp=stamp,
        as_of=as_of,
        published_at=published_at,
        simulated=bool(simulated),
        policies=policies,
        cards=cards,
        notes=notes,
        benefits=dict(benefits),
        before_day=before_day,
        borders=_borders(file, before_day) if before_day else None,
        characteristics=characteristics,
        of_order=tuple(sorted(filter(is_of_order, names))),
        keys=keys,
        columns=columns,
        knows_payments=_knows_payments(file),
        file=file,
    )


def relations(file: duckdb.DuckDBPyConnection) -> set[str]:
    """The tables and views of a publication, like marts.policy."""
    rows = file.execute(
        "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'published' "
        "union all "
        "select schema_name || '.' || view_name from duckdb_views() where database_name = 'published'"
    ).fetchall()
    return {name for (name,) in rows}


def _knows_payments(file: duckdb.DuckDBPyConnection) -> bool:
    """Whether the shop's files tell of any instalment."""
    if not _columns(file, PAYMENTS):
        return False
    found = file.execute(f"select 1 from published.marts.{PAYMENTS} where instalments > 0 limit 1").fetchall()
    return bool(found)


def _columns(file: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    """The columns of a mart; an empty set where there is no such mart."""
    rows = file.execute(
        "select column_name from duckdb_columns() where database_name = 'published' "
        "and schema_name = 'marts' and table_name = ?",
        [table],
    ).fetchall()
    return {name for (name,) in rows}


def _one(file: duckdb.DuckDBPyConnection, sql: str) -> Any:
    # all rows are read: DuckDB refuses other work while a result is left unread
    rows = file.execute(sql).fetchall()
    return rows[0][0] if rows else None


def _policies(file: duckdb.DuckDBPyConnection) -> tuple[Policy, ...]:
    listed = ", ".join(f"coalesce(cast({name} as varchar), '')" for name in COLUMNS)
    rows = file.execute(f"select {listed} from published.marts.policy order by all").fetchall()
    return parse_policies(("marts.policy", dict(zip(COLUMNS, row, strict=True))) for row in rows)


def _cards(file: duckdb.DuckDBPyConnection, known: set[str]) -> tuple[dict[str, Scorecard], dict[str, str]]:
    """The fitted scorecards that can be used, and the note on each decision's, by decision."""
    cards, notes = {}, {}
    rows = file.execute("select decision, cast(card as varchar), note from published.predictions.scorecards")
    for decision, text, note in rows.fetchall():
        if decision not in DECISIONS:
            continue
        if note:
            notes[decision] = note
        if text is None:
            continue
        card = in_stated_direction(Scorecard.from_json(json.loads(text)))
        require_unprotected(card, f"scorecard {card.model_id}")
        unknown = [name for name in card.names if name not in {*known, BASKET} and not is_of_order(name)]
        if unknown:
            notes[decision] = f"The fitted scorecard is not used: {unknown[0]} is not published any more."
        else:
            cards[decision] = card
    return cards, notes


def _borders(file: duckdb.DuckDBPyConnection, day: date) -> dict[str, list[float]]:
    rows = file.execute(
        """
        select measure, q25, q50, q75 from published.marts.rfm_borders where as_of = $day
        union all
        select 'credit_score', q25, q50, q75 from published.marts.class_borders where as_of = $day
        """,
        {"day": day},
    ).fetchall()
    return {measure: list(quantiles) for measure, *quantiles in rows}


def _customers(
    file: duckdb.DuckDBPyConnection,
    as_of: date,
    before_day: date | None,
    characteristics: Sequence[str],
    only: str | None,
) -> tuple[NDArray[np.bytes_], dict[str, NDArray[np.float64]]]:
    # who pays instalments without an order is known from payments alone: no profile, no row of master_data
    paid = _columns(file, PAYMENTS)
    paying = f"published.marts.{PAYMENTS}" if paid else NO_PAYMENTS
    selected = STANDING | {
        name: f'coalesce(master_data."{name}", payments."{name}")'
        if name in paid
        else f'master_data."{name}"'
        for name in characteristics
    }
    places = " ".join(f"when '{name}' then {place}" for place, name in enumerate(CLASSES))
    listed = ", ".join(
        f"coalesce(cast({f'case {source} {places} end' if source.endswith('.class') else source} as double), "
        f"'nan') as \"{name}\""
        for name, source in selected.items()
    )
    one = "and customer_id = $only" if only is not None else ""
    result = file.sql(
        f"""
        with profiles as (
            select *, rowid as row_number from published.marts.customer_profiles where true {one}
        ),
        payments as (
            select * from {paying} where as_of = $as_of and instalments > 0 {one}
        )
        select coalesce(profiles.customer_id, payments.customer_id) as customer_id, {listed}
        from profiles
        full join payments
            on profiles.customer_id = payments.customer_id
        left join published.marts.master_data as master_data
            on
                coalesce(profiles.customer_id, payments.customer_id) = master_data.customer_id
                and master_data.as_of = $as_of
        left join published.marts.customer_classes as before
            on
                coalesce(profiles.customer_id, payments.customer_id) = before.customer_id
                and before.as_of = $before_day
        order by 1
        """,
        params={"as_of": as_of, "before_day": before_day, **({"only": only} if only is not None else {})},
    )
    # The arrays have room for all rows that there can be, and are filled batch by batch without an object for
    # any value: whatever holds the interpreter's lock makes answers from the old publication wait, and
    # joining the batches at the end did so for hundreds of milliseconds.
    counted = (
        f"select (select count(*) from published.marts.customer_profiles) + (select count(*) from {paying})"
    )
    most = 1 if only is not None else _one(file, counted)
    keys: NDArray[np.bytes_] = np.empty(most, KEY)
    columns = {name: np.empty(most) for name in selected}
    count = 0
    for batch in result.to_arrow_reader(BATCH):
        place = slice(count, count := count + batch.num_rows)
        ids, *values = batch.columns
        keys[place] = np.frombuffer(ids.cast(pa.binary(32)).buffers()[1], KEY)
        for array, column in zip(columns.values(), values, strict=True):
            array[place] = column.to_numpy()
    return keys[:count], {name: array[:count] for name, array in columns.items()}


class Watch:
    """The newest publication; a new file is loaded in the background, and the old one answers until then."""

    def __init__(
        self,
        path: Path,
        read: Callable[..., Published | None] = read_published,
        cards: Callable[[], Sequence[Scorecard]] = tuple,
    ) -> None:
        """Watch a file.

        Args:
            path: of the publication.
            read: loads it.
            cards: gives scorecards whose characteristics are loaded besides those of the publication's own.
        """
        self._path, self._read, self._cards = path, read, cards
        self._lock = threading.Lock()
        self._tried: Stamp | None = None
        self._asked: Sequence[Scorecard] = ()
        self._current: Published | None = None
        self.problem: str | None = None

    def load(self) -> None:
        """Load the file that is there now, and wait for it. Why it cannot be used is kept in `problem`."""
        with self._lock:
            stamp, cards = stamp_of(self._path), self._cards()
            if stamp is None or (stamp == self._tried and self._asked == cards):
                return
            self._tried = stamp
            try:
                self._current = self._newest(cards)
                log.info("answers rest on the publication as of %s", self._current and self._current.as_of)
            except READ_ERRORS as error:
                self.problem = str(error).splitlines()[0]
                log.error("the publication cannot be used, so the last one stays: %s", self.problem)
                if self._current and self._asked != cards:
                    self._current = loaded_again(self._current, cards)
            finally:
                # last: until then others who need what these ask for wait for it
                self._asked = cards

    def _newest(self, cards: Sequence[Scorecard]) -> Published | None:
        published = self._read(self._path, cards=cards)
        if published:
            published.file.execute(f"set memory_limit = '{MEMORY_LOADED}'")
        # the publication after it: a reader that sees it must not see an old problem
        self.problem = None
        return published

    @property
    def current(self) -> Published | None:
        """The newest publication that is loaded, or None. Each look costs a `stat` of the file."""
        stamp = stamp_of(self._path)
        if stamp is not None and self._asked != self._cards():
            # a version that was just approved scores what is not loaded yet
            self.load()
        elif stamp is not None and stamp != self._tried and not self._lock.locked():
            threading.Thread(target=self.load, daemon=True).start()
        return self._current
