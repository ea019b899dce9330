"""The simulated shop: equal bytes for a seed, a file on each trading day, and all promised irregularities."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from bench import peer_duckdb
from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import Settings
from goodstanding.ingest.load import ingest
from goodstanding.ingest.samples.download import COLUMNS
from goodstanding.ingest.samples.simulate import simulate_shop
from goodstanding.shops.mapping import load_shop
from goodstanding.warehouse.files import open_intake

Row = list[str]


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default shop, once for all tests that only look at it."""
    landing = tmp_path_factory.mktemp("year") / "landing"
    simulate_shop(landing)
    return landing


@pytest.fixture(scope="module")
def rows(year: Path) -> dict[str, list[Row]]:
    """Its rows by day, header left out."""
    return {file.stem: read(file)[1:] for file in sorted(year.glob("*.csv"))}


@pytest.fixture(scope="module")
def standing(
    rows: dict[str, list[Row]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], duckdb.DuckDBPyConnection]:
    """The numbers and tables that a benchmark peer computes from the readable rows."""
    readable = tmp_path_factory.mktemp("readable")
    for day, lines in rows.items():
        with (readable / f"{day}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *(row for row in lines if fault(row, day) is None)])
    connection = duckdb.connect()
    return peer_duckdb.standing(readable, connection), connection


def read(file: Path) -> list[Row]:
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.reader(lines))


def fault(row: Row, day: str) -> str | None:
    """Why a row cannot be read, determined without the product's reader."""
    if len(row) != len(COLUMNS):
        return "columns"
    if not row[3].lstrip("-").isdigit():
        return "quantity"
    if float(row[5]) > 1e6:
        return "price"
    return None if row[4].startswith(day) else "day"


def contents(landing: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in landing.iterdir()}


def test_a_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("one", 7), ("again", 7), ("other", 8)):
        simulate_shop(tmp_path / name, days=20, customers=40, seed=seed)
    assert contents(tmp_path / "one") == contents(tmp_path / "again")
    assert contents(tmp_path / "one") != contents(tmp_path / "other")


def test_every_trading_day_has_a_file_and_no_other_day_has(year: Path) -> None:
    shop = load_shop(Settings(home=year, shop="online_retail", _env_file=None))
    days = [date(2010, 12, 1) + timedelta(days=n) for n in range(374)]
    expected = {f"{day}.csv" for day in days if shop.trades_on(day)}
    assert {file.name for file in year.iterdir()} == expected | {"SIMULATED"}
    assert days[-1] == date(2011, 12, 9)


def test_few_customers_leave_no_trading_day_without_a_file(tmp_path: Path) -> None:
    lines = simulate_shop(tmp_path / "landing", days=14, customers=0)
    files = list((tmp_path / "landing").glob("*.csv"))
    assert len(files) == 12
    assert all(read(file)[0] == COLUMNS for file in files)
    assert lines == sum(len(read(file)) - 1 for file in files)


def test_it_returns_the_lines_it_wrote(tmp_path: Path) -> None:
    written = simulate_shop(tmp_path / "landing", days=30, customers=100)
    assert written == sum(len(read(file)) - 1 for file in (tmp_path / "landing").glob("*.csv"))


def test_the_year_has_the_promised_size_and_a_quarter_of_rows_has_no_customer(
    rows: dict[str, list[Row]],
) -> None:
    lines = [row for day in rows.values() for row in day if len(row) == len(COLUMNS)]
    assert 100_000 <= len(lines) <= 150_000
    assert 0.2 < sum(row[6] == "" for row in lines) / len(lines) < 0.3


def test_fewer_than_one_row_in_a_hundred_is_bad_overall_and_few_on_any_day(
    rows: dict[str, list[Row]],
) -> None:
    faults = {day: Counter(fault(row, day) for row in lines) for day, lines in rows.items()}
    total = sum(faults.values(), Counter())
    assert {"columns", "quantity", "price", "day"} < set(total)
    assert 1 - total[None] / total.total() < 0.01
    assert min(counts[None] / counts.total() for counts in faults.values()) > 0.95


def test_the_texts_contain_the_characters_that_are_hard_to_read(rows: dict[str, list[Row]]) -> None:
    descriptions = {row[2] for day in rows.values() for row in day}
    assert "" in descriptions
    assert any(text != text.strip() for text in descriptions)
    assert any(not text.isascii() for text in descriptions)
    assert any("," in text for text in descriptions)
    assert any('"' in text for text in descriptions)


