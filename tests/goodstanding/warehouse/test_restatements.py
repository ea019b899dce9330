"""Restatements: what changed for readers since the last publication, since which day, and by which file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from goodstanding.warehouse.restatements import last_publication, restate

FIRST, SECOND, THIRD, FOURTH = (date(2011, 1, day) for day in (4, 5, 6, 7))
COLUMNS = (
    "customer_id, as_of, from_class, to_class, from_credit_score, to_credit_score, cause, changed_day,"
    " file_name, file_hash"
)
MARTS = """
create schema marts;
create schema intermediate;
create table intermediate.int_as_of_days (as_of date, purpose varchar);
create table marts.customer_classes (customer_id varchar, as_of date, credit_score integer, class varchar);
create table marts.order_lines (
    event_day date, file_name varchar, line_number bigint, invoice_no varchar, invoice_kind varchar,
    stock_code varchar, is_product boolean, description varchar, quantity bigint, unit_price decimal(18, 4),
    amount decimal(28, 4), ordered_at timestamp, ordered_at_utc timestamp, customer_id varchar,
    country varchar, payment_type varchar, channel varchar, weight decimal(18, 4)
);
create table marts.publication (as_of date, published_at timestamp, run_id varchar, definition varchar);
create table marts.source_files (
    event_day date, file_name varchar, file_hash varchar, lines bigint, day_version varchar
);
"""

Files = dict[str, tuple[str, list[str]]]  # by file: its hash, and the customers of its lines in order
Classes = dict[date, dict[str, tuple[str, int]]]  # by as-of day and customer: class and credit score


class Shop:
    """A series of publications, each written by hand with what readers would see."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.current = folder / "current.duckdb"
        self.number = 0

    def publish(self, classes: Classes, files: Files, definition: str = "sql") -> int:
        """Publish classes and files. A file is named by its day (and a letter), a line by its customer."""
        self.number += 1
        draft = self.folder / f".current.duckdb.{self.number}"
        with duckdb.connect(str(draft)) as connection:
            connection.execute(MARTS)
            moment = datetime(2011, 2, 1) + timedelta(hours=self.number)
            connection.execute(
                "insert into marts.publication values (?, ?, ?, ?)",
                [max(classes), moment, f"run {self.number}", definition],
            )
            for as_of, customers in classes.items():
                connection.execute("insert into intermediate.int_as_of_days values (?, 'scores')", [as_of])
                for customer, (name, score) in customers.items():
                    connection.execute(
                        "insert into marts.customer_classes values (?, ?, ?, ?)",
                        [customer, as_of, score, name],
                    )
            for name, (file_hash, lines) in files.items():
                day = name[:10]
                version = "/".join(hash for other, (hash, _) in files.items() if other[:10] == day)
                connection.execute(
                    "insert into marts.source_files values (?, ?, ?, ?, ?)",
                    [day, name, file_hash, len(lines), version],
                )
                for number, text in enumerate(lines):
                    customer, _, price = text.partition(" ")
                    connection.execute(
                        """
                        insert into marts.order_lines by name
                        select
                            $1 as event_day, $2 as file_name, $3 as line_number, '1' as invoice_no,
                            'sale' as invoice_kind, 'X' as stock_code, true as is_product, 1 as quantity,
                            $4 as unit_price, $4 as amount, $1::timestamp as ordered_at,
                            $1::timestamp as ordered_at_utc, $5 as customer_id
                        """,
                        [day, name, number + 2, price or "1", customer],
                    )
            with last_publication(connection, self.current) as is_comparable:
                connection.begin()
                restated = restate(connection, is_comparable)
                connection.commit()
        draft.replace(self.current)
        return restated

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.current), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def restatements(self) -> list[tuple[Any, ...]]:
        return self.rows(f"select {COLUMNS} from marts.restatements order by restated_at, as_of, customer_id")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


GOOD: Classes = {FIRST: {"ann": ("Good", 8), "bob": ("Worst", 4)}}
FILES: Files = {str(FIRST): ("h1", ["ann", "bob"])}


