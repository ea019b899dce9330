"""Nothing is mapped and then read by nobody: each stored column of each kind changes a published figure.

Many customers do the same; of each, one column of one kind holds another value. What is published of such a
customer differs from what is published of the customer of whom nothing was changed.
"""

from __future__ import annotations

from datetime import date

import pytest

from goodstanding.core.days import Days
from goodstanding.core.settings import Settings
from goodstanding.identity.pseudonyms import pseudonym
from goodstanding.shops.kinds import KINDS
from goodstanding.warehouse.files import open_intake, open_warehouse
from pipeline import steps
from tests.laws.history import own_settings, use_here

KEY = "ab" * 32
DAYS = Days(date(2011, 3, 1), date(2011, 3, 4))
MAPPING = """
source: tiny
timezone: Europe/London
currency: GBP
files: {path: "orders-{day}.csv"}
columns:
  invoice_no: {from: order, as: text}
  stock_code: {from: sku, as: text}
  description: {from: text, as: text}
  quantity: {from: qty, as: integer}
  ordered_at: {from: at, as: timestamp}
  unit_price: {from: price, as: decimal}
  customer_id: {from: customer, as: text}
  country: {from: country, as: text}
  payment_type: {from: pay, as: text}
  channel: {from: channel, as: text}
  weight: {from: weight, as: decimal}
invoice_kinds:
  cancellation: {column: invoice_no, matches: "^C"}
no_products: [POST]
payments:
  files: {path: "payments-{day}.csv"}
  columns:
    customer_id: {from: customer, as: text}
    invoice_no: {from: order, as: text}
    method: {from: method, as: text}
    instalment_no: {from: no, as: integer}
    amount: {from: amount, as: decimal}
    due_day: {from: due, as: date}
    paid_day: {from: paid, as: date, optional: true}
    paid_amount: {from: paid_amount, as: decimal, optional: true}
    days_late: {from: late, as: integer, optional: true}
    outstanding: {from: left, as: decimal, optional: true}
    credit_limit: {from: limit, as: decimal}
    recorded_at: {from: at, as: timestamp}
returns:
  files: {path: "returns-{day}.csv"}
  columns:
    customer_id: {from: customer, as: text}
    invoice_no: {from: order, as: text}
    returned_at: {from: at, as: timestamp}
    amount: {from: amount, as: decimal}
    cause: {from: cause, as: text}
deliveries:
  files: {path: "deliveries-{day}.csv"}
  columns:
    customer_id: {from: customer, as: text}
    invoice_no: {from: order, as: text}
    delivered_at: {from: at, as: timestamp}
    method: {from: method, as: text}
"""
ORDERS = "customer,order,sku,text,qty,at,price,country,pay,channel,weight"
FILES = {
    "orders-2011-03-01": (
        ORDERS,
        [
            "1,TEA,tea,4,2011-03-01 10:00,10.00,UK,card,web,2.5",
            "1,POST,post,1,2011-03-01 10:00,3.00,UK,card,web,2.5",
        ],
    ),
    "orders-2011-03-02": (
        ORDERS,
        [
            "2,MUG,mug,1,2011-03-02 10:00,5.00,UK,card,web,2.5",
            "C1,TEA,tea,-1,2011-03-02 11:00,10.00,UK,card,web,2.5",
        ],
    ),
    "payments-2011-03-02": (
        "customer,order,method,no,amount,due,paid,paid_amount,late,left,limit,at",
        [
            "1,card,1,10.00,2011-03-02,2011-03-02,,,,100.00,2011-03-02 09:00",
            "1,card,2,10.00,2011-03-01,,4.00,,,100.00,2011-03-02 09:00",
            # taken back an hour later
            "2,card,1,5.00,2011-03-01,,5.00,,,100.00,2011-03-02 10:00",
            "2,card,1,5.00,2011-03-01,,,,,100.00,2011-03-02 11:00",
            "3,card,1,7.00,2011-03-01,,,9,7.00,100.00,2011-03-02 12:00",
        ],
    ),
    "returns-2011-03-03": (
        "customer,order,at,amount,cause",
        # two, which are told apart by their times and causes
        [
            "1,2011-03-03 10:00,11.00,broken",
            "1,2011-03-03 11:00,11.00,broken",
            "1,2011-03-03 11:00,11.00,torn",
        ],
    ),
    "deliveries-2011-03-02": ("customer,order,at,method", ["2,2011-03-02 10:00,post"]),
}
# what a column holds instead, as SQL; of all lines, or where a condition holds
CHANGED = {
    "orders.invoice_no": "'9' || invoice_no",
    "orders.invoice_kind": "'adjustment'",
    "orders.stock_code": "'CUP' where stock_code = 'MUG'",
    "orders.is_product": "false",
    "orders.description": "'other'",
    "orders.quantity": "quantity + 1 where stock_code = 'MUG'",
    "orders.ordered_at": "ordered_at + interval 1 hour",
    "orders.unit_price": "unit_price + 1",
    "orders.amount": "amount + 1",
    "orders.line_total": "5",
    "orders.customer_id": "'somebody'",
    "orders.country": "'France'",
    "orders.payment_type": "'cash'",
    "orders.channel": "'app'",
    "orders.weight": "3",
    "payments.invoice_no": "'7'",
    "payments.customer_id": "'somebody'",
    "payments.method_kind": "'on_account'",
    "payments.instalment_no": "1 where instalment_no = 2",
    "payments.amount": "amount + 1",
    "payments.due_day": "due_day - 1",
    "payments.paid_day": "null",
    "payments.paid_amount": "paid_amount + 1",
    "payments.tells_payment": "false",
    "payments.is_one_payment": "true",
    "payments.days_late": "days_late + 1",
    "payments.outstanding": "outstanding + 1",
    "payments.credit_limit": "50",
    "payments.recorded_at": "recorded_at - interval 3 hour, "
    "recorded_at_utc = recorded_at_utc - interval 3 hour where paid_amount is null",
    "returns.invoice_no": "'2'",
    "returns.customer_id": "'somebody'",
    "returns.return_kind": "'refusal'",
    "returns.returned_at": "date '2011-03-03'",
    "returns.amount": "1",
    "returns.cause": "'broken'",
    "deliveries.invoice_no": "'1'",
    "deliveries.customer_id": "'somebody'",
    "deliveries.method_kind": "'on_delivery'",
}
# columns of which no figure depends, and why they are kept all the same
UNREAD = {
    "payments.method": "what rules make method_kind of, as the shop wrote it",
    "deliveries.method": "what rules make method_kind of, as the shop wrote it",
    "deliveries.delivered_at": "its day is that of the file; no figure asks for the hour",
}


