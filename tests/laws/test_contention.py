"""Readers and runs do not wait for each other, and readers see whole days only, in order."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import duckdb

from tests.laws import readers
from tests.laws.conftest import days_from, fill

READERS = 50
DAYS = days_from(30)


def test_fifty_readers_see_only_whole_days_during_a_load_of_thirty_days(warehouse, tmp_path: Path) -> None:
    lived = warehouse("lived")
    fill(lived.landing, 11, DAYS)
    lived.run(DAYS[0])
    published, stop = lived.home / "published" / "current.duckdb", tmp_path / "stop"
    command = [sys.executable, readers.__file__, str(published), str(READERS), str(stop)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            for day in DAYS[1:]:
                lived.run(day)
        finally:
            stop.touch()
        output, _ = process.communicate(timeout=60)
    counts = json.loads(output)
    assert counts["bad"] == 0, counts
    assert counts["readers"] == READERS
    assert counts["reads"] > 5 * READERS
    assert len(counts["days"]) > len(DAYS) // 2, "the readers were too slow to tell days apart"
    clean = warehouse("clean", lived.landing)
    clean.run(DAYS[0], DAYS[-1])
    assert lived.seen_by_readers() == clean.seen_by_readers()


def test_a_publication_without_a_whole_day_counts_as_a_bad_read(warehouse, tmp_path: Path) -> None:
    lived = warehouse("lived")
    fill(lived.landing, 11, DAYS[:2])
    lived.run(DAYS[0], DAYS[1])
    published = lived.home / "published" / "current.duckdb"
    for spoil in (
        "update marts.publication set as_of = as_of - 1",
        "delete from marts.invoices where net_amount = (select max(net_amount) from marts.invoices)",
        "delete from marts_versions.customer_classes where class = 'Best'",
    ):
        copy = tmp_path / "spoilt.duckdb"
        copy.write_bytes(published.read_bytes())
        with duckdb.connect(str(copy)) as connection:
            assert all(connection.execute(readers.WHOLE_DAY).fetchall()[0][1:])
            connection.execute(spoil)
            assert not all(connection.execute(readers.WHOLE_DAY).fetchall()[0][1:]), spoil