def on(day: date, **customers: tuple[str, int]) -> Classes:
    """The classes of `GOOD` with one day added or changed."""
    return {**GOOD, day: {**GOOD.get(day, GOOD[FIRST]), **customers}}


def test_the_first_publication_restates_nothing(shop: Shop) -> None:
    assert shop.publish(GOOD, FILES) == 0
    assert shop.restatements() == []


def test_a_new_day_is_no_restatement_and_neither_is_a_new_customer(shop: Shop) -> None:
    shop.publish(GOOD, FILES)
    added = {**FILES, str(SECOND): ("h2", ["ann", "cy"])}
    assert shop.publish(on(SECOND, ann=("Best", 12), cy=("Worst", 3)), added) == 0
    late = {**added, f"{FIRST}-b": ("h3", ["dan"])}
    assert (
        shop.publish({**on(SECOND, ann=("Best", 12)), FIRST: {**GOOD[FIRST], "dan": ("Good", 7)}}, late) == 1
    )
    assert {row[0] for row in shop.restatements()} == {"cy"}, "the removed customer, and not dan, who is new"


def test_a_changed_line_of_a_customer_restates_them_because_of_its_file(shop: Shop) -> None:
    shop.publish(GOOD, FILES)
    assert shop.publish(on(FIRST, ann=("Best", 11)), {str(FIRST): ("h2", ["ann 9", "bob"])}) == 1
    assert shop.restatements() == [
        ("ann", FIRST, "Good", "Best", 8, 11, "own_lines", FIRST, str(FIRST), "h2")
    ]
    assert shop.rows("select run_id, restated_at from marts.restatements") == shop.rows(
        "select run_id, published_at from marts.publication"
    )


def test_a_new_score_in_the_same_class_is_a_restatement(shop: Shop) -> None:
    shop.publish(GOOD, FILES)
    assert shop.publish(on(FIRST, ann=("Good", 9)), {str(FIRST): ("h2", ["ann 9", "bob"])}) == 1
    assert [row[2:6] for row in shop.restatements()] == [("Good", "Good", 8, 9)]


def test_a_customer_changed_by_the_lines_of_others_gets_moved_borders_as_the_cause(shop: Shop) -> None:
    shop.publish(GOOD, FILES)
    changed = {
        str(FIRST): ("h2", ["cy", "ann", "bob 9"])
    }  # ann's line has another number and the same content
    assert shop.publish(on(FIRST, ann=("Average", 8), bob=("Best", 12)), changed) == 2
    assert [(row[0], row[6], row[7], row[8]) for row in shop.restatements()] == [
        ("ann", "borders", FIRST, str(FIRST)),
        ("bob", "own_lines", FIRST, str(FIRST)),
    ]


def test_the_cause_is_the_earliest_file_with_different_lines_of_the_customer(shop: Shop) -> None:
    files: Files = {str(day): ("h", ["ann", "bob"]) for day in (FIRST, SECOND, THIRD)}
    classes = {day: GOOD[FIRST] for day in (FIRST, SECOND, THIRD)}
    shop.publish(classes, files)
    files |= {str(FIRST): ("i", ["ann", "bob 2"]), str(THIRD): ("j", ["ann 2", "bob 2"])}
    everybody = {"ann": ("Best", 12), "bob": ("Best", 12)}
    assert shop.publish(dict.fromkeys(classes, everybody), files) == 2
    assert [(row[0], row[1], row[6], row[7], row[9]) for row in shop.restatements()] == [
        ("ann", FIRST, "borders", FIRST, "i"),
        ("bob", FIRST, "own_lines", FIRST, "i"),
        ("ann", SECOND, "borders", FIRST, "i"),
        ("bob", SECOND, "own_lines", FIRST, "i"),
        ("ann", THIRD, "own_lines", THIRD, "j"),
        ("bob", THIRD, "own_lines", FIRST, "i"),
    ]