# the rows of each table
Tables = dict[str, list[tuple[object, ...]]]
IDS = ("customer_id", "order_line_id", "file_name", "line_number", "source")


def test_each_stored_column_is_changed_below_or_said_to_be_read_by_nobody() -> None:
    stored = {f"{kind.name}.{column}" for kind in KINDS for column in kind.stored}
    assert stored == CHANGED.keys() | UNREAD.keys() and not CHANGED.keys() & UNREAD.keys()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tables]:
    """By customer, and by table, the rows without what tells the customers apart."""
    folder = tmp_path_factory.mktemp("columns")
    (folder / "landing").mkdir()
    (folder / "shop.yml").write_text(MAPPING)
    people = ["nothing", *CHANGED, *UNREAD]
    for name, (header, lines) in FILES.items():
        rows = [f"{person},{line}" for person in people for line in lines]
        (folder / "landing" / f"{name}.csv").write_text("\n".join([header, *rows]) + "\n")
    ids = {person: pseudonym(person, bytes.fromhex(KEY)) for person in people}
    with own_settings():
        current = use_here(
            home=folder / "home", landing=folder / "landing", shop=folder / "shop.yml", pseudonym_key=KEY
        )
        for step in (steps.ingest, steps.check_raw):
            step(DAYS, "run")
        _change(current, ids)
        steps.transform(DAYS, "run")
        return {person: _published(current, customer) for person, customer in ids.items()}


def _change(current: Settings, ids: dict[str, str]) -> None:
    tables = {kind.name: kind.table for kind in KINDS}
    with open_intake(current) as connection:
        for name, expression in {**CHANGED, **{unread: "null" for unread in UNREAD}}.items():
            kind, column = name.split(".")
            value, _, where = expression.partition(" where ")
            if name == "deliveries.delivered_at":
                value = "delivered_at + interval 1 hour"
            changed = connection.execute(
                f"update raw.{tables[kind]} set {column} = {value} "
                f"where customer_id = '{ids[name]}' and {where or 'true'}"
            ).fetchone()
            assert changed and changed[0] > 0, name


def _published(current: Settings, customer: str) -> Tables:
    with open_warehouse(current) as connection:
        tables = connection.execute(
            """
            select schema_name || '.' || table_name, list(column_name order by column_index)
            from duckdb_columns()
            where schema_name in ('marts', 'features') and database_name = current_database()
            group by 1 having list_contains(list(column_name), 'customer_id') order by 1
            """
        ).fetchall()
        return {
            table: connection.execute(
                f"select {', '.join(name for name in columns if name not in IDS)} from {table} "
                "where customer_id = ? order by all",
                [customer],
            ).fetchall()
            for table, columns in tables
        }


@pytest.mark.parametrize("name", CHANGED)
def test_a_changed_column_changes_what_is_published(published: dict[str, Tables], name: str) -> None:
    assert published[name] != published["nothing"]


@pytest.mark.parametrize("name", UNREAD)
def test_a_column_that_is_said_to_be_read_by_nobody_is(published: dict[str, Tables], name: str) -> None:
    assert published[name] == published["nothing"], UNREAD[name]