def test_non_product_codes_and_adjustments_occur(rows: dict[str, list[Row]]) -> None:
    lines = [row for day in rows.values() for row in day]
    codes = {row[1] for row in lines}
    assert {"POST", "DOT", "M", "D", "S", "BANK CHARGES", "AMAZONFEE", "CRUK", "B", "gift_0001_20"} <= codes
    adjustments = [float(row[5]) for row in lines if row[0].startswith("A")]
    assert min(adjustments) < 0 < max(adjustments)


def test_every_outcome_and_every_shape_of_cancellation_occurs(
    standing: tuple[dict[str, Any], duckdb.DuckDBPyConnection],
) -> None:
    numbers, connection = standing
    outcomes = numbers["outcomes"]
    assert set(outcomes) == {
        "no_customer",
        "duplicate",
        "cancellation",
        "unmatched_cancellation",
        "cancelled",
        "partly_cancelled",
        "kept",
    }
    assert min(outcomes.values()) > 100
    assert numbers["mirrors"] > 100
    # a cancellation larger than any single purchase of the product was matched with several
    reaching_back = connection.execute(
        """
        select count(*) from outcomes as cancellation
        where outcome = 'cancellation' and units > (
            select max(quantity) from outcomes as sale
            where sale.customer_id = cancellation.customer_id and sale.stock_code = cancellation.stock_code
                and sale.ordered_at <= cancellation.ordered_at
        )
        """
    ).fetchall()[0][0]
    assert reaching_back > 100


def test_who_buys_again_can_be_predicted_but_not_perfectly(
    standing: tuple[dict[str, Any], duckdb.DuckDBPyConnection],
) -> None:
    _, connection = standing
    snapshot = connection.execute(
        """
        select
            rank() over (order by max(day) filter (day <= cut))
                + rank() over (order by count(*) filter (day <= cut))
                + rank() over (order by sum(net) filter (day <= cut)) as rank,
            bool_or(day > cut) as bought
        from invoices, (select date '2011-08-31' as cut)
        where net > 0 and day <= cut + 90
        group by customer_id, cut
        having min(day) <= cut
        """
    ).fetchnumpy()
    buyers, non_buyers = snapshot["rank"][snapshot["bought"]], snapshot["rank"][~snapshot["bought"]]
    auc = np.mean((buyers[:, None] > non_buyers) + 0.5 * (buyers[:, None] == non_buyers))
    assert 0.6 < auc < 0.85
    assert 0.3 < np.mean(snapshot["bought"]) < 0.7


def test_some_customers_are_worth_many_times_the_typical_one_and_autumn_is_busiest(
    standing: tuple[dict[str, Any], duckdb.DuckDBPyConnection],
) -> None:
    _, connection = standing
    median, top = connection.execute(
        "select median(monetary), quantile_cont(monetary, .99) from classes"
    ).fetchall()[0]
    assert top > 8 * median
    autumn, spring = connection.execute(
        "select count(*) filter (month(day) in (10, 11)), count(*) filter (month(day) in (3, 4))"
        " from invoices"
    ).fetchall()[0]
    assert autumn > 1.5 * spring


def test_ingest_takes_it_in_and_sets_aside_exactly_the_bad_rows(
    year: Path, rows: dict[str, list[Row]], tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, landing=year, _env_file=None)
    days = Days(date(2010, 12, 6), date(2010, 12, 16))
    counts = ingest(settings, days, "test")
    taken = [fault(row, str(day)) for day in days for row in rows.get(str(day), [])]
    assert counts["lines"] == len(taken)
    assert counts["accepted"] == taken.count(None)
    assert counts["rejected"] == len(taken) - taken.count(None) > 0
    with open_intake(settings) as connection:
        assert connection.execute("select distinct simulated from raw.days").fetchall() == [(True,)]


def test_a_landing_that_holds_files_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "2010-12-01.csv").write_text("mine")
    with pytest.raises(DataProblem, match="already holds files"):
        simulate_shop(tmp_path, days=5, customers=5)
    assert contents(tmp_path) == {"2010-12-01.csv": b"mine"}


def test_a_range_without_a_trading_day_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="does not trade on any of the 3 days from 2010-12-25"):
        simulate_shop(tmp_path / "landing", first=date(2010, 12, 25), days=3)
    assert not list(tmp_path.iterdir())
