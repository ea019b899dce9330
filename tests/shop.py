"""A tiny shop for tests: day files in the public format, written line by line."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"

ACCOUNT_HEADERS = {
    "payments": "Order,Customer,Method,No,Amount,Due,Paid,Left,Limit",
    "returns": "Order,Customer,When,Why,Amount",
    "deliveries": "Order,Customer,When,How",
}
ACCOUNTS = """
payments:
  files: {path: "payments/{day}.csv"}
  columns:
    invoice_no: {from: Order, as: text, optional: true}
    customer_id: {from: Customer, as: whole_number}
    method: {from: Method, as: text, optional: true}
    instalment_no: {from: "No", as: integer, optional: true}
    amount: {from: Amount, as: decimal}
    due_day: {from: Due, as: date}
    paid_day: {from: Paid, as: date, optional: true}
    outstanding: {from: Left, as: decimal, optional: true}
    credit_limit: {from: Limit, as: decimal, optional: true}
  kinds:
    auto_billed: {column: method, matches: "^debit$"}
    on_delivery: {column: method, matches: "^cod$"}
    on_account: {column: method, matches: "^account$"}
returns:
  files: {path: "returns/{day}.csv"}
  columns:
    invoice_no: {from: Order, as: text}
    customer_id: {from: Customer, as: whole_number}
    returned_at: {from: When, as: timestamp}
    cause: {from: Why, as: text, optional: true}
    amount: {from: Amount, as: decimal, optional: true}
  kinds:
    refusal: {column: cause, matches: "^refused$"}
deliveries:
  files: {path: "deliveries/{day}.csv"}
  columns:
    invoice_no: {from: Order, as: text}
    customer_id: {from: Customer, as: whole_number}
    delivered_at: {from: When, as: timestamp}
    method: {from: How, as: text, optional: true}
  kinds:
    on_delivery: {column: method, matches: "^cod$"}
"""


def line(
    day: date | str,
    invoice: str,
    customer: int | None,
    code: str = "22423",
    quantity: int = 1,
    price: float | str = 2.5,
    at: str = "10:00:00",
) -> str:
    """One order line as the public files write it."""
    shown = f"{customer}.0" if customer else ""
    return f"{invoice},{code},A THING,{quantity},{day} {at},{price},{shown},United Kingdom"


def write_day(landing: Path, day: date | str, lines: Iterable[str]) -> Path:
    """Write the file of a day."""
    landing.mkdir(parents=True, exist_ok=True)
    path = landing / f"{day}.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def write_accounts(landing: Path, day: date | str, lines: Iterable[str]) -> None:
    """Write a day's files of the other kinds, of lines like `payments:A1,...`; none for a kind without."""
    lines = list(lines)
    for kind, header in ACCOUNT_HEADERS.items():
        path = landing / kind / f"{day}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        of_kind = [text.removeprefix(f"{kind}:") for text in lines if text.startswith(f"{kind}:")]
        if of_kind:
            path.write_text("\n".join([header, *of_kind]) + "\n")
        else:
            path.unlink(missing_ok=True)


def mapping(folder: Path, accounts: bool = False, take_in: bool = False) -> Path:
    """A mapping like `shops/online_retail.yml` of a shop that may have no file on any day.

    With `accounts` it has payments, returns and deliveries too; with `take_in` a file may hold rows of the
    days beside its own.
    """
    text = Path(__file__).parent.parent.joinpath("shops", "online_retail.yml").read_text()
    if take_in:
        text = text.replace("files:", "files:\n  rows_of_other_days: take_in", 1)
    path = folder / "tiny.yml"
    path.write_text(text[: text.index("closed:")] + (ACCOUNTS if accounts else ""))
    return path
