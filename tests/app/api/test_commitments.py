"""An order takes a quote once; what is open of it counts against the caps until it ends; none is exceeded."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from dateutil.relativedelta import relativedelta

from app.api import receipts as module
from app.api.commitments import Conflict, NoReceipt
from app.api.receipts import Identity, Inquiry, Now, Receipts
from goodstanding.decisions.decide import Question, Standing
from goodstanding.decisions.policy import COD, EMI, parse_policies, read_policies
from tests.app.api.publication import policy_rows
from tests.app.api.test_receipts import ANN, BOB, DAY, STANDING
from tests.small_policy import POLICY

BEST = replace(STANDING, customer_class="Best", values={"credit_score": 12, "return_rate": 0.02})
CART = Identity(basket="cart")
STRANGER = Standing("first_time_buyer", "2026-03-10", 1, is_stranger=True)


@pytest.fixture
def receipts(tmp_path: Path) -> Receipts:
    return Receipts(tmp_path / "receipts")


def ask(receipts: Receipts, basket: str, customer: str | None = ANN, method: str = COD, **more: Any) -> dict:
    (policy,) = more.pop("policies", read_policies(POLICY))
    months, *others = more.pop("months", [None])
    question = Question(method, Decimal(basket), months, tuple(others))
    standing = more.pop("standing", STANDING)
    day, identity = more.pop("day", DAY), more.pop("identity", None) or Identity(**more)
    (answer,) = receipts.decide([Inquiry(day, customer, question, standing, None, policy, identity=identity)])
    return answer


def take(receipts: Receipts, answer: dict, order_id: str, day: date = DAY, months: int | None = None) -> dict:
    return receipts.commit(answer["receipt_id"], order_id, Now(day), months)


def test_what_an_order_took_counts_and_what_it_gave_back_does_not(receipts):
    first, second = ask(receipts, "700.00"), ask(receipts, "400.00")
    taken = take(receipts, first, "A-1")
    assert (taken["granted"], taken["state"], taken["until"]) == ("700.00", "open", "2026-04-01")
    with pytest.raises(Conflict, match=r"400\.00 was quoted and 300\.00 is left\. A customer of class Good"):
        take(receipts, second, "A-2")
    third = ask(receipts, "400.00")
    assert (third["decision"], third["granted"], third["open_after"]) == ("partial", "300.00", "1000.00")
    assert "700.00 is granted already" in third["reasons"][0]["text"]
    assert receipts.verify(third["receipt_id"])["equal"]
    # others' room and other methods are their own
    assert ask(receipts, "400.00", BOB)["decision"] == "yes"
    assert ask(receipts, "400.00", method=EMI)["decision"] == "yes"
    given_back = receipts.release(first["receipt_id"], "typed_wrongly")
    assert (given_back["state"], given_back["released_because"]) == ("released", "typed_wrongly")
    assert receipts.release(first["receipt_id"], "cancelled") == given_back
    assert take(receipts, second, "A-2")["granted"] == "400.00"


def test_an_order_takes_a_receipt_once(receipts):
    first, second = ask(receipts, "100.00"), ask(receipts, "100.00")
    taken = take(receipts, first, "A-1")
    assert take(receipts, first, "A-1") == taken
    with pytest.raises(Conflict, match=f"A-1 has taken receipt {first['receipt_id']} already"):
        take(receipts, second, "A-1")
    with pytest.raises(Conflict, match="is taken by the order A-1; ask again for another order"):
        take(receipts, first, "A-2")
    # two orders of one amount are two
    take(receipts, second, "A-2")
    assert ask(receipts, "100.00")["open_after"] == "300.00"
    # what was given back can be taken by the same order anew, with another receipt
    receipts.release(first["receipt_id"], "typed_wrongly")
    with pytest.raises(Conflict, match=r"was released \(typed_wrongly\); ask again"):
        take(receipts, first, "A-1")
    take(receipts, ask(receipts, "90.00"), "A-1")
    assert ask(receipts, "100.00")["open_after"] == "290.00"


def test_an_order_paid_partly_at_the_door_and_partly_in_instalments_takes_both(receipts):
    for method in (COD, EMI):
        take(receipts, ask(receipts, "50.00", method=method), "A-1")


def test_what_cannot_be_taken_is_refused_with_its_reason(receipts, monkeypatch):
    for receipt_id in ("nothing", ""):
        with pytest.raises(NoReceipt, match="there is no receipt"):
            receipts.commit(receipt_id, "A-1", Now(DAY))
    with pytest.raises(NoReceipt, match="is not committed"):
        receipts.release(ask(receipts, "10.00")["receipt_id"], "cancelled")
    refused = ask(receipts, "10.00", standing=replace(STRANGER, situation="stale_data"), method=EMI)
    with pytest.raises(Conflict, match="grants nothing"):
        take(receipts, refused, "A-1")
    answer = ask(receipts, "10.00")
    later = datetime.fromisoformat(answer["quote_until"]).replace(tzinfo=None) + timedelta(microseconds=1)
    monkeypatch.setattr(module, "now_utc", lambda: later)
    with pytest.raises(Conflict, match=f"was good until {answer['quote_until']}; ask again"):
        take(receipts, answer, "A-1")
    monkeypatch.setattr(module, "now_utc", lambda: later - timedelta(microseconds=1))
    taken = take(receipts, answer, "A-1")
    monkeypatch.setattr(module, "now_utc", lambda: later + timedelta(days=3))
    assert take(receipts, answer, "A-1") == taken, "the answer to a commitment may get lost on its way"


def test_instalments_are_open_until_they_are_due_whatever_the_day_of_the_question(receipts):
    """What was granted on four days running was four times the cap."""
    for days in range(4):
        day = DAY + timedelta(days=days)
        answer = ask(receipts, "3000.00", method=EMI, months=[12], standing=BEST, day=day)
        assert answer["granted"] == ("0.00" if days else "3000.00"), days
        if not days:
            take(receipts, answer, "A-1", day)
            schedule = answer["plan"]["schedule"]
    for payment in schedule:
        due = DAY + relativedelta(months=payment["month"])
        before = ask(receipts, "3000.00", method=EMI, standing=BEST, day=due)
        after = ask(receipts, "3000.00", method=EMI, standing=BEST, day=due + timedelta(days=1))
        room = Decimal(3000) - Decimal(payment["balance"])
        assert Decimal(before["limit"]) == room - Decimal(payment["principal"])
        assert Decimal(after["limit"]) == room


def test_on_delivery_is_open_until_the_order_can_come_back_no_more(receipts):
    take(receipts, ask(receipts, "1000.00"), "A-1")
    for days, granted in ((0, "0.00"), (21, "0.00"), (22, "1000.00")):
        assert ask(receipts, "1000.00", day=DAY + timedelta(days=days))["granted"] == granted


def test_one_answer_tells_all_plans_and_an_order_takes_one_of_them(receipts):
    answer = ask(receipts, "600.00", method=EMI, months=[6, 3, 12])
    assert [plan["months"] for plan in answer["plans"]] == [6, 3, 12] and answer["plan"] == answer["plans"][0]
    with pytest.raises(Conflict, match="has no plan of 9 months"):
        take(receipts, answer, "A-1", months=9)
    assert take(receipts, answer, "A-1", months=3)["months"] == 3
    with pytest.raises(Conflict, match="is taken with 3 months"):
        take(receipts, answer, "A-1", months=12)
    assert ask(receipts, "1.00", method=EMI)["open_after"] == "601.00"
    some = ask(receipts, "10.00", method=EMI, months=[5, 6])
    assert [plan["months"] for plan in some["plans"]] == [6]
    assert "There is no plan of 5 months." in some["notes"]
    other = ask(receipts, "10.00", method=EMI, months=[6, 5])
    assert "There is no plan of 5 months." in other["notes"]
    none = ask(receipts, "10.00", method=EMI, months=[5, 7])
    assert (none["decision"], none["plans"]) == ("no", [])
    assert none["reasons"][0]["text"] == "There is no plan of 5 or 7 months; there are plans of 3, 6, 12."
    assert all(receipts.verify(each["receipt_id"])["equal"] for each in (answer, some, other, none))


def test_a_cart_that_grows_is_one_question_whose_newest_quote_holds(receipts):
    quotes = [ask(receipts, amount, identity=CART) for amount in ("100.00", "110.00", "125.00")]
    with pytest.raises(Conflict, match=f"asked about again; take receipt {quotes[-1]['receipt_id']}"):
        take(receipts, quotes[0], "A-1")
    take(receipts, quotes[-1], "A-1")
    assert ask(receipts, "140.00")["open_after"] == "265.00"


def test_a_question_asked_again_by_its_key_gets_the_same_answer_while_it_holds(receipts, monkeypatch):
    first = ask(receipts, "120.00", key="k")
    assert ask(receipts, "120.00", key="k") == first
    take(receipts, first, "A-1")
    assert ask(receipts, "120.00", key="k") == first
    for other in ({"basket": "121.00"}, {"customer": BOB}, {"method": EMI}):
        asked = {"basket": "120.00", "customer": ANN, "method": COD, **other}
        with pytest.raises(Conflict, match="idempotency_key was used for another question"):
            ask(receipts, asked["basket"], asked["customer"], asked["method"], key="k")
    later = datetime.fromisoformat(first["quote_until"]).replace(tzinfo=None) + timedelta(seconds=1)
    monkeypatch.setattr(module, "now_utc", lambda: later)
    assert ask(receipts, "120.00", key="k")["receipt_id"] != first["receipt_id"]


def test_a_question_asked_again_after_midnight_is_the_same_question(receipts):
    (policy,) = read_policies(POLICY)
    first, again = (
        receipts.decide(
            [
                Inquiry(
                    *(day, ANN, Question(COD, Decimal("120.00"), day=day), STANDING, None, policy),
                    identity=Identity(key="k"),
                )
            ]
        )
        for day in (DAY, DAY + timedelta(days=1))
    )
    assert again == first


def test_strangers_have_a_budget_of_their_own_and_use_up_no_customers_cap(receipts):
    budget = {("cod", "cap_guests_day"): "120", ("cod", "cap_day"): "900"}
    rows = [
        row | {"value": budget.get((row["decision"], row["rule"]), row["value"])} for row in policy_rows()
    ]
    more = {"policies": parse_policies(("here", row) for row in rows)}
    unknown = replace(STRANGER, situation="unknown_customer")
    granted = []
    for number, (customer, standing) in enumerate([(None, STRANGER), ("c" * 32, unknown), (None, STRANGER)]):
        answer = ask(receipts, "50.00", customer, standing=standing, **more)
        granted.append(answer["granted"])
        take(receipts, answer, f"S-{number}")
    assert granted == ["50.00", "50.00", "20.00"]
    refused = ask(receipts, "50.00", None, standing=STRANGER, **more)
    assert "All buyers who are not known together may have 120.00 a day" in refused["reasons"][0]["text"]
    assert ask(receipts, "900.00", **more)["granted"] == "900.00"
    # and none of theirs is taken by customers
    take(receipts, ask(receipts, "900.00", **more), "A-1")
    assert ask(receipts, "5.00", BOB, **more)["decision"] == "no"
    tomorrow = {"day": DAY + timedelta(days=1), **more}
    assert ask(receipts, "50.00", None, standing=STRANGER, **tomorrow)["decision"] == "yes"


def test_a_guest_who_is_known_again_has_one_cap(receipts):
    def granted(guest: str | None) -> str:
        return ask(receipts, "50.00", None, standing=STRANGER, guest=guest)["granted"]

    take(receipts, ask(receipts, "30.00", None, standing=STRANGER, guest="g1"), "S-1")
    assert [granted(guest) for guest in ("g1", "g2", None)] == ["20.00", "50.00", "50.00"]


def take_many(folder: str, number: int) -> None:
    receipts = Receipts(Path(folder))
    for place in range(13):
        answer = ask(receipts, f"{40 + number * 13 + place}.00", standing=BEST)
        try:
            take(receipts, answer, f"A-{number}-{place}")
        except Conflict:
            continue


def test_fifty_baskets_at_once_take_exactly_the_cap(tmp_path):
    context = multiprocessing.get_context("spawn")
    folder = str(tmp_path / "r")
    processes = [context.Process(target=take_many, args=(folder, number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    receipts = Receipts(tmp_path / "r")
    kept = list(receipts.since(DAY, DAY))
    assert len({each["receipt_id"] for each in kept}) == 52
    with sqlite3.connect(tmp_path / "r" / "receipts.sqlite") as file:
        ((taken,),) = file.execute("select sum(cents) from commitments").fetchall()
        ((parts,),) = file.execute("select sum(cents) from parts").fetchall()
    left = ask(receipts, "99999.00", standing=BEST)
    assert taken == parts == 200_000 - int(Decimal(left["limit"]) * 100)
    # whoever asks for what is left gets it, to the cent, and then nothing is
    if left["limit"] != "0.00":
        take(receipts, ask(receipts, left["limit"], standing=BEST), "A-last")
    assert ask(receipts, "0.01", standing=BEST)["decision"] == "no"
    assert all(receipts.verify(each["receipt_id"])["equal"] for each in kept)


def test_what_a_customer_owes_by_the_day_of_the_order_counts(receipts):
    answer = ask(receipts, "1000.00", method=EMI)
    with pytest.raises(Conflict, match=r"500\.00 is left\. .* of which 1000\.00 is owed"):
        receipts.commit(answer["receipt_id"], "A-1", Now(DAY, outstanding=Decimal(1000)))
    receipts.commit(answer["receipt_id"], "A-1", Now(DAY, outstanding=Decimal(500)))


def test_what_is_open_is_kept_with_its_receipt_beyond_the_months(tmp_path):
    receipts = Receipts(tmp_path / "receipts", months=3)
    taken, other = ask(receipts, "600.00", method=EMI, months=[12]), ask(receipts, "10.00")
    take(receipts, taken, "A-1")
    dropped = receipts.prune(day := DAY + relativedelta(months=12), day)
    assert (dropped["receipts"], dropped["commitments"]) == (1, 0)
    assert receipts.verify(taken["receipt_id"])["equal"]
    with pytest.raises(NoReceipt):
        receipts.verify(other["receipt_id"])
    dropped = receipts.prune(day := DAY + relativedelta(months=16), day)
    assert (dropped["receipts"], dropped["commitments"], dropped["parts"]) == (1, 1, 12)


def test_a_file_of_before_commitments_is_taken_over(tmp_path):
    receipts = Receipts(tmp_path / "receipts")
    old = ask(receipts, "100.00")
    with sqlite3.connect(tmp_path / "receipts" / "receipts.sqlite") as file:
        file.executescript(
            """
            drop table commitments; drop table parts; drop table identities;
            create table grants (
                day text not null, question text not null, method text not null, customer text,
                cents integer not null, primary key (day, question)
            ) without rowid;
            create table granted (
                day text not null, method text not null, cents integer not null, primary key (day, method)
            ) without rowid;
            insert into granted values ('2026-03-11', 'cod', 10000);
            """
        )
        ((content,),) = file.execute("select content from receipts").fetchall()
        earlier = json.loads(content)
        for name in ("quote_until", "identity"):
            del earlier[name]
        for name in ("open_after", "plans"):
            del earlier["answer"][name]
        del earlier["standing"]["is_stranger"], earlier["question"]["other_months"]
        file.execute("update receipts set content = ?", [json.dumps(earlier)])
    receipts = Receipts(tmp_path / "receipts")
    assert receipts.verify(old["receipt_id"])["equal"]
    with pytest.raises(Conflict, match="is of before answers were quotes; ask again"):
        take(receipts, old, "A-1")
    take(receipts, ask(receipts, "100.00"), "A-1")
