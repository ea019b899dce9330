"""A home and a landing for tests of ingest, which checks after every ingest that no line was lost."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

from goodstanding.core.days import Days
from goodstanding.core.settings import PROJECT, Settings
from goodstanding.identity.pseudonyms import pseudonym, pseudonym_key
from goodstanding.ingest.load import ingest
from goodstanding.shops.kinds import KINDS
from goodstanding.warehouse.files import open_intake

SHOPS = Path(__file__).with_name("shops")
DAY = date(2011, 1, 4)
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
FIELDS = {
    "invoice": "536365",
    "code": "85123A",
    "description": "WHITE HEART",
    "quantity": "6",
    "time": "2011-01-04 08:26:00",
    "price": "2.55",
    "customer": "17850.0",
    "country": "United Kingdom",
}
TABLES = (
    *(f"raw.{known}{kind.table}" for kind in KINDS for known in ("", "rejected_")),
    *(f"raw.superseded_{known}{kind.table}" for kind in KINDS for known in ("", "rejected_")),
    "raw.files",
    "raw.days",
    "raw.day_versions",
    "raw.file_versions",
    "raw.changes",
    "ops.facts",
)
# the file and line of each row of any kind
TAKEN = " union all ".join(
    f"select event_day, file_name, line_number, invoice_no from raw.{kind.table}" for kind in KINDS
)
ASIDE = " union all ".join(
    f"select event_day, file_name, line_number from raw.rejected_{kind.table}" for kind in KINDS
)


def line(**fields: object) -> str:
    """One line of the online shop, without its line break."""
    return ",".join(str(value) for value in {**FIELDS, **fields}.values())


class Home:
    """One home; `put` a file into its landing, `ingest` it, and look at the tables."""

    def __init__(self, folder: Path, shop: str = "online_retail") -> None:
        self.landing = folder / "landing"
        self.landing.mkdir(parents=True, exist_ok=True)
        self.settings = Settings(home=folder / "home", landing=self.landing, shop=shop, _env_file=None)

    def put(
        self, *lines: str, day: date = DAY, name: str = "", header: str = HEADER, end: str = "\n"
    ) -> Path:
        """Write a well-formed file of these lines."""
        return self.put_bytes("".join(text + end for text in (header, *lines)).encode(), name or f"{day}.csv")

    def put_bytes(self, content: bytes, name: str = f"{DAY}.csv") -> Path:
        """Write a file as it is."""
        path = self.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def ingest(self, first: date = DAY, last: date | None = None) -> dict[str, int]:
        """Take in days; check that no line of any file is lost and each line number is the physical one."""
        counts = ingest(self.settings, Days(first, last or first), "test")
        self.check_books()
        return counts

    def check_books(self) -> None:
        """Compare the stored rows with the counts and with the files themselves."""
        for name, lines, accepted, rejected, taken, aside in self.rows(
            f"""
            select
                file_name, lines, accepted, rejected,
                (
                    select list((line_number, coalesce(invoice_no, '')))
                    from ({TAKEN})
                    where file_name = files.file_name and event_day = files.event_day
                ),
                (
                    select list(line_number) from ({ASIDE})
                    where file_name = files.file_name and event_day = files.event_day
                )
            from raw.files as files where note is null
            """
        ):
            taken, aside = taken or [], aside or []
            assert (len(taken), len(aside)) == (accepted, rejected)
            assert lines == accepted + rejected
            assert len({*(number for number, _ in taken), *aside}) == lines
            if name.endswith(".csv"):
                physical = (self.landing / name).read_bytes().split(b"\n")
                # a whole number has lost its leading zeros, the case may be that of the mapping, and an id in
                # it is a pseudonym
                begins = [
                    physical[number - 1]
                    .lstrip(b"0 ")
                    .upper()
                    .startswith(re.split("[0-9a-f]{32}", invoice)[0].lstrip("0").upper().encode())
                    for number, invoice in taken
                ]
                assert all(begins)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query on the intake file."""
        with open_intake(self.settings) as connection:
            return connection.execute(sql, list(values)).fetchall()

    def accepted(self, columns: str) -> list[tuple[Any, ...]]:
        """Columns of the accepted lines, in the order of their files."""
        return self.rows(f"select {columns} from raw.order_lines order by event_day, file_name, line_number")

    def rejected(self, columns: str = "line_number, reason") -> list[tuple[Any, ...]]:
        """Columns of the lines set aside, in the order of their files."""
        return self.rows(
            f"select {columns} from raw.rejected_order_lines order by event_day, file_name, line_number"
        )

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables that ingest writes."""
        return {table: self.rows(f"select * from {table} order by all") for table in TABLES}

    def pseudonym(self, customer: str) -> str:
        """The pseudonym of a customer in this home."""
        return pseudonym(customer, pseudonym_key(self.settings))


def home_with(folder: Path, *changes: tuple[str, str]) -> Home:
    """A home of the online shop whose mapping has other texts in the place of some."""
    text = (PROJECT / "shops" / "online_retail.yml").read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    mapping = folder / "shop.yml"
    mapping.write_text(text)
    return Home(folder, str(mapping))
