"""What files tell of an order ends its commitment, lowers it, or lets it go on, whatever was told before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from app.api.receipts import Identity, Inquiry, Now, Receipts
from goodstanding.core.vocabulary import now_utc
from goodstanding.decisions.decide import Question, Standing
from goodstanding.decisions.policy import COD, EMI, read_policies
from goodstanding.warehouse.exposure import expose, settle
from tests.small_policy import POLICY

DAY = date(2026, 3, 11)
ANN = "a" * 32
BEST = Standing(None, "2026-03-10", 1, "Best", "all", {"credit_score": 12, "return_rate": 0.0})
STRANGER = Standing("first_time_buyer", "2026-03-10", 1, is_stranger=True)
TABLES = """
attach ':memory:' as intake;
create schema intake.raw;
create table intake.raw.deliveries (customer_id varchar, invoice_no varchar, event_day date);
create schema features;
create table features.invoice_states (
    customer_id varchar, invoice_no varchar, invoice_day date, valid_from date, valid_until date,
    net_amount decimal(28, 4), is_kept boolean
);
create table features.order_accounts (
    customer_id varchar, invoice_no varchar, invoice_day date, refused_day date
);
create table features.instalment_states (
    customer_id varchar, invoice_no varchar, invoice_day date, valid_until date, settled_day date,
    amount decimal(28, 4), outstanding decimal(28, 4)
);
create schema marts;
create table marts.order_lines (
    customer_id varchar, invoice_no varchar, event_day date, invoice_kind varchar
);
create table marts.payment_behaviour (customer_id varchar, as_of date, outstanding decimal(28, 4));
"""


class Shop:
    """A warehouse with the tables that tell of orders, and receipts beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.receipts = folder, Receipts(folder)
        self.file = duckdb.connect()
        self.file.execute(TABLES)

    def take(self, method: str = COD, order: str = "7", basket: str = "600.00", **more: Any) -> str:
        (policy,) = read_policies(POLICY)
        months = 3 if method == EMI else None
        question, standing = Question(method, Decimal(basket), months), more.get("standing", BEST)
        customer, identity = more.get("customer", ANN), Identity(guest=more.get("guest"))
        inquiry = Inquiry(DAY, customer, question, standing, None, policy, identity=identity)
        (answer,) = self.receipts.decide([inquiry])
        self.receipts.commit(answer["receipt_id"], order, Now(DAY))
        return str(answer["receipt_id"])

    def tell(self, table: str, *row: Any) -> None:
        self.file.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)

    def order(
        self, days: int = 1, kept: bool = True, amount: int = 600, since: int | None = None, who: str = ANN
    ) -> None:
        day = DAY + timedelta(days=days)
        changed = DAY + timedelta(days=days if since is None else since)
        self.tell("features.invoice_states", who, "7", day, changed, None, amount, kept)

    def open(self, days: int) -> list[tuple[Any, ...]]:
        """The rows of a publication of so many days later: order, open and until; and it is settled."""
        as_of = DAY + timedelta(days=days)
        exposure = expose(self.file, self.folder, as_of)
        settle(self.folder, exposure, now_utc())
        rows = exposure.rows[["order_id", "open", "until"]].itertuples(index=False)
        return [(order, float(cents), (until.date() - DAY).days) for order, cents, until in rows]

    def asked(self, days: int, method: str = COD, known: str = "9") -> str:
        """What is open by an answer of so many days later, that rests on the newest publication."""
        (policy,) = read_policies(POLICY)
        day = DAY + timedelta(days=days)
        inquiry = Inquiry(day, ANN, Question(method, Decimal("0.01")), BEST, None, policy, known=known)
        (answer,) = self.receipts.decide([inquiry])
        return str(Decimal(answer["open_after"]) - Decimal(answer["granted"]))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    shop.file.close()


def test_without_commitments_nothing_is_open(tmp_path):
    shop = Shop(tmp_path / "none")
    assert shop.open(0) == [] and not (tmp_path / "none").exists()
    shop = Shop(tmp_path)
    shop.receipts.release(shop.take(), "cancelled")
    assert shop.open(0) == []