def test_of_two_files_of_a_day_the_changed_one_is_named(shop: Shop) -> None:
    files: Files = {f"{FIRST}-a": ("h1", ["ann"]), f"{FIRST}-b": ("h2", ["ann", "bob"])}
    shop.publish(GOOD, files)
    changed = files | {f"{FIRST}-b": ("h3", ["ann 2", "bob"])}
    shop.publish(on(FIRST, ann=("Best", 12), bob=("Average", 4)), changed)
    assert [(row[0], *row[6:]) for row in shop.restatements()] == [
        ("ann", "own_lines", FIRST, f"{FIRST}-b", "h3"),
        ("bob", "borders", FIRST, f"{FIRST}-b", "h3"),
    ]


def test_a_file_without_orders_is_no_cause_beside_one_with_orders(shop: Shop) -> None:
    files: Files = {f"{FIRST}-a payments": ("p1", []), f"{FIRST}-b": ("h1", ["ann", "bob"])}
    shop.publish(GOOD, files)
    changed: Files = {f"{FIRST}-a payments": ("p2", []), f"{FIRST}-b": ("h2", ["ann 2", "bob"])}
    shop.publish(on(FIRST, ann=("Best", 12), bob=("Average", 4)), changed)
    assert [(row[0], *row[6:]) for row in shop.restatements()] == [
        ("ann", "own_lines", FIRST, f"{FIRST}-b", "h2"),
        ("bob", "borders", FIRST, f"{FIRST}-b", "h2"),
    ]


def test_a_file_read_differently_is_the_cause_though_its_bytes_are_the_same(shop: Shop) -> None:
    shop.publish(GOOD, FILES)
    with duckdb.connect(str(shop.current)) as connection:
        connection.execute("update marts.source_files set day_version = 'by another mapping'")
    shop.publish(on(FIRST, ann=("Best", 12)), {str(FIRST): ("h1", ["ann 2", "bob"])})
    assert [row[6:] for row in shop.restatements()] == [("own_lines", FIRST, str(FIRST), "h1")]


def test_a_withdrawn_file_is_named_and_its_removed_customers_are_restated_to_nothing(shop: Shop) -> None:
    files = {**FILES, str(SECOND): ("h2", ["bob", "cy"])}
    shop.publish(on(SECOND, cy=("Good", 7)), files)
    assert shop.publish(on(SECOND), FILES) == 1
    assert shop.restatements() == [
        ("cy", SECOND, "Good", None, 7, None, "own_lines", SECOND, str(SECOND), "h2")
    ]


def test_a_customer_who_was_removed_and_returns_is_restated_from_nothing(shop: Shop) -> None:
    files = {**FILES, str(SECOND): ("h2", ["bob", "cy"])}
    shop.publish(on(SECOND, cy=("Good", 7)), files)
    shop.publish(on(SECOND), FILES)
    assert shop.publish(on(SECOND, cy=("Best", 10)), files) == 1
    assert [row[2:6] for row in shop.restatements()] == [("Good", None, 7, None), (None, "Best", None, 10)]
    assert shop.publish(on(SECOND, cy=("Best", 10)), files) == 0


def test_a_late_file_of_a_day_that_was_never_taken_in_restates_the_days_after_it(shop: Shop) -> None:
    files: Files = {str(FIRST): ("h", ["ann"]), str(THIRD): ("h", ["ann", "bob"])}
    shop.publish({FIRST: GOOD[FIRST], THIRD: GOOD[FIRST]}, files)
    best = {"ann": ("Best", 12), "bob": ("Worst", 4)}
    shop.publish({FIRST: GOOD[FIRST], SECOND: best, THIRD: best}, files | {str(SECOND): ("h2", ["ann"])})
    assert [(row[0], row[1], *row[6:]) for row in shop.restatements()] == [
        ("ann", THIRD, "own_lines", SECOND, str(SECOND), "h2")
    ]


