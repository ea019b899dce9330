"""The ledger of days: which were ingested, which gates they passed, what the marts still have to compute.

A gate's verdict belongs to one version (content) of a day. So runs of several days may interleave task by
task, and two runs may load the same day at once: a verdict on other content never counts for the present one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import duckdb

from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem
from goodstanding.core.vocabulary import GATES, RAW_GATE, now_utc
from goodstanding.shops.kinds import KINDS

# Clocks of machines that keep time differ by seconds; a clock that is set anew is off by more.
CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True)
class OpenDay:
    """A day whose current content has not passed every gate."""

    day: date
    loaded_at: datetime
    run_id: str
    failed_gate: str | None
    message: str | None


def record_verdict(
    connection: duckdb.DuckDBPyConnection,
    gate: str,
    days: Iterable[date],
    run_id: str,
    passed: bool,
    message: str,
) -> None:
    """Keep the verdict of a gate on the content of `days` that it judged; gate 1 also admits or bars days.

    The gate of raw orders judges what was ingested; the later ones judge what the marts were built from. dbt
    reads only admitted days.

    Args:
        connection: from `open_warehouse`.
        gate: one of `goodstanding.core.vocabulary.GATES`.
        days: the days that it judged so.
        run_id: the run that asked.
        passed: the verdict.
        message: what failed, for people; where it passed, what it did not judge, or nothing.
    """
    judged_days = sorted(days)
    judged = "version" if gate == RAW_GATE else "transformed_version"
    now = now_utc()
    connection.execute("begin")
    connection.execute(
        f"""
        insert or replace into intake.ops.verdicts
        select event_day, {judged}, ?, ?, ?, ?, ? from intake.raw.days
        where event_day in (select unnest(cast(? as date[]))) and {judged} is not null
        """,
        [gate, passed, message, now, run_id, judged_days],
    )
    if gate == RAW_GATE:
        connection.execute(
            """
            update intake.raw.days set admitted = ?
            where event_day in (select unnest(cast(? as date[]))) and admitted <> ?
            """,
            [passed, judged_days, passed],
        )
    connection.execute("commit")


def open_days(connection: duckdb.DuckDBPyConnection) -> list[OpenDay]:
    """The days, oldest first, that keep the marts from being published."""
    rows = connection.execute(
        """
        with
        passed as (
            select verdicts.event_day, count(*) as gates
            from intake.ops.verdicts as verdicts
            join intake.raw.days as days
                on verdicts.event_day = days.event_day and verdicts.version = days.version
            where verdicts.passed
            group by verdicts.event_day
        ),
        failed as (
            select verdicts.event_day, min_by(gate, judged_at) as gate, min_by(message, judged_at) as message
            from intake.ops.verdicts as verdicts
            join intake.raw.days as days
                on verdicts.event_day = days.event_day and verdicts.version = days.version
            where not verdicts.passed
            group by verdicts.event_day
        )
        select days.event_day, days.loaded_at, days.run_id, failed.gate, failed.message
        from intake.raw.days as days
        left join passed using (event_day)
        left join failed using (event_day)
        where
            not days.admitted
            or days.transformed_version is distinct from days.version
            or coalesce(passed.gates, 0) < ?
        order by days.event_day
        """,
        [len(GATES)],
    ).fetchall()
    return [OpenDay(*row) for row in rows]


def days_to_judge(connection: duckdb.DuckDBPyConnection, gate: str, days: Days, run_id: str) -> Days:
    """The days of a run, as one range with those that its ingest read again and that wait for the gate: days
    beside them that take lines in from its files, and days that exports state otherwise.

    A day whose content is again as it was when it passed waits for gate 1 all the same, which admits it.
    """
    read_again = connection.execute(
        """
        select event_day from intake.raw.days
        where run_id = $run_id and (
            ($gate = $raw_gate and not admitted)
            or not exists (
                from intake.ops.verdicts as verdicts
                where
                    verdicts.event_day = days.event_day and verdicts.version = days.version
                    and verdicts.gate = $gate and verdicts.passed
            )
        )
        """,
        {"run_id": run_id, "gate": gate, "raw_gate": RAW_GATE},
    ).fetchall()
    to_judge = {day for (day,) in read_again}
    return Days(min(days.first, *to_judge), max(days.last, *to_judge)) if to_judge else days


def gate_results(connection: duckdb.DuckDBPyConnection, day: date) -> dict[str, bool]:
    """Whether each gate passed the current content of a day, in the order of GATES; a gate that has not
    judged it is left out."""
    rows = connection.execute(
        """
        select gate, passed from intake.ops.verdicts as verdicts
        join intake.raw.days as days
            on verdicts.event_day = days.event_day and verdicts.version = days.version
        where days.event_day = ?
        """,
        [day],
    ).fetchall()
    verdicts = dict(rows)
    return {gate: verdicts[gate] for gate in GATES if gate in verdicts}


def gate_notes(connection: duckdb.DuckDBPyConnection, day: date) -> dict[str, str]:
    """What each gate that passed the current content of a day did not judge, or has taken as accepted."""
    rows = connection.execute(
        """
        select gate, message from intake.ops.verdicts as verdicts
        join intake.raw.days as days
            on verdicts.event_day = days.event_day and verdicts.version = days.version
        where days.event_day = ? and verdicts.passed and message <> ''
        """,
        [day],
    ).fetchall()
    said = dict(rows)
    return {gate: said[gate] for gate in GATES if gate in said}


def has_lines(connection: duckdb.DuckDBPyConnection, days: Iterable[date]) -> bool:
    """Whether a line of one of these days was accepted."""
    row = connection.execute(
        """
        select exists (
            from intake.raw.days where accepted > 0 and event_day in (select unnest(cast(? as date[])))
        )
        """,
        [sorted(days)],
    ).fetchone()
    return row is not None and bool(row[0])


def newest_day(connection: duckdb.DuckDBPyConnection) -> date | None:
    """The newest day that the marts hold, or None while they hold none."""
    row = connection.execute(
        "select max(event_day) from intake.raw.days where admitted and transformed_version = version"
    ).fetchone()
    return row[0] if row else None


def required_newest_day(connection: duckdb.DuckDBPyConnection) -> date:
    """The newest day that the marts hold.

    Raises:
        DataProblem: they hold none yet.
    """
    day = newest_day(connection)
    if day is None:
        raise DataProblem("the marts hold no day yet; run the steps ingest, check_raw and transform first")
    return day


def moment_known(connection: duckdb.DuckDBPyConnection, now: datetime) -> tuple[datetime, str | None]:
    """The time (UTC) from which what is ingested now is known: later than that of all earlier ingests.

    It is `now`, unless the clock has gone back since; then it is the next moment after the newest known one,
    so that no version ends before it began. The run goes on: which of the two times is wrong cannot be seen
    from here, and a home that has once had a clock of the future would else be closed until then.

    Args:
        connection: from `open_intake`.
        now: what the clock shows, in UTC without a zone.

    Returns:
        The moment, and what is to be said of the clock if it is behind by more than `CLOCK_TOLERANCE`.
    """
    row = connection.execute(
        """
        select max(greatest(known_from, coalesce(known_until, known_from)))
        from (
            select known_from, known_until from raw.day_versions
            union all select known_from, known_until from raw.file_versions
        )
        """
    ).fetchone()
    newest = row[0] if row else None
    if newest is None or now > newest:
        return now, None
    known = newest + timedelta(microseconds=1)
    if newest - now <= CLOCK_TOLERANCE:
        return known, None
    return known, (
        f"the clock has gone back: it shows {now:%Y-%m-%d %H:%M:%S} UTC, and an earlier run was at "
        f"{newest:%Y-%m-%d %H:%M:%S} UTC; what is ingested now counts as known right after that. "
        "If the clock is wrong now, set it"
    )


def days_known(connection: duckdb.DuckDBPyConnection, before: datetime) -> dict[date, bool]:
    """The days known before a time (UTC), oldest first, and whether that content passed the first gate."""
    rows = connection.execute(
        """
        select versions.event_day, coalesce(verdicts.passed, false)
        from raw.day_versions as versions
        left join ops.verdicts as verdicts
            on verdicts.event_day = versions.event_day and verdicts.version = versions.version
                and verdicts.gate = $gate
        where known_from < $before and (known_until is null or known_until >= $before)
        order by versions.event_day
        """,
        {"gate": RAW_GATE, "before": before},
    ).fetchall()
    return dict(rows)


def note_everything(connection: duckdb.DuckDBPyConnection) -> None:
    """Note every day as changed, for a transform that recomputes everything."""
    connection.execute("insert into raw.changes by name select event_day, 'day' as kind from raw.days")


def note_whole_days(connection: duckdb.DuckDBPyConnection) -> None:
    """Note every line of the days that the next transform adds to the marts or removes from them.

    A day is removed if the marts hold it and it is not admitted: it was barred, or it was ingested again and
    its gate has not judged it yet. Ingest noted only the lines that differ, but every customer of that day
    has to be computed without it.
    """
    changed_lines = " union all by name ".join(
        f"""
        select distinct {kind.change}
        from intake.raw.{kind.table}
        where customer_id is not null and event_day in (select event_day from whole_days)
        """
        for kind in KINDS
    )
    connection.execute(
        f"""
        insert into intake.raw.changes by name
        with
        whole_days as (
            select event_day from intake.raw.days where admitted = (transformed_version is null)
        )
        {changed_lines}
        union all by name
        select event_day, 'day' as kind from whole_days
        """
    )


def settle_changes(connection: duckdb.DuckDBPyConnection) -> None:
    """Delete the changes that a transform has just computed; those of a barred day wait until it is
    admitted."""
    connection.execute(
        """
        delete from raw.changes where event_day in (select event_day from raw.days where admitted);
        update raw.days set transformed_version = case when admitted then version end
        where transformed_version is distinct from case when admitted then version end
        """
    )
