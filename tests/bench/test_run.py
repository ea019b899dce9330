"""The benchmark runner divides a landing into load and daily runs, and never compares unlike work."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from bench.run import last_days, measure_peers, published_numbers, require_same
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import Settings
from goodstanding.ingest.samples.download import COLUMNS

LINES = [
    "1,MUG,A MUG,5,2011-01-04 09:00:00,1.5,1.0,France",
    "C2,MUG,A MUG,-5,2011-01-05 09:00:00,1.5,1.0,France",
    "3,CUP,A CUP,2,2011-01-05 10:00:00,2.5,1.0,France",
]


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    for day in ("2011-01-04", "2011-01-05"):
        rows = [",".join(COLUMNS), *(line for line in LINES if day in line)]
        (folder / f"{day}.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_the_peers_are_measured_and_agree(landing: Path) -> None:
    peers = measure_peers(landing, runs=1)
    assert peers["duckdb"]["numbers"] == peers["pandas"]["numbers"]
    assert peers["duckdb"]["numbers"]["outcomes"] == {"cancellation": 1, "cancelled": 1, "kept": 1}
    assert all(peer["seconds"] > peer["seconds_without_imports"] > 0 for peer in peers.values())


def test_ratios_are_left_out_if_any_number_differs() -> None:
    expected = {"lines": 3, "kept": 1, "mirrors": 1}
    require_same({"lines": 3, "kept": 1}, expected, "the product")
    with pytest.raises(DataProblem, match=r"the product and the DuckDB peer .* differently: kept 2, not 1"):
        require_same({"lines": 3, "kept": 2}, expected, "the product")


def test_the_publication_is_counted_in_the_terms_of_the_peers(landing: Path, tmp_path: Path) -> None:
    home = Settings(home=tmp_path / "home", landing=landing, _env_file=None)
    home.published.mkdir(parents=True)
    with duckdb.connect(str(home.published / "current.duckdb")) as connection:
        connection.execute(
            """
            create schema marts;
            create table marts.order_lines as
            select * from (values
                ('p', 7.5::decimal(28, 4), 'cancelled', 'mirror'),
                ('p', -7.5, 'cancellation', 'mirror'),
                ('p', 5.0, 'kept', null)
            ) as lines (customer_id, amount, outcome, cancellation_rule);
            create table marts.invoices as
            select * from (values ('p', '1', false), ('p', 'C2', false), ('p', '3', true))
                as invoices (customer_id, invoice_no, is_kept);
            create table marts.customer_classes as
            select * from (values
                ('p', date '2011-01-04', 7.5::decimal(28, 4), 'Worst'),
                ('p', date '2011-01-05', 5.0, 'Worst')
            ) as classes (customer_id, as_of, monetary, class);
            """
        )
    expected = measure_peers(landing, runs=1)["duckdb"]["numbers"]
    numbers = published_numbers(home)
    assert set(numbers) <= set(expected)
    require_same(numbers, expected, "the product")
    assert numbers["monetary"] == "5.0000"


def test_the_last_days_of_a_landing_are_divided_without_overlap(tmp_path: Path) -> None:
    days = [date(2011, 11, 20) + timedelta(days=n) for n in range(20)]
    trading = [day for day in days if day.weekday() != 5]
    for day in trading:
        (tmp_path / f"{day}.csv").touch()
    scheduled, alone, together = last_days(Settings(home=tmp_path, landing=tmp_path, _env_file=None))
    assert [*scheduled, alone] == trading[-10:-4]
    assert (together.first, together.last) == (trading[-4], trading[-1])


def test_a_landing_too_short_for_the_benchmark_is_refused(landing: Path) -> None:
    with pytest.raises(DataProblem, match="holds 2 days with a file: too few"):
        last_days(Settings(home=landing, landing=landing, _env_file=None))
