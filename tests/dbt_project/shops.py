"""A small shop whose files a test writes and transforms; its customers keep the ids of the files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from goodstanding.core.days import Days
from goodstanding.core.settings import Settings
from goodstanding.identity.pseudonyms import pseudonym, pseudonym_key
from goodstanding.warehouse.files import open_warehouse
from pipeline import steps
from tests.shop import HEADER, mapping


class SmallShop:
    """A home, its landing and its mapping. Customers are asked for and shown by the ids of the files."""

    def __init__(
        self, folder: Path, use_settings: Callable[..., Settings], accounts: bool = False, more: str = ""
    ) -> None:
        shop = mapping(folder, accounts)
        shop.write_text(shop.read_text() + more)
        self.landing = folder / "landing"
        self.landing.mkdir(parents=True, exist_ok=True)
        self.settings = use_settings(home=folder / "home", landing=self.landing, shop=shop)

    def put(self, name: str, *lines: str, header: str = HEADER) -> None:
        """Write a file of the landing."""
        path = self.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([header, *lines]) + "\n")

    def run(self, first: str, last: str | None = None) -> None:
        """Take in days and transform them."""
        days = Days(date.fromisoformat(first), date.fromisoformat(last or first))
        for step in (steps.ingest, steps.check_raw, steps.transform, steps.check_invoices):
            step(days, "run")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query on the working files, with the ids of the files in place of pseudonyms."""
        key = pseudonym_key(self.settings)
        ids = {pseudonym(str(number), key): number for number in range(1000)}
        with open_warehouse(self.settings) as connection:
            rows = connection.execute(sql).fetchall()
        return [
            tuple(ids.get(value, value) if isinstance(value, str) else value for value in row) for row in rows
        ]
