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
from tests.shop import ACCOUNT_HEADERS, HEADER, mapping


class SmallShop:
    """A home, its landing and its mapping. Customers are asked for and shown by the ids of the files."""

    def __init__(
        self, folder: Path, use_settings: Callable[..., Settings], accounts: bool = False, more: str = ""
    ) -> None:
        shop = mapping(folder, accounts)
        shop.write_text(shop.read_text() + more)
        self.landing = folder / "landing"
        self.landing.mkdir(parents=True, exist_ok=True)
        self.folder, self.use_settings = folder, use_settings
        self.settings = use_settings(
            home=folder / "home", landing=self.landing, shop=shop, pseudonym_key="ab" * 32
        )

    def put(self, name: str, *lines: str) -> None:
        """Write a file of the landing: orders, or one of the kind that its folder names."""
        path = self.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        header = ACCOUNT_HEADERS.get(path.parent.name, HEADER)
        path.write_text("\n".join([header, *lines]) + "\n")

    def move(self) -> None:
        """Go on in a home that knows nothing yet."""
        self.settings = self.use_settings(home=self.folder / "clean")

    def run(self, first: str, last: str | None = None) -> None:
        """Take in days and transform them."""
        days = Days(date.fromisoformat(first), date.fromisoformat(last or first))
        for step in (steps.ingest, steps.check_raw, steps.transform, steps.check_invoices):
            step(days, "run")

    def ids(self) -> dict[str, int]:
        """The ids of the files, by their pseudonyms."""
        key = pseudonym_key(self.settings)
        return {pseudonym(str(number), key): number for number in range(1000)}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query on the working files, with the ids of the files in place of pseudonyms."""
        ids = self.ids()
        with open_warehouse(self.settings) as connection:
            rows = connection.execute(sql).fetchall()
        return [
            tuple(ids.get(value, value) if isinstance(value, str) else value for value in row) for row in rows
        ]