def test_what_no_file_tells_of_is_open_by_itself(shop):
    shop.take(COD), shop.take(EMI)
    assert sorted(shop.open(0)) == [("7", 600.0, 21), ("7", 600.0, 92)]
    assert shop.open(22) == [("7", 600.0, 92)], "on delivery it can come back no more"
    assert shop.asked(0) == shop.asked(0, EMI) == "600.00"


def test_an_order_that_never_came_expires_once_its_days_are_published(shop):
    shop.take(EMI)
    assert shop.open(29) == [("7", 600.0, 92)] and shop.asked(29, EMI) == "600.00"
    assert shop.asked(60, EMI) == "400.00", "no file was there to tell that it did not come"
    assert shop.open(30) == [] and shop.asked(30, EMI) == "0.00"
    # its file comes late: what was told is told no more
    shop.order()
    assert shop.open(31) == [("7", 600.0, 92)] and shop.asked(31, EMI) == "600.00"


@pytest.mark.parametrize("method", [COD, EMI])
def test_an_order_that_came_back_is_open_no_more(shop, method):
    shop.take(method)
    shop.order(kept=False, amount=0, since=5)
    assert shop.open(6) == [] and shop.asked(6, method) == "0.00"


@pytest.mark.parametrize(("method", "until"), [(COD, 21), (EMI, 92)])
def test_of_an_order_that_came_back_in_part_the_rest_is_open(shop, method, until):
    shop.take(method)
    shop.order(amount=250, since=5)
    assert shop.open(6) == [("7", 250.0, until)] and shop.asked(6, method) == "250.00"


def test_an_order_that_was_refused_at_the_door_is_open_no_more(shop):
    shop.take()
    shop.order()
    shop.tell("features.order_accounts", ANN, "7", DAY + timedelta(days=1), DAY + timedelta(days=4))
    assert shop.open(4) == [] and shop.asked(4) == "0.00"


def test_on_delivery_is_open_for_the_return_window_after_it(shop):
    shop.take()
    shop.order()
    # deliveries are told, of others
    shop.tell("intake.raw.deliveries", "b" * 32, "7", DAY + timedelta(days=2))
    assert shop.open(3) == [("7", 600.0, 30)], "while it is on its way it stays open"
    assert shop.asked(25) == "600.00"
    shop.tell("intake.raw.deliveries", ANN, "7", DAY + timedelta(days=3))
    assert shop.open(4) == [("7", 600.0, 17)] and shop.open(18) == []
    assert (shop.asked(17), shop.asked(18)) == ("600.00", "0.00")


def test_where_no_delivery_is_told_payment_tells_it(shop):
    shop.take()
    shop.order()
    order = (ANN, "7", DAY + timedelta(days=1), None)
    shop.tell("features.instalment_states", *order, None, 600, None)
    assert shop.open(3) == [("7", 600.0, 21)]
    shop.file.execute("update features.instalment_states set settled_day = ?", [DAY + timedelta(days=2)])
    assert shop.open(3) == [("7", 600.0, 16)]


def test_what_payments_tell_is_owed_and_not_counted_twice(shop):
    shop.take(EMI)
    shop.order()
    shop.tell("features.instalment_states", ANN, "7", DAY + timedelta(days=1), None, None, 600, None)
    assert shop.open(2) == [("7", 600.0, 92)], "the debt of the customer is not known"
    for outstanding, rows in ((None, [("7", 600.0, 92)]), (400, [])):
        shop.file.execute("delete from marts.payment_behaviour")
        shop.tell("marts.payment_behaviour", ANN, DAY + timedelta(days=2), outstanding)
        assert shop.open(2) == rows
    assert shop.asked(2, EMI) == "0.00"
    assert shop.asked(2, EMI, known="2026-03-12T00:00:00.000000") == "600.00", (
        "an answer that rests on an older publication does not know the debt, so it counts what is open"
    )


