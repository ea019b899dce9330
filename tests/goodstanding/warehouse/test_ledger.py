"""The ledger: a gate's verdict belongs to a version of a day, and open days hold back the marts."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from goodstanding.core.days import Days
from goodstanding.core.settings import Settings
from goodstanding.warehouse.files import open_intake, open_warehouse
from goodstanding.warehouse.ledger import (
    GATES,
    RAW_GATE,
    OpenDay,
    gate_results,
    newest_day,
    note_everything,
    note_whole_days,
    open_days,
    record_verdict,
    settle_changes,
)

DAY = date(2011, 1, 4)
NEXT = DAY + timedelta(days=1)
LOADED = datetime(2011, 1, 6, 1)


class Ledger:
    """A warehouse in which a test writes what ingest writes, and runs the steps that keep the ledger."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def take_in(self, day: date, version: str, *customers: str) -> None:
        """Write what an ingest of a day writes: its version, its lines, and the changed customers."""
        with open_intake(self.settings) as connection:
            connection.execute(
                """
                insert into raw.days values ('shop', ?, ?, null, false, 1, 1, 1, 0, false, ?, 'a run')
                on conflict do update set version = excluded.version, admitted = false
                """,
                [day, version, LOADED],
            )
            connection.execute("delete from raw.order_lines where event_day = ?", [day])
            for customer in customers:
                connection.execute(
                    """
                    insert into raw.order_lines by name select
                        'shop' as source, ? as event_day, 'f' as file_name, 'h' as file_hash,
                        2 as line_number, '1' as invoice_no, 'sale' as invoice_kind, 'X' as stock_code,
                        true as is_product,
                        1 as quantity, timestamp '2011-01-04' as ordered_at, 1 as unit_price, 1 as amount,
                        ? as customer_id
                    """,
                    [day, customer],
                )
                connection.execute(
                    "insert into raw.changes values (?, ?, 'X', '1', 'sale', 'order_line')", [day, customer]
                )
            connection.execute("insert into raw.changes by name select ? as event_day, 'day' as kind", [day])

    def judge(self, gate: str, first: date, last: date | None = None, passed: bool = True) -> None:
        message = "" if passed else f"{gate} refuses"
        with open_warehouse(self.settings) as connection:
            record_verdict(connection, gate, Days(first, last or first), "a run", passed, message)

    def transform(self) -> None:
        """Write what a transform with a successful build writes."""
        with open_warehouse(self.settings) as connection:
            note_whole_days(connection)
        with open_intake(self.settings) as connection:
            settle_changes(connection)

    def go_through(self, day: date) -> None:
        """Run all steps after the ingest."""
        self.judge(RAW_GATE, day)
        self.transform()
        for gate in GATES[1:]:
            self.judge(gate, day)

    def changes(self) -> set[tuple[date, str | None]]:
        with open_intake(self.settings) as connection:
            rows = connection.execute("select * from raw.changes").fetchall()
        for _, *keys, kind in rows:
            assert kind == ("day" if set(keys) == {None} else "order_line") and (
                kind == "day" or None not in keys
            )
        return {(day, customer) for day, customer, *_ in rows}

    def open(self) -> list[OpenDay]:
        with open_warehouse(self.settings) as connection:
            return open_days(connection)

    def results(self, day: date) -> dict[str, bool]:
        with open_warehouse(self.settings) as connection:
            return gate_results(connection, day)

    def newest(self) -> date | None:
        with open_warehouse(self.settings) as connection:
            return newest_day(connection)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Settings(home=tmp_path, _env_file=None))


def test_a_day_that_passed_every_gate_is_not_open_and_is_the_newest(ledger: Ledger) -> None:
    assert ledger.newest() is None
    ledger.take_in(DAY, "v1", "a")
    ledger.go_through(DAY)
    assert ledger.open() == []
    assert ledger.newest() == DAY
    assert ledger.results(DAY) == dict.fromkeys(GATES, True)


def test_a_day_stays_open_until_the_last_of_its_gates(ledger: Ledger) -> None:
    ledger.take_in(DAY, "v1", "a")
    in_flight = [OpenDay(DAY, LOADED, "a run", None, None)]
    assert ledger.open() == in_flight
    ledger.judge(RAW_GATE, DAY)
    assert ledger.open() == in_flight
    ledger.transform()
    for gate in GATES[1:]:
        assert ledger.open() == in_flight
        ledger.judge(gate, DAY)
    assert ledger.open() == []


def test_a_new_version_of_a_day_does_not_inherit_the_old_verdict(ledger: Ledger) -> None:
    ledger.take_in(DAY, "v1", "a")
    ledger.go_through(DAY)
    ledger.take_in(DAY, "v2", "b")
    assert ledger.results(DAY) == {}
    assert [day.day for day in ledger.open()] == [DAY]
    assert ledger.newest() is None
    ledger.go_through(DAY)
    assert ledger.open() == []


def test_a_later_gate_judges_the_version_that_the_marts_were_built_from(ledger: Ledger) -> None:
    """Another run may take in the day again between a run's transform and its gate."""
    ledger.take_in(DAY, "v1", "a")
    ledger.judge(RAW_GATE, DAY)
    ledger.transform()
    ledger.take_in(DAY, "v2", "b")
    for gate in GATES[1:]:
        ledger.judge(gate, DAY)
    assert ledger.results(DAY) == {}, "no gate has judged v2"
    ledger.judge(RAW_GATE, DAY)
    ledger.transform()
    assert ledger.results(DAY) == {RAW_GATE: True}


