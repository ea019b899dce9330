"""The fingerprint of reading: days that were read in two ways never lie in one home without a word."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from goodstanding.core.days import Days
from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import PROJECT
from goodstanding.ingest import reading
from goodstanding.ingest.load import ingest
from tests.goodstanding.ingest.homes import Home, line

ONLINE = (PROJECT / "shops" / "online_retail.yml").read_text()
# another shop than the project's own: nothing in its calendar asks for a file
MINE = re.sub(r"\nclosed:.*", "\n", ONLINE, flags=re.S)
FIRST, SECOND, THIRD = (date(2011, 1, day) for day in (4, 5, 6))
Mend = Callable[[str, str], None]


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yml"
    path.write_text(MINE)
    return path


@pytest.fixture
def home(tmp_path: Path, mapping: Path) -> Home:
    """A home that holds the first of three days."""
    home = _home(tmp_path / "mine", mapping)
    home.ingest(FIRST)
    return home


def _home(folder: Path, mapping: Path) -> Home:
    home = Home(folder, shop=str(mapping))
    for number, day in enumerate((FIRST, SECOND, THIRD)):
        texts = [
            line(invoice=f"54{number}", time=f"{day} 12:00:00"),
            line(invoice=f"C54{number}", quantity=-1, time=f"{day} 12:30:00"),
            line(invoice=f"55{number}", code="GIFT", time=f"{day} 13:00:00"),
        ]
        home.put(*texts, day=day)
    return home


@pytest.fixture
def mend(mapping: Path) -> Mend:
    """Replace one text of the mapping by another."""

    def mend(before: str, after: str) -> None:
        assert before in mapping.read_text()
        mapping.write_text(mapping.read_text().replace(before, after))

    return mend


MENDED = [
    ('"^C"', '"^X"', "invoice_kinds.cancellation.matches: ^C -> ^X"),
    ("Europe/London", "Asia/Tokyo", "timezone: Europe/London -> Asia/Tokyo"),
    ("GBP", "EUR", "currency: GBP -> EUR"),
    ("[POST, DOT", "[GIFT, DOT", 'no_products: ["POST", '),
    ("format: csv", 'delimiter: ";"', "files.delimiter: (left out) -> ;"),
    ('path: "{day}.csv"', 'path: "{day}*.csv"', "files.path: {day}.csv -> {day}*.csv"),
    ("as: decimal}", 'as: decimal, decimal_mark: ","}', "columns.unit_price.decimal_mark: (left out) -> ,"),
    ("  country: {from: Country, as: text, optional: true}\n", "", "columns.country.as: text -> (left out)"),
]


@pytest.mark.parametrize(("before", "after", "told"), MENDED)
def test_a_day_under_a_mended_mapping_is_refused_before_anything_is_touched(home, mend, before, after, told):
    held = home.everything()
    mend(before, after)
    with pytest.raises(WrongUse) as caught:
        home.ingest(SECOND)
    message = str(caught.value)
    assert message.startswith("the mapping changed: ") and told in message
    assert "goodstanding run --from 2011-01-04 --to 2011-01-05" in message
    assert "orders_history with from 2011-01-04 and to 2011-01-05" in message
    assert home.everything() == held


def test_a_range_over_every_held_day_reads_all_anew_with_the_word_and_equals_a_clean_home(
    home, mend, mapping, tmp_path
):
    home.ingest(SECOND)
    mend('"^C"', '"^X"')
    counts = home.ingest(FIRST, THIRD)
    word = "the mapping changed: invoice_kinds.cancellation.matches: ^C -> ^X; reading all 2 days anew"
    assert counts["reading"] == word
    clean = _home(tmp_path / "clean", mapping)
    clean.ingest(FIRST, THIRD)
    columns = "event_day, invoice_no, invoice_kind, quantity, is_product"
    assert home.accepted(columns) == clean.accepted(columns)
    assert "reading" not in home.ingest(SECOND)


def test_a_range_that_leaves_out_one_held_day_is_refused(home, mend):
    home.ingest(THIRD)
    mend("Europe/London", "Asia/Tokyo")
    for first, last in ((FIRST, SECOND), (SECOND, THIRD)):
        with pytest.raises(WrongUse, match="the mapping changed: timezone"):
            home.ingest(first, last)
    assert home.ingest(FIRST, THIRD)["reading"].endswith("reading all 2 days anew")


def test_a_change_that_is_undone_is_no_change(home, mend):
    mend("GBP", "EUR")
    with pytest.raises(WrongUse, match="the mapping changed: currency"):
        home.ingest(SECOND)
    mend("EUR", "GBP")
    assert "reading" not in home.ingest(SECOND)


def test_what_decides_no_line_may_be_edited_between_two_days(home, mapping):
    mapping.write_text(
        mapping.read_text().replace("archive: true", "archive: false")
        + "# a remark\nclosed: {weekdays: [sunday]}\n"
        + "groups:\n  files: {path: g.csv}\n  columns:\n"
        + "    customer_id: {from: ID, as: whole_number}\n    sex: {from: SEX, as: text}\n"
    )
    assert "reading" not in home.ingest(SECOND)


def test_a_new_kind_of_lines_is_a_change(home, mapping):
    mapping.write_text(
        mapping.read_text() + "returns:\n  files: {path: 'returns/{day}.csv'}\n  columns:\n"
        "    customer_id: {from: customer, as: whole_number}\n    invoice_no: {from: order, as: text}\n"
        "    returned_at: {from: at, as: timestamp}\n"
    )
    with pytest.raises(
        WrongUse, match=r"the mapping changed: returns\.columns\.customer_id\.as: \(left out\)"
    ):
        home.ingest(SECOND)


UPGRADES = pytest.mark.parametrize(
    ("of", "told"),
    [
        ("folder_version", "what reads the files changed: the code that reads"),
        ("version", "what reads the files changed: duckdb .* -> 9"),
        ("book_version", "what reads the files changed: tzdata .* -> 9"),
    ],
)


@UPGRADES
def test_after_an_upgrade_that_reads_alike_a_day_goes_on_with_a_word(home, monkeypatch, of, told):
    monkeypatch.setattr(reading, of, lambda *name: "9")
    counts = home.ingest(SECOND)
    assert re.match(
        f"{told}; the days held were read again, and no line came out otherwise$", counts["reading"]
    )
    assert "reading" not in home.ingest(THIRD)


@UPGRADES
def test_after_an_upgrade_that_reads_otherwise_a_day_is_refused_and_a_range_reads_anew(
    home, monkeypatch, of, told
):
    home.rows("update raw.days set version = 'as an earlier version read it'")
    held = home.everything()
    monkeypatch.setattr(reading, of, lambda *name: "9")
    with pytest.raises(WrongUse, match=f"{told}. 2011-01-04 would be read otherwise than held; nothing was"):
        home.ingest(SECOND)
    assert home.everything() == held
    assert re.match(f"{told}; reading all 1 days anew", home.ingest(FIRST, SECOND)["reading"])


def test_days_whose_files_are_gone_are_told_after_an_upgrade(home, monkeypatch):
    home.ingest(SECOND)
    (home.landing / f"{FIRST}.csv").unlink()
    home.put(line(time=f"{SECOND} 09:00:00"), day=SECOND)
    monkeypatch.setattr(reading, "folder_version", lambda folder: "9")
    counts = ingest(home.settings, Days(THIRD, THIRD), "test")
    assert counts["reading"].endswith("; 2 days could not be compared: their files have changed or gone")
    assert len(home.accepted("invoice_no")) == 9


def test_a_mended_mapping_does_not_withdraw_the_days_whose_files_are_gone(home, mend):
    home.ingest(SECOND)
    held = home.everything()
    (home.landing / f"{FIRST}.csv").unlink()
    mend("GBP", "EUR")
    with pytest.raises(
        WrongUse, match=r"1 have no file in .* any more, like 2011-01-04; nothing was touched"
    ):
        home.ingest(FIRST, SECOND)
    assert home.everything() == held


def test_a_home_from_before_the_fingerprint_is_compared_once(home):
    home.rows("delete from ops.facts where name = 'reading'")
    assert "its version was not kept" in home.ingest(SECOND)["reading"]
    assert "reading" not in home.ingest(THIRD)


def test_the_fingerprint_names_the_code_that_reads(monkeypatch, home):
    """A file of any room that reads files changes it."""
    folders = []
    monkeypatch.setattr(reading, "folder_version", lambda folder: folders.append(folder) or "9")
    home.ingest(SECOND)
    assert {"goodstanding/ingest", "goodstanding/shops", "goodstanding/identity"} <= set(folders)
    assert all((PROJECT / folder).is_dir() for folder in folders)