def test_instalments_that_are_still_to_be_stated_stay_open(shop):
    """A shop that states each instalment as it falls due states no debt for those to come."""
    shop.take(EMI)
    shop.order()
    shop.tell("marts.payment_behaviour", ANN, DAY + timedelta(days=35), 0)
    day = DAY + timedelta(days=1)
    shop.tell("features.instalment_states", ANN, "7", day, None, DAY + timedelta(days=30), 200, None)
    assert shop.open(35) == [("7", 400.0, 92)] and shop.asked(35, EMI) == "400.00"
    # stated in full, by the instalments or by what is outstanding, it is a debt
    shop.file.execute("update features.instalment_states set outstanding = 400")
    assert shop.open(35) == []
    shop.file.execute("update features.instalment_states set outstanding = null, amount = 600")
    assert shop.open(35) == []


def test_the_debt_of_another_leaves_open_what_a_guest_took(shop):
    shop.take(EMI, standing=replace(BEST, is_stranger=True), customer=None, guest="g" * 32)
    shop.order(who="b" * 32)
    day = DAY + timedelta(days=1)
    shop.tell("features.instalment_states", "b" * 32, "7", day, None, None, 600, 600)
    shop.tell("marts.payment_behaviour", "b" * 32, DAY + timedelta(days=2), 600)
    assert shop.open(2) == [("7", 600.0, 92)]


def test_an_order_of_ones_own_comes_before_that_of_another_with_its_id(shop):
    shop.take(basket="40.00", standing=STRANGER)
    shop.order(kept=False, who="0" * 32)
    shop.order(days=2, amount=40)
    assert shop.open(2) == [("7", 40.0, 21)]


def test_another_customers_order_of_that_id_or_an_earlier_one_tells_nothing(shop):
    shop.take()
    shop.order(kept=False, who="b" * 32)
    shop.order(days=-40, kept=False)
    assert shop.open(2) == [("7", 600.0, 21)]


def test_the_order_of_a_stranger_is_found_by_its_id_alone(shop):
    shop.take(basket="40.00", standing=STRANGER, customer=None, guest="g" * 32)
    assert shop.open(0) == [("7", 40.0, 21)]
    shop.order(kept=False, who="b" * 32)
    assert shop.open(2) == []


@pytest.mark.parametrize("customer", [None, ANN])
def test_an_order_of_nobody_has_come_in_and_does_not_expire(shop, customer):
    shop.take(EMI, standing=replace(BEST, is_stranger=customer is None), customer=customer)
    day = DAY + timedelta(days=1)
    # a cancellation, another order, and one of before
    for number, days, kind in (("7", 1, "cancellation"), ("8", 1, "sale"), ("7", -9, "sale")):
        shop.tell("marts.order_lines", None, number, DAY + timedelta(days=days), kind)
    assert shop.open(30) == [], "it never came"
    for _ in range(2):
        shop.tell("marts.order_lines", None, "7", day, "sale")
    assert shop.open(31) == [("7", 600.0, 92)]


def test_an_order_of_nobody_comes_before_that_of_another_and_after_ones_own(shop):
    shop.take(basket="40.00", standing=STRANGER, customer=None)
    shop.order(days=2, kept=False, who="0" * 32)
    assert shop.open(3) == []
    shop.tell("marts.order_lines", None, "7", DAY + timedelta(days=3), "sale")
    assert shop.open(3) == [("7", 40.0, 21)]
    shop.tell("intake.raw.deliveries", None, "7", DAY + timedelta(days=5))
    assert shop.open(6) == [("7", 40.0, 19)]


def test_the_order_of_another_tells_nothing_of_a_first_order(shop):
    shop.take(basket="40.00", standing=STRANGER)
    shop.order(kept=False, who="b" * 32)
    assert shop.open(2) == [("7", 40.0, 21)]
    shop.tell("marts.order_lines", None, "7", DAY + timedelta(days=1), "sale")
    shop.order(days=2, kept=False)
    assert shop.open(2) == []