def test_a_failed_day_has_its_gate_and_message_and_other_days_are_unchanged(ledger: Ledger) -> None:
    ledger.take_in(DAY, "v1", "a")
    ledger.take_in(NEXT, "v1", "a")
    ledger.go_through(DAY)
    ledger.judge(RAW_GATE, NEXT, passed=False)
    assert ledger.open() == [OpenDay(NEXT, LOADED, "a run", RAW_GATE, "raw_orders refuses")]
    assert ledger.newest() == DAY
    assert ledger.results(NEXT) == {RAW_GATE: False}


def test_the_first_of_several_failures_is_reported_and_a_pass_clears_one(ledger: Ledger) -> None:
    ledger.take_in(DAY, "v1", "a")
    ledger.judge(RAW_GATE, DAY)
    ledger.transform()
    for gate in GATES[1:]:
        ledger.judge(gate, DAY, passed=False)
    assert [day.failed_gate for day in ledger.open()] == ["invoices"]
    ledger.judge("invoices", DAY)
    assert [day.failed_gate for day in ledger.open()] == ["scores"]


def test_a_verdict_on_a_range_counts_for_each_of_its_days(ledger: Ledger) -> None:
    for day in (DAY, NEXT):
        ledger.take_in(day, "v1", "a")
    ledger.judge(RAW_GATE, DAY, NEXT, passed=False)
    assert [day.failed_gate for day in ledger.open()] == [RAW_GATE, RAW_GATE]


def test_barring_a_day_that_the_marts_hold_records_all_its_customers_as_changed(ledger: Ledger) -> None:
    ledger.take_in(DAY, "v1", "a", "b")
    ledger.go_through(DAY)
    assert ledger.changes() == set()
    ledger.judge(RAW_GATE, DAY, passed=False)
    ledger.transform()
    assert ledger.changes() == {(DAY, "a"), (DAY, "b"), (DAY, None)}


def test_the_changes_of_a_barred_day_wait_until_it_is_admitted(ledger: Ledger) -> None:
    ledger.take_in(DAY, "v1", "a")
    ledger.take_in(NEXT, "v1", "b")
    ledger.judge(RAW_GATE, DAY)
    ledger.judge(RAW_GATE, NEXT, passed=False)
    ledger.transform()
    assert ledger.changes() == {(NEXT, "b"), (NEXT, None)}
    assert ledger.newest() == DAY
    ledger.judge(RAW_GATE, NEXT)
    ledger.transform()
    assert ledger.changes() == set()
    assert ledger.newest() == NEXT


def test_a_day_taken_in_again_after_a_transform_left_it_out_records_all_its_customers(ledger: Ledger) -> None:
    ledger.take_in(DAY, "v1", "ann", "bob")
    ledger.go_through(DAY)
    ledger.take_in(DAY, "v2", "ann", "bob")
    with open_intake(ledger.settings) as connection:  # as if only the lines of ann differed
        connection.execute("delete from raw.changes where customer_id = 'bob'")
    ledger.take_in(NEXT, "v1", "bob")
    ledger.judge(RAW_GATE, NEXT)
    ledger.transform()
    assert ledger.changes() == {(DAY, "ann"), (DAY, "bob"), (DAY, None)}


def test_a_day_that_the_marts_never_held_records_all_its_customers_once_admitted(
    ledger: Ledger,
) -> None:
    ledger.take_in(DAY, "v1", "ann", "bob")
    ledger.take_in(NEXT, "v1", "cat")
    with open_intake(ledger.settings) as connection:  # as ingest records only the day itself for a new day
        connection.execute("delete from raw.changes where customer_id is not null")
    ledger.judge(RAW_GATE, DAY)
    with open_warehouse(ledger.settings) as connection:
        note_whole_days(connection)
    assert ledger.changes() == {(DAY, "ann"), (DAY, "bob"), (DAY, None), (NEXT, None)}


def test_a_rebuild_records_every_day_as_changed(ledger: Ledger) -> None:
    ledger.take_in(DAY, "v1", "a")
    ledger.take_in(NEXT, "v1", "a", "b")
    ledger.go_through(DAY)
    ledger.go_through(NEXT)
    with open_intake(ledger.settings) as connection:
        note_everything(connection)
    assert ledger.changes() == {(DAY, None), (NEXT, None)}


def test_changes_of_an_older_home_without_a_kind_get_the_kind_that_their_nulls_meant(
    ledger: Ledger,
) -> None:
    with open_intake(ledger.settings) as connection:
        connection.execute(
            """
            drop table raw.changes;
            create table raw.changes (
                event_day date not null,
                customer_id varchar,
                stock_code varchar,
                invoice_no varchar,
                invoice_kind varchar,
            );
            insert into raw.changes values
            ('2011-01-04', null, null, null, null),
            ('2011-01-04', 'ann', null, null, null),
            ('2011-01-04', 'ann', 'X', '1', 'sale');
            -- an intake whose schema was made by another version of the project
            comment on table ops.facts is 'of before'
            """
        )
    for _ in range(2):
        with open_intake(ledger.settings) as connection:
            rows = connection.execute("select customer_id, stock_code, kind from raw.changes order by kind")
            assert rows.fetchall() == [
                ("ann", None, "account"),
                (None, None, "day"),
                ("ann", "X", "order_line"),
            ]
            with pytest.raises(duckdb.ConstraintException):
                connection.execute("insert into raw.changes by name select date '2011-01-04' as event_day")
