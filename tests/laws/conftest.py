"""A warehouse that a test drives step by step, and hashes of every table that readers see."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from goodstanding.core.days import Days
from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import STEPS
from pipeline import steps
from tests.shop import line, mapping, write_day

FIRST = date(2011, 1, 29)
KEY = "ab" * 32
# what lines of payments and returns name: no order, one that nobody placed, and numbers of several days
ORDERS = ("", "A", "00", "01", "02")


@dataclass
class Warehouse:
    """One home and its landing."""

    use: Callable[..., Settings]
    home: Path
    landing: Path
    shop: Path

    def step(self, name: str, first: date, last: date | None = None) -> None:
        """Run one step for these days."""
        self.use(home=self.home, landing=self.landing, shop=self.shop, pseudonym_key=KEY)
        getattr(steps, name)(Days(first, last or first), f"run of {first}")

    def run(self, first: date, last: date | None = None) -> None:
        """Run all steps for these days."""
        for name in STEPS:
            self.step(name, first, last)

    def seen_by_readers(self) -> dict[str, str]:
        """Each published table, and each view that unfolds versions, as a hash of its ordered rows."""
        with duckdb.connect(str(self.home / "published" / "current.duckdb"), read_only=True) as connection:
            tables = connection.execute(
                """
                select schema_name, table_name from duckdb_tables()
                where schema_name in ('marts', 'marts_versions', 'features')
                union all
                select schema_name, view_name from duckdb_views() where schema_name = 'marts'
                order by all
                """
            ).fetchall()
            hashes = {}
            for schema, table in tables:
                # their rows depend on what was published before and when: see test_restatements.py
                if table in ("publication", "restatements"):
                    continue
                rows = connection.execute(f"select * from {schema}.{table} order by all").fetchall()
                digest = hashlib.sha256(repr(rows).encode()).hexdigest()
                hashes[f"{schema}.{table}"] = f"{len(rows)} rows {digest[:12]}"
            return hashes

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Read the published file."""
        with duckdb.connect(str(self.home / "published" / "current.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()


def drawn_day(draw: random.Random, day: date) -> list[str]:
    """Order lines of a day: few customers and products, so cancellations, ties and duplicates abound."""
    lines = []
    for number in range(draw.randint(3, 9)):
        customer = draw.choice([None, 11, 12, 13, 14, 15])
        cancels = draw.random() < 0.35
        # some numbers come again on other days, as with a till whose numbers start anew each morning
        invoice = f"{'C' if cancels else ''}{draw.choice(['', f'{day:%d}'])}{number:02}"
        at = f"{draw.randint(8, 9):02}:00:00"
        for _ in range(draw.randint(1, 2)):
            quantity = draw.randint(1, 3) * (-1 if cancels else 1)
            text = line(day, invoice, customer, draw.choice("XY"), quantity, draw.choice(["1.25", "2"]), at)
            lines += [text] * draw.choice([1, 1, 1, 2])
    return lines


def drawn_accounts(draw: random.Random, day: date) -> list[str]:
    """Lines of the other kinds: few orders and instalments, which other days repeat; 16 never orders."""
    lines = []
    for _ in range(draw.randint(1, 4)):
        customer, order = draw.choice([11, 12, 13, 16]), draw.choice(ORDERS)
        due = day + timedelta(days=draw.randint(-2, 2))
        paid = draw.choice(["", day - timedelta(days=draw.randint(0, 1))])
        method, left = draw.choice(["card", "debit", "cod", "account"]), draw.choice(["", "4.5"])
        lines.append(
            f"payments:{order},{customer},{method},{draw.randint(1, 2)},3,{due},{paid},{left},{left}"
        )
    for _ in range(draw.randint(0, 2)):
        customer, order = draw.choice([11, 12, 16]), draw.choice(ORDERS[1:])
        lines.append(f"returns:{order},{customer},{day} 10:00:00,{draw.choice(['refused', 'torn'])},2")
        lines.append(f"deliveries:{order},{customer},{day} 10:00:00,{draw.choice(['cod', 'post'])}")
    return lines


@pytest.fixture
def warehouse(tmp_path: Path, use_settings: Callable[..., Settings]) -> Callable[..., Warehouse]:
    """Make warehouses of one shop; a seed decides the lines of the days in their landing."""

    def make(name: str, landing: Path | None = None, accounts: bool = False) -> Warehouse:
        folder = tmp_path / name
        folder.mkdir()
        shop = mapping(folder, accounts)
        return Warehouse(use_settings, folder / "home", landing or folder / "landing", shop)

    return make


def fill(landing: Path, seed: int, days: Iterable[date]) -> None:
    """Draw the files of some days."""
    draw = random.Random(seed)
    for day in days:
        write_day(landing, day, drawn_day(draw, day))


def days_from(count: int) -> list[date]:
    """`count` days over a month end."""
    return [FIRST + timedelta(days=n) for n in range(count)]
