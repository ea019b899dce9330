"""The law of privacy: after ingest, nothing holds the shop's own customer ids or the key to them."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from goodstanding.identity.pseudonyms import pseudonym
from tests.conftest import Year, call_goodstanding
from tests.shop import HEADER, line

FIRST, LAST = "2010-12-02", "2010-12-05"
# Seven digits that no clock, count or price produces: a match is a customer id.
KNOWN = [9172635 + 13 * n for n in range(40)]
SPOILT = [8264719 + 17 * n for n in range(12)]
BARRED = [7351824 + 19 * n for n in range(60)]


def spoilt_lines(day: str) -> list[bytes]:
    """One line with a customer for each reason to set a line aside."""
    ids = iter(SPOILT)

    def good() -> str:
        return line(day, "900", next(ids))

    texts = [
        good().replace(",1,", ",one,"),
        good().replace(",2.5,", ",1e308,"),
        good().replace(day, "2010-12-25"),
        good().replace(f"{day} ", f"{day}T25:"),
        good().replace("A THING", "A,THING"),
        good().removesuffix(",United Kingdom"),
        f"{good()},more,of,it",
        good().replace(".0,", ".5,"),
        good().replace(".0,", " and 8888888.0,"),
        good().replace("A THING", '"A THING"" of "somebody'),
    ]
    not_utf8 = good().encode().replace(b"A THING", b"CAF\xe9")
    cut_off = good().encode().partition(b",United")[0]
    return [*(text.encode() for text in texts), not_utf8, cut_off]


@dataclass(frozen=True)
class Lived:
    """A home that took in days with these customers, and all output meanwhile."""

    home: Path
    said: str

    def files(self) -> Iterator[tuple[Path, bytes]]:
        return ((path, path.read_bytes()) for path in self.home.rglob("*") if path.is_file())

    def values(self) -> Iterator[tuple[str, str]]:
        """Every value of every table, as text: a database may keep text in a form that bytes do not show.

        Measured figures are rounded to three places: the sixteen digits of a fraction of a second hold one of
        these ids by chance in one run of a hundred. An id stored as a number is whole and stays visible.
        """
        for path in self.home.rglob("*.duckdb"):
            with duckdb.connect(str(path), read_only=True) as connection:
                tables = connection.execute(
                    """
                    select
                        schema_name || '.' || table_name,
                        list(
                            case data_type
                                when 'DOUBLE' then printf('round("%s", 3)::varchar', column_name)
                                else printf('"%s"::varchar', column_name)
                            end
                        )
                    from duckdb_columns() semi join duckdb_tables() using (table_oid)
                    group by all
                    """
                ).fetchall()
                for table, columns in tables:
                    for row in connection.execute(f"select {', '.join(columns)} from {table}").fetchall():
                        yield f"{path.name}: {table}", " ".join(value for value in row if value is not None)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """Two days that pass, a closed day, and one that the first gate bars; then two profile look-ups."""
    folder = tmp_path_factory.mktemp("privacy")
    landing = folder / "landing"
    landing.mkdir()
    for day in (FIRST, "2010-12-03"):
        good = [line(day, f"{500 + n}", customer).encode() for n, customer in enumerate(KNOWN * 25)]
        aside = spoilt_lines(day) if day == FIRST else []
        (landing / f"{day}.csv").write_bytes(b"\n".join([HEADER.encode(), *good, *aside, b""]))
    barred = [line(LAST, "C500", customer, price="much") for customer in BARRED]
    (landing / f"{LAST}.csv").write_text("\n".join([HEADER, *barred, ""]))

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return call_goodstanding(folder / "home", landing, *arguments)

    ran = call("run", "--daily", "--from", FIRST, "--to", LAST, "--json")
    assert ran.returncode == 1 and json.loads(ran.stdout)["kind"] == "GateFailed", ran.stderr
    found, unknown = call("profile", str(KNOWN[0])), call("profile", str(SPOILT[0]))
    assert (found.returncode, unknown.returncode) == (0, 1)
    called = (ran, found, unknown, call("status"))
    return Lived(folder / "home", "".join(done.stdout + done.stderr for done in called))


def digits(ids: list[int]) -> re.Pattern[str]:
    return re.compile("|".join(str(number) for number in ids))


def test_these_customers_are_in_the_warehouse_under_their_pseudonyms(lived: Lived) -> None:
    """Otherwise the other tests would pass because there is nothing to find."""
    key = bytes.fromhex((lived.home / "pseudonym.key").read_text())
    words = {word for table, row in lived.values() if "order_lines" in table for word in row.split()}
    assert {pseudonym(str(customer), key) for customer in KNOWN} <= words
    with duckdb.connect(str(lived.home / "warehouse" / "intake.duckdb"), read_only=True) as connection:
        aside = connection.execute(
            "select event_day::varchar, count(*) from raw.rejected_order_lines group by 1 order by 1"
        ).fetchall()
    assert aside == [(FIRST, len(SPOILT)), (LAST, len(BARRED))]


def test_no_file_of_the_home_holds_a_customer_id_of_the_shop(lived: Lived) -> None:
    wanted = re.compile(digits(KNOWN + SPOILT + BARRED).pattern.encode())
    files = dict(lived.files())
    suffixes = {path.suffix for path in files}
    assert {".duckdb", ".sqlite", ".log", ".json", ".html", ".key"} <= suffixes, "all that a run leaves"
    assert {str(path): match[0] for path, content in files.items() if (match := wanted.search(content))} == {}


def test_no_value_of_any_table_holds_a_customer_id_of_the_shop(lived: Lived) -> None:
    wanted = digits(KNOWN + SPOILT + BARRED)
    assert [(table, row) for table, row in lived.values() if wanted.search(row)] == []


def test_no_output_holds_a_customer_id_of_the_shop(lived: Lived) -> None:
    assert "gate raw_orders stops" in lived.said and "no customer with this id" in lived.said
    assert digits(KNOWN + SPOILT + BARRED).search(lived.said) is None


def test_the_key_is_only_in_its_own_file_which_only_the_owner_can_read(lived: Lived) -> None:
    path = lived.home / "pseudonym.key"
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text().strip().encode()
    forms = (text, text.upper(), bytes.fromhex(text.decode()))
    holders = [file for file, content in lived.files() if any(form in content for form in forms)]
    assert holders == [path]


@pytest.fixture(scope="module")
def real_ids(real_landing: Path) -> set[str]:
    """Every customer id of the real year, as the mapping casts it."""
    ids: set[str] = set()
    for path in real_landing.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            ids |= {row["CustomerID"].removesuffix(".0") for row in csv.DictReader(file)}
    ids.discard("")
    assert len(ids) == 4_372 and "17850" in ids
    return ids


def texts(path: Path) -> Iterator[str]:
    """The text of a file; of JSON only its strings, as its numbers may hold the digits of an id by chance."""
    if path.suffix != ".json":
        yield path.read_text(encoding="utf-8", errors="replace")
        return

    def inside(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from inside(part)

    yield from inside(json.loads(path.read_text()))


def test_after_the_real_year_no_log_check_site_or_card_holds_a_customer_id(
    real_year: Year, real_ids: set[str]
) -> None:
    word = re.compile(r"(?<![\w.,])(\d{5})(?:\.0)?(?![\w,]|\.\d)")
    folders = ("logs", "checks", "published", "models", "dbt")
    suffixes = (".log", ".json", ".html", ".sql", ".txt", "")
    paths = [
        path
        for folder in folders
        for path in (real_year.home / folder).rglob("*")
        if path.is_file() and path.suffix in suffixes
    ]
    assert len(paths) > 50
    named = {
        f"{path.relative_to(real_year.home)}: {number}"
        for path in paths
        for text in texts(path)
        for number in word.findall(text)
        if number in real_ids
    }
    assert named == set()


def test_after_the_real_year_no_text_column_holds_a_customer_id(real_year: Year) -> None:
    searched = 0
    for path in sorted(real_year.home.rglob("*.duckdb")):
        with duckdb.connect(str(path), read_only=True) as connection:
            columns = connection.execute(
                """
                select schema_name || '.' || table_name, column_name
                from duckdb_columns() semi join duckdb_tables() using (table_oid)
                where data_type in ('VARCHAR', 'JSON')
                """
            ).fetchall()
            for table, column in columns:
                found = connection.execute(
                    f"""
                    select count(*) from {table}
                    where contains({column}, '17850') and regexp_matches({column}, '\\b17850(\\.0)?\\b')
                    """
                ).fetchone()
                assert found == (0,), f"{path.name}: {table}.{column}"
                searched += 1
    assert searched > 50
