"""Notices: what was noticed about the lines of a day and stopped nothing, so that no trouble stays silent.

Ingest gives the notices of a part to `replace_notices`, inside its transaction: like the partitions of the
part they replace what was held of its days, so a day that is loaded again says the same. A reader of a file
appends them to its `File.notices`; SQL that works on what is staged inserts into `staged_notices`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from datetime import date
from typing import TypedDict

import duckdb

from goodstanding.core.days import Days

NOBODY = "nobody"
# Every topic, and what a notice of it says. One entry per kind of trouble; the message has the particulars.
TOPICS: Mapping[str, str] = {
    "same_bytes": "a file with the bytes of another file of the day was not read",
    "missing_customer": "lines lack the customer whom the other lines of their invoice name",
    "two_customers": "an invoice number has several customers on one day",
    NOBODY: "lines name a customer by a word that stands for nobody",
    "number_again": "an invoice number comes again on another day",
    "two_currencies": "lines of an invoice are in another currency than its other lines",
    "restated": "orders of an export that a later export states otherwise",
    "no_order": "orders that are none by their status",
    "other_currency": "orders and returns in another currency than the shop's are left out",
    "nobodys_return": "returns of orders without a customer are left out",
    "undated": "returns of which the file tells no day",
    "withdrawn": "orders of an export that a later export does not have",
    "equal_lines": "two files of a day have equal lines",
}
# of lines that a mapping leaves out
LEFT_OUT = frozenset({"no_order", "other_currency", "nobodys_return"})
# A notice of these compares a day with what was held of other days when it was loaded. Runs and status tell
# it; a publication, which is the same after any order of runs, does not hold it.
OF_OTHER_DAYS = frozenset({"number_again"})
# the columns of raw.notices besides the source, as `staged_notices` has them
COLUMNS = "event_day date, file_name varchar, topic varchar, lines bigint, example varchar, message varchar"


@dataclass(frozen=True)
class Notice:
    """What was noticed about some lines of one file.

    Notices with the same topic and message are shown as one, with their lines added up. So a message says
    what was noticed and what was done about it, and neither counts nor names of files; no customer either.

    Attributes:
        event_day: the day of the file.
        file_name: its path within the landing.
        topic: one of TOPICS.
        lines: how many lines of the file it is about.
        example: where one of them is, like 2011-12-01.csv:7, or the file's name where it is about all.
        message: a sentence for people.

    Raises:
        ValueError: there is no such topic.
    """

    event_day: date
    file_name: str
    topic: str
    lines: int
    example: str
    message: str

    def __post_init__(self) -> None:
        if self.topic not in TOPICS:
            raise ValueError(f"there is no topic '{self.topic}'; the topics are {', '.join(TOPICS)}")


class NoticeGroup(TypedDict):
    """Notices of one topic with one message, taken together.

    Attributes:
        lines: of all of them. days: on how many event days. last_day: the newest of these. example: a place
            on that day, like 2011-12-01.csv:7.
    """

    topic: str
    message: str
    lines: int
    days: int
    last_day: date
    example: str


def stage_notices(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the empty table `staged_notices` for the notices of one part."""
    connection.execute(f"create or replace temp table staged_notices ({COLUMNS})")


def notice(connection: duckdb.DuckDBPyConnection, notices: Iterable[Notice]) -> None:
    """Add notices to those of the part that is being loaded."""
    rows = [list(astuple(one)) for one in notices]
    if rows:
        marks = ", ".join("?" for _ in fields(Notice))
        connection.executemany(f"insert into staged_notices values ({marks})", rows)


def replace_notices(connection: duckdb.DuckDBPyConnection, source: str, days: Days) -> None:
    """Replace the notices of some days by the staged ones."""
    connection.execute(
        "delete from raw.notices where source = ? and event_day between ? and ?",
        [source, days.first, days.last],
    )
    connection.execute(
        """
        insert into raw.notices by name
        select ? as source, * from staged_notices
        where event_day between ? and ?
        order by event_day, file_name, topic, message
        """,
        [source, days.first, days.last],
    )


def notice_groups(connection: duckdb.DuckDBPyConnection, table: str) -> list[NoticeGroup]:
    """The notices in a table with the columns of raw.notices, taken together by topic and message: those of
    the newest day first.

    A word of nobody is told of the days on which it is new, or on three times as many lines as on the median
    of the 28 days before that have it: a shop with guests has some every day.
    """
    cursor = connection.execute(
        f"""
        with words as (
            select
                event_day, message,
                coalesce(sum(lines) > 3 * median(sum(lines)) over before, true) as is_unusual
            from {table}
            where topic = '{NOBODY}'
            group by event_day, message
            window before as (
                partition by message order by event_day rows between 28 preceding and 1 preceding
            )
        )
        select
            topic, message, sum(lines)::bigint as lines, count(distinct event_day) as days,
            max(event_day) as last_day, min_by(example, (-epoch(event_day), example)) as example
        from {table} left join words using (event_day, message)
        where topic <> '{NOBODY}' or is_unusual
        group by topic, message order by last_day desc, lines desc, topic, message
        """
    )
    names = [column[0] for column in cursor.description or []]
    return [
        NoticeGroup(**dict(zip(names, row, strict=True)))  # type: ignore[typeddict-item]
        for row in cursor.fetchall()
    ]
