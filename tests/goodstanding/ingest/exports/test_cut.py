"""Exports of any range: each line counts on its own day, of two exports of a time the later name counts."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from goodstanding.core.days import Days, ranges
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import PROJECT
from goodstanding.ingest.landed import days_in_landing
from goodstanding.ingest.load import ingest
from goodstanding.shops.mapping import load_shop
from tests.goodstanding.ingest.homes import Home, line

FIRST = date(2011, 7, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(6)]
# what a home holds and shows, without the times and runs at which it came to hold it
HELD = (
    "select * from raw.order_lines",
    "select * exclude (place) from raw.rejected_order_lines",
    "select event_day, file_name, file_hash, lines, accepted, rejected, file_day from raw.files",
    "select event_day, version, files, lines, accepted, rejected from raw.days",
    "select event_day, version, lines from raw.day_versions where known_until is null",
    "select event_day, file_name, file_hash, lines from raw.file_versions where known_until is null",
    "select event_day, file_name, topic, lines, example, message from raw.notices",
)


def exporting(folder: Path, path: str = "orders*.csv", name: str = "home") -> Home:
    """A home of the online shop that has exports of any range."""
    text = (PROJECT / "shops" / "online_retail.yml").read_text()
    text = text[: text.index("closed:")].replace('path: "{day}.csv"', f'path: "{path}"')
    assert path in text
    # ISO 8601, with an offset or without
    text = text.replace(', format: "%Y-%m-%d %H:%M:%S"', "")
    shop = folder / "exports.yml"
    shop.write_text(text)
    home = Home(folder / name, str(shop))
    home.landing = folder / "landing"
    home.landing.mkdir(exist_ok=True)
    home.settings = home.settings.model_copy(
        update={"landing": home.landing, "pseudonym_key": SecretStr("ab" * 32)}
    )
    return home


def put(home: Home, name: str, *lines: str) -> None:
    """Write an export."""
    home.put(*lines, name=name)


def order(day: date, invoice: str, hour: int = 10, **fields: object) -> str:
    """An order of one line."""
    return line(invoice=invoice, time=f"{day} {hour:02}:00:00", **fields)


def load(home: Home, first: date, last: date | None = None) -> dict[str, object]:
    """Take in days; every line of a day is accepted or set aside."""
    counts = ingest(home.settings, Days(first, last or first), "test")
    odd = home.rows("select * from raw.files where lines <> accepted + rejected")
    assert not odd
    return dict(counts)


def held(home: Home) -> list[list[tuple[object, ...]]]:
    """All that a home holds of its days."""
    return [home.rows(f"{select} order by all") for select in HELD]


def clean_build(folder: Path, days: Iterable[date]) -> list[list[tuple[object, ...]]]:
    """What a new home holds after one run over these days."""
    home = exporting(folder, name=f"clean-{random.random()}")
    for one in ranges(days):
        load(home, one.first, one.last)
    return held(home)


def orders(home: Home) -> list[tuple[object, ...]]:
    """Event day, invoice and quantity of every line that counts."""
    return home.rows("select event_day, invoice_no, quantity from raw.order_lines order by all")


def notices(home: Home) -> list[tuple[object, ...]]:
    """What was noticed."""
    return home.rows("select event_day, topic, lines, example from raw.notices order by all")


def test_every_line_of_a_month_counts_on_its_own_day(tmp_path: Path) -> None:
    home = exporting(tmp_path)
    put(home, "orders.csv", order(DAYS[2], "3"), order(DAYS[0], "1"), order(DAYS[0], "2", 23))
    assert days_in_landing(home.settings, load_shop(home.settings)) == Days(DAYS[0], DAYS[2])
    counts = load(home, DAYS[0], DAYS[2])
    assert counts == {"files": 3, "lines": 3, "accepted": 3, "rejected": 0, "changed_customers": 1}
    assert orders(home) == [(DAYS[0], "1", 6), (DAYS[0], "2", 6), (DAYS[2], "3", 6)]
    # a day without an order is one that is covered
    assert home.rows("select event_day, files, lines from raw.days order by all") == [
        (DAYS[0], 1, 2),
        (DAYS[1], 1, 0),
        (DAYS[2], 1, 1),
    ]


def test_nothing_of_the_shops_own_ids_is_left_beside_the_tables(tmp_path: Path) -> None:
    home = exporting(tmp_path)
    put(home, "orders.csv", order(DAYS[0], "1", customer="ann@example.com"))
    load(home, DAYS[0])
    left = [path for path in home.settings.home.rglob("*") if path.is_file() and b"ann@" in path.read_bytes()]
    assert not left
    assert not list((home.settings.warehouse / "spill").iterdir())


def test_an_empty_landing_has_no_days(tmp_path: Path) -> None:
    home = exporting(tmp_path)
    assert days_in_landing(home.settings, load_shop(home.settings)) is None
    put(home, "orders.csv")
    assert days_in_landing(home.settings, load_shop(home.settings)) is None


def test_a_later_export_restates_and_withdraws_what_it_covers(tmp_path: Path) -> None:
    home = exporting(tmp_path)
    put(
        home,
        "orders-1.csv",
        order(DAYS[0], "1"),
        order(DAYS[1], "2"),
        order(DAYS[2], "3"),
        order(DAYS[3], "4"),
    )
    load(home, DAYS[0], DAYS[3])
    # it covers the second day to the fifth: 2 is as it was, 3 has changed, 4 is gone
    put(
        home,
        "orders-2.csv",
        order(DAYS[1], "2"),
        order(DAYS[2], "3", quantity="9"),
        order(DAYS[4], "5"),
    )
    counts = load(home, DAYS[4])
    told = "later exports state other lines of days held, which were read again: "
    assert counts["restated"] == f"{told}{DAYS[2]} to {DAYS[3]}"
    assert orders(home) == [
        (DAYS[0], "1", 6),
        (DAYS[1], "2", 6),
        (DAYS[2], "3", 9),
        (DAYS[4], "5", 6),
    ]
    assert notices(home) == [
        (DAYS[2], "restated", 1, "orders-1.csv:4"),
        (DAYS[3], "withdrawn", 1, "orders-1.csv:5"),
    ]
    # both versions are kept, the earlier one with the time for which it was known
    assert home.rows(
        "select invoice_no, quantity, known_from < known_until from raw.superseded_order_lines order by all"
    ) == [("3", 6, True), ("4", 6, True)]
    assert held(home) == clean_build(tmp_path, DAYS[:5])
    assert "restated" not in load(home, DAYS[0], DAYS[4])


def test_a_growing_file_changes_no_day_that_it_says_again(tmp_path: Path) -> None:
    home = exporting(tmp_path, "orders.csv")
    put(home, "orders.csv", order(DAYS[1], "2"), order(DAYS[0], "1"))
    load(home, DAYS[0], DAYS[1])
    before = home.rows("select * from raw.day_versions order by all")
    # the newest order comes first, so that every line stands at another place
    put(home, "orders.csv", order(DAYS[2], "3"), order(DAYS[1], "2"), order(DAYS[0], "1"))
    counts = load(home, DAYS[2])
    assert "restated" not in counts
    load(home, DAYS[0], DAYS[2])
    assert home.rows(f"select * from raw.day_versions where event_day < '{DAYS[2]}' order by all") == before


def test_days_that_no_export_covers_any_more_stay_as_they_are(tmp_path: Path) -> None:
    home = exporting(tmp_path)
    put(home, "orders-1.csv", order(DAYS[0], "1"))
    load(home, DAYS[0])
    (home.landing / "orders-1.csv").unlink()
    put(home, "orders-2.csv", order(DAYS[1], "2"))
    assert "restated" not in load(home, DAYS[1])
    assert orders(home) == [(DAYS[0], "1", 6), (DAYS[1], "2", 6)]


def test_a_run_of_days_whose_export_has_left_the_landing_is_refused(tmp_path: Path) -> None:
    home = exporting(tmp_path)
    put(home, "orders-1.csv", order(DAYS[0], "1"), order(DAYS[1], "2", 9), order(DAYS[1], "3", 11))
    load(home, DAYS[0], DAYS[1])
    # a rolling export begins in the middle of a day
    (home.landing / "orders-1.csv").unlink()
    put(home, "orders-2.csv", order(DAYS[1], "3", 11), order(DAYS[2], "4"))
    for first in DAYS[:3]:
        with pytest.raises(DataProblem, match=f"{min(first, DAYS[1])} would lose lines"):
            load(home, first, DAYS[2])
    assert len(orders(home)) == 3
    put(home, "orders-1.csv", order(DAYS[0], "1"), order(DAYS[1], "2", 9), order(DAYS[1], "3", 11))
    load(home, DAYS[0], DAYS[2])
    assert len(orders(home)) == 4


def test_an_export_that_lacks_most_of_its_time_is_refused(tmp_path: Path) -> None:
    home = exporting(tmp_path)
    put(home, "orders-1.csv", *(order(DAYS[0], str(n), n) for n in range(20)))
    # the orders of one customer alone, say
    put(home, "orders-2.csv", order(DAYS[0], "0", 0), order(DAYS[0], "19", 19), order(DAYS[1], "20"))
    with pytest.raises(DataProblem, match=r"orders-2\.csv covers the time of 20 orders .* lacks 18 of them"):
        load(home, DAYS[0], DAYS[1])
    mapping = Path(home.settings.shop)
    mapping.write_text(mapping.read_text() + "\nlimits: {withdrawn_share: 1}\n")
    load(home, DAYS[0], DAYS[1])
    assert [invoice for _, invoice, _ in orders(home)] == ["0", "19", "20"]


@pytest.mark.parametrize("time", ["0001-01-01 00:00:00+02:00", "9999-12-31 23:59:59+00:00", "2100-01-01"])
def test_a_time_of_no_real_order_is_set_aside_where_it_stands(tmp_path: Path, time: str) -> None:
    home = exporting(tmp_path)
    put(home, "orders.csv", order(DAYS[0], "1"), line(invoice="2", time=time), order(DAYS[1], "3"))
    load(home, DAYS[0], DAYS[1])
    assert [invoice for _, invoice, _ in orders(home)] == ["1", "3"]
    ((day, reason),) = home.rejected("event_day, reason")
    assert day == DAYS[0] and str(reason).startswith("ordered_at: ")


def test_the_name_says_which_export_is_the_later(tmp_path: Path) -> None:
    home = exporting(tmp_path)
    for name in (
        "orders.csv",
        "orders (2).csv",
        "orders (10).csv",
        "orders-2026-9.csv",
        "orders-2026-10.csv",
        "orders-m².csv",
    ):
        put(home, name, order(DAYS[0], name))
    source = load_shop(home.settings).sources[0]
    assert [path.name for path in source.exports_in(home.landing)] == [
        "orders.csv",
        "orders (2).csv",
        "orders (10).csv",
        "orders-m².csv",
        "orders-2026-9.csv",
        "orders-2026-10.csv",
    ]
    load(home, DAYS[0])
    assert orders(home) == [(DAYS[0], "orders-2026-10.csv", 6)]


def test_of_equal_exports_the_later_name_counts(tmp_path: Path) -> None:
    home = exporting(tmp_path)
    put(home, "orders-1.csv", order(DAYS[0], "1"))
    put(home, "orders-2.csv", order(DAYS[0], "1", quantity="9"))
    put(home, "orders-3.csv", order(DAYS[0], "1"))
    load(home, DAYS[0])
    assert orders(home) == [(DAYS[0], "1", 6)]
    assert notices(home) == [
        (DAYS[0], "restated", 1, "orders-2.csv:2"),
        (DAYS[0], "same_bytes", 1, "orders-1.csv"),
    ]


def test_a_line_that_cannot_be_read_is_set_aside_where_it_stands(tmp_path: Path) -> None:
    home = exporting(tmp_path)
    put(
        home,
        "orders.csv",
        order(DAYS[1], "2"),
        line(invoice="3", time="yesterday"),
        "a,b",
        order(DAYS[0], "1"),
        order(DAYS[0], "4", price="free"),
    )
    counts = load(home, DAYS[0], DAYS[1])
    assert (counts["lines"], counts["accepted"], counts["rejected"]) == (5, 2, 3)
    assert home.rejected("event_day, place, reason") == [
        (DAYS[0], "orders.csv:6", home.rejected("reason")[0][0]),
        (DAYS[1], "orders.csv:3", "ordered_at: no time as the mapping writes it"),
        (DAYS[1], "orders.csv:4", home.rejected("reason")[2][0]),
    ]


def test_an_export_none_of_whose_lines_says_its_time_is_refused(tmp_path: Path) -> None:
    home = exporting(tmp_path)
    put(home, "orders.csv", line(time="yesterday"))
    with pytest.raises(DataProblem, match=r"orders\.csv has 1 lines, and none of them says when it happened"):
        load(home, DAYS[0])
    assert not home.rows("select * from raw.days")


def test_a_line_is_of_its_day_in_the_zone_of_the_shop(tmp_path: Path) -> None:
    home = exporting(tmp_path)
    put(home, "orders.csv", line(invoice="1", time=f"{DAYS[0]} 23:30:00+00:00"), order(DAYS[2], "2"))
    load(home, DAYS[0], DAYS[2])
    assert orders(home) == [(DAYS[1], "1", 6), (DAYS[2], "2", 6)]


# one export: its first day, how many days, and per day the version of that day's order (0: none)
EXPORTS = st.lists(
    st.tuples(st.integers(0, 5), st.lists(st.integers(0, 2), min_size=1, max_size=4)),
    min_size=1,
    max_size=3,
)


@settings(max_examples=4, deadline=None)
@given(exports=EXPORTS, at_random=st.randoms(use_true_random=False))
def test_any_order_of_exports_and_days_ends_as_one_clean_build(
    tmp_path_factory: pytest.TempPathFactory,
    exports: Sequence[tuple[int, list[int]]],
    at_random: random.Random,
) -> None:
    folder = tmp_path_factory.mktemp("history")
    home = exporting(folder)
    arrivals = list(enumerate(exports))
    at_random.shuffle(arrivals)
    loaded = set[date]()
    for number, (first, versions) in arrivals:
        lines = [
            order(DAYS[(first + n) % len(DAYS)], f"{(first + n) % len(DAYS)}", quantity=str(version))
            for n, version in enumerate(versions)
            if version
        ]
        put(home, f"orders-{number}.csv", *lines)
        for day in at_random.sample(DAYS, 2):
            load(home, day)
            loaded.add(day)
    last = at_random.choice(DAYS)
    load(home, last)
    assert held(home) == clean_build(folder, loaded | {last})