def test_changed_sql_is_the_cause_and_no_file_is_named(shop: Shop) -> None:
    shop.publish({FIRST: GOOD[FIRST], SECOND: GOOD[FIRST]}, FILES)
    added = {**FILES, str(THIRD): ("h3", ["ann"])}
    assert shop.publish({day: {"ann": ("Best", 8)} for day in (FIRST, SECOND, THIRD)}, added, "new sql") == 2
    assert {row[6:] for row in shop.restatements()} == {("definition", None, None, None)}
    assert [row[:2] for row in shop.restatements()] == [
        ("ann", FIRST),
        ("bob", FIRST),
        ("ann", SECOND),
        ("bob", SECOND),
    ]


def test_a_day_whose_snapshot_is_no_longer_kept_restates_nobody(shop: Shop) -> None:
    shop.publish({FIRST: GOOD[FIRST], FOURTH: GOOD[FIRST]}, FILES)
    assert shop.publish({FOURTH: GOOD[FIRST]}, {str(FIRST): ("h2", ["ann 2", "bob"])}) == 0
    assert shop.publish({FOURTH: GOOD[FIRST]}, FILES, "another retention") == 0


def test_restatements_are_kept_and_the_same_publication_again_adds_none(shop: Shop) -> None:
    shop.publish(GOOD, FILES)
    changed = {str(FIRST): ("h2", ["ann 9", "bob"])}
    shop.publish(on(FIRST, ann=("Best", 11)), changed)
    restated = shop.rows("from marts.restatements")
    assert shop.publish(on(FIRST, ann=("Best", 11)), changed) == 0
    assert shop.publish(on(SECOND, ann=("Best", 11)) | on(FIRST, ann=("Best", 11)), changed) == 0
    assert shop.rows("from marts.restatements") == restated
    assert shop.publish(GOOD, FILES) == 1
    assert [row[2:4] for row in shop.restatements()] == [("Good", "Best"), ("Best", "Good")]


def test_a_publication_older_than_restatements_counts_as_the_first(shop: Shop) -> None:
    shop.publish(GOOD, FILES)
    with duckdb.connect(str(shop.current)) as connection:
        connection.execute("drop table marts.source_files; drop table marts.restatements")
    assert shop.publish(on(FIRST, ann=("Best", 11)), {str(FIRST): ("h2", ["ann 9", "bob"])}) == 0
    assert shop.restatements() == []


def test_an_unreadable_publication_does_not_block_the_next(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.current.write_bytes(b"no database" * 1000)
    assert shop.publish(GOOD, FILES) == 0
    assert "cannot be read, so restatements start again" in caplog.text


@pytest.fixture
def opened_for_writing(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Open files in another process, as a DuckDB shell without -readonly does."""
    processes = []

    def open_it(path: Path) -> None:
        command = "import sys, duckdb; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
        process = subprocess.Popen(
            [sys.executable, "-c", command, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        processes.append(process)
        assert process.stdout and process.stdout.readline() == b"open\n"

    yield open_it
    for process in processes:
        process.communicate(b"\n")


def test_a_shell_that_holds_the_publication_for_writing_does_not_block_the_next(
    shop: Shop, opened_for_writing: Callable[[Path], None], tmp_path: Path
) -> None:
    shop.publish(GOOD, FILES)
    opened_for_writing(shop.current)
    assert shop.publish(on(FIRST, ann=("Best", 11)), {str(FIRST): ("h2", ["ann 9", "bob"])}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["current.duckdb"]


def test_the_compared_publication_is_left_unchanged(shop: Shop, tmp_path: Path) -> None:
    shop.publish(GOOD, FILES)
    kept = Path(shutil.copy(shop.current, tmp_path / "kept"))
    with duckdb.connect(str(tmp_path / "draft")) as connection:
        connection.execute(MARTS)
        with last_publication(connection, shop.current) as is_comparable:
            restate(connection, is_comparable)
    assert shop.current.read_bytes() == kept.read_bytes()
