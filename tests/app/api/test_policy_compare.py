"""A shadow or a challenger is compared with the live policy by what customers did."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import duckdb
import numpy as np
import pytest
from typer.testing import CliRunner

from app.api import policy_compare
from app.api.answers import Answers, Asked
from app.api.commitments import Conflict
from app.api.policy_book import Book
from app.api.policy_changes import new_officer, switch_off
from app.api.policy_compare import compare
from app.api.policy_drafts import Drafting, approve, draft, end
from app.api.published import Watch
from app.cli.main import app
from goodstanding.decisions.decide import Question
from goodstanding.decisions.differences import differing_of
from goodstanding.decisions.policy import read_policies
from tests.app.api.publication import (
    AS_OF,
    CUSTOMERS,
    Publication,
    name_of,
    policy_rows,
    policy_with_instalments,
    publish,
)
from tests.app.api.test_policies import changed
from tests.small_policy import POLICY

TABLES_OF_RETURNS = """
    create schema if not exists features;
    create table features.product_cancellations (customer_id varchar, event_day date);
    create table features.invoice_states (
        customer_id varchar, invoice_no varchar, invoice_day date, valid_from date,
        returned_amount decimal(28, 4), is_returned boolean
    )
"""


def test_what_comes_back_of_a_late_debt_is_not_lost():
    rules = read_policies(POLICY)[0].rules["emi"]
    rules = replace(rules, failure_cost_share=Decimal(1), recovery_share=Decimal("0.4"))
    receipt = {"customer": "a", "question": {"basket": "100.00"}}
    sums = policy_compare._Sums()
    sums.add({"decision": "yes", "granted": "100.00"}, policy_compare._Valued(receipt, rules, is_failed=True))
    assert (sums.cost, sums.profits) == (60, {"a": -60})


@pytest.mark.parametrize("how", ["cancelled", "came back", "free goods"])
def test_a_shadow_is_compared_after_its_days_by_what_customers_did(home, monkeypatch, how):
    """Customer 14 is granted by the live policy alone and returns; 11 and 12 are granted by both and keep."""
    path = home.published / "current.duckdb"
    policy = [*policy_rows(), *changed("failure_cost_share", "3", version="2", mode="shadow")]
    customers = {**CUSTOMERS, "14": ("Worst", 3, 90, 1, 20.0, 0.3, "Average", 60, 1, 20.0)}
    publish(path, Publication(policy=policy, customers=customers))
    asked = AS_OF - timedelta(days=30)
    monkeypatch.setattr(Answers, "today", lambda _: asked)
    answers = Answers(home)
    for customer in ("11", "12", "14", "14"):
        answers.decide([Asked(customer, Question("cod", Decimal("100.00")))])
    answers.decide([Asked(None, Question("cod", Decimal("10.00")))])
    monkeypatch.setattr(Answers, "today", lambda _: asked + timedelta(days=1))
    answers.decide([Asked("11", Question("cod", Decimal("100.00")))])
    with duckdb.connect(str(path)) as file:
        file.execute(TABLES_OF_RETURNS)
        rows = [
            (name_of("14"), asked + timedelta(days=30)),
            # on the day itself, and too late
            (name_of("11"), asked),
            (name_of("11"), asked + timedelta(days=31)),
        ]
        rows = rows if how == "cancelled" else rows[1:]
        file.executemany("insert into features.product_cancellations values (?, ?)", rows)
        amount, is_returned = {"cancelled": (0, False), "came back": (20, False), "free goods": (0, True)}[
            how
        ]
        states = [
            (name_of("14"), "1", asked, asked, 0, False),
            (name_of("14"), "1", asked, asked + timedelta(days=30), amount, is_returned),
            # came back before the day; what changes later is another thing
            (name_of("11"), "2", asked, asked - timedelta(days=1), 20, True),
            (name_of("11"), "2", asked, asked + timedelta(days=3), 20, True),
            (name_of("11"), "2", asked, asked + timedelta(days=4), 10, True),
        ]
        file.executemany("insert into features.invoice_states values (?, ?, ?, ?, ?, ?)", states)
    found = compare(home)
    assert (found["receipts"], found["waiting"]) == (3, 1)
    (cod,) = found["pairs"]
    live, shadow = cod["live"], cod["other"]
    assert (cod["kind"], live["version"], shadow["version"], cod["agree"]) == ("shadow", "1", "2", 2)
    assert (live["questions"], live["yes"], live["failed"]) == (3, 3, 1)
    assert (shadow["questions"], shadow["yes"], shadow["failed"]) == (3, 2, 0)
    # both by the costs of the live version: 30 % margin of two, less 60 % of the one that came back
    assert (live["cost"], live["profit"]) == ("60.00", "0.00")
    assert (shadow["cost"], shadow["profit"]) == ("0.00", "60.00")
    assert cod["difference"] == 20 and cod["difference_interval"] is None
    assert "for want of payments" in found["notes"][1]


@pytest.mark.parametrize("has_payments", [True, False])
def test_instalments_fail_where_one_is_overdue_once_payments_are_known(home, monkeypatch, has_payments):
    path = home.published / "current.duckdb"
    rows = policy_with_instalments()
    policy = [*rows, *(row | {"version": "2", "mode": "shadow"} for row in rows)]
    publish(path, Publication(policy=policy))
    monkeypatch.setattr(Answers, "today", lambda _: AS_OF - timedelta(days=40))
    for customer in ("11", "12"):
        Answers(home).decide([Asked(customer, Question("emi", Decimal("100.00")))])
    with duckdb.connect(str(path)) as file:
        file.execute(
            """
            create table marts.payment_behaviour (
                customer_id varchar, as_of date, instalments integer, overdue_instalments integer
            )
            """
        )
        rows = [(name_of("11"), AS_OF - timedelta(days=20), int(has_payments), int(has_payments))]
        file.executemany("insert into marts.payment_behaviour values (?, ?, ?, ?)", rows)
    found = compare(home)
    (emi,) = found["pairs"]
    assert (emi["live"]["questions"], emi["live"]["failed"]) == (2, int(has_payments))
    assert ("for want of payments" in found["notes"][1]) == (not has_payments)


def test_with_no_other_version_there_is_nothing_to_compare(published, home):
    Answers(home).decide([Asked("11", Question("cod", Decimal("100.00")))])
    assert compare(home)["pairs"] == []


MANY = {str(number): ("Good", 9, 10, 5, 900.0, 0.10, None, None, None, None) for number in range(1000, 1200)}
HUNDRED = Question("cod", Decimal("100.00"))


@pytest.fixture
def trial(home):
    """A home of 200 customers, a third of whom a challenger answers that grants nothing of a dear failure."""
    publish(home.published / "current.duckdb", Publication(customers=MANY))
    keys = [new_officer(home, name, []) for name in ("risk-1", "risk-2")]
    drafting = Drafting(
        "2",
        (differing_of("cod failure_cost_share=90"), differing_of("cod limit first_time_buyer=9")),
        mode="challenger",
        share=Decimal("0.3"),
    )
    approve(home, "2", draft(home, drafting, keys[0]).hash, keys[1])
    return home, keys


def watching(home):
    """Answers with all customers loaded, as a server has them."""
    book = Book(home.policy)
    watch = Watch(home.publication, cards=book.cards)
    watch.load()
    return Answers(home, watch, book)


def versions(home, customers=MANY, question=HUNDRED):
    answers = watching(home).decide([Asked(customer, question) for customer in customers])
    return {customer: answer["policy_version"] for customer, answer in zip(customers, answers, strict=True)}


def test_a_challenger_answers_its_share_the_same_customers_each_time_and_receipts_tell_the_arm(trial):
    home, _ = trial
    first = versions(home)
    assert 0.2 < sum(version == "2" for version in first.values()) / len(MANY) < 0.4
    for question in (HUNDRED, Question("emi", Decimal("7.00"))):
        assert versions(home, question=question) == first
    receipts = Answers(home).receipts
    kept_receipts = list(receipts.since(date.min, date.max))
    for receipt in kept_receipts:
        kept = receipt["trial"]
        arm = {"1": "champion", "2": "challenger"}[receipt["answer"]["policy_version"]]
        assert (kept["arm"], kept["challenger"], kept["share"]) == (arm, "2", "0.3")
    assert receipts.policy(kept["live"]).version == "1"
    assert all(receipts.verify(receipt["receipt_id"])["equal"] for receipt in kept_receipts[::20])


def test_who_can_ask_by_another_name_is_answered_by_the_live_version(trial):
    home, _ = trial
    strangers = [str(number) for number in range(5000, 5100)]
    assert set(versions(home, strangers).values()) == {"1"}
    asked = [Asked(None, HUNDRED, guest=f"{number}@example.org") for number in range(50)]
    answers = watching(home).decide([*asked, Asked(None, HUNDRED)])
    assert {answer["policy_version"] for answer in answers} == {"1"}


def test_no_cap_is_walked_around_by_the_split(home):
    """A challenger with larger caps: what customers of both arms take counts against one cap of the day."""
    rows = [row | {"value": "500"} if row["rule"] == "cap_day" else row for row in policy_rows()]
    publish(home.published / "current.duckdb", Publication(customers=MANY, policy=rows))
    keys = [new_officer(home, name, []) for name in ("risk-1", "risk-2")]
    more = Drafting(
        "2", (differing_of("cod cap_customer Good=1500"),), mode="challenger", share=Decimal("0.5")
    )
    approve(home, "2", draft(home, more, keys[0]).hash, keys[1])
    answers = watching(home)
    quotes = answers.decide([Asked(customer, HUNDRED) for customer in list(MANY)[:30]])
    assert {quote["policy_version"] for quote in quotes} == {"1", "2"}
    taken = 0
    for number, quote in enumerate(quotes):
        with suppress(Conflict):
            answers.commit(quote["receipt_id"], f"A-{number}")
            taken += 1
    assert taken == 5
    one = next(customer for customer, version in versions(home).items() if version == "2")
    assert set(versions(home, [one] * 5).values()) == {"2"}


def test_it_ends_at_once_by_an_officer_and_with_the_version_that_it_follows(trial):
    home, keys = trial
    third = Drafting("3", (differing_of("cod cap_customer Best=1"),))
    approve(home, "3", draft(home, third, keys[0]).hash, keys[1])
    assert set(versions(home).values()) == {"3"}
    again = Drafting("4", (differing_of("cod cap_customer Best=2"),), mode="challenger", share=Decimal("0.3"))
    approve(home, "4", draft(home, again, keys[0]).hash, keys[1])
    assert set(versions(home).values()) == {"3", "4"}
    end(home, "4", keys[1:], "it loses")
    assert set(versions(home).values()) == {"3"}


def test_a_shadow_is_approved_likewise_and_answers_beside_the_live_version(trial):
    home, keys = trial
    shadow = Drafting("5", (differing_of("cod cap_customer Good=50"),), mode="shadow")
    approve(home, "5", draft(home, shadow, keys[0]).hash, keys[1])
    versions(home)
    for receipt in Answers(home).receipts.since(date.min, date.max):
        assert receipt["shadow"]["answer"]["policy_version"] == "5"


def failures(path, names, day):
    with duckdb.connect(str(path)) as file:
        file.execute(TABLES_OF_RETURNS)
        rows = [(name_of(name), day) for name in names]
        file.executemany("insert into features.product_cancellations values (?, ?)", rows)


@pytest.mark.parametrize(("failing", "is_better"), [(2, True), (100, False)])
def test_a_challenger_is_compared_with_the_live_version_by_its_own_customers(
    trial, monkeypatch, failing, is_better
):
    """It grants nothing: it wins where one of two grants fails, and loses where one of a hundred does."""
    home, _ = trial
    asked = AS_OF - timedelta(days=40)
    monkeypatch.setattr(Answers, "today", lambda _: asked)
    arms = versions(home)
    switch_off(home, "cod", "")
    versions(home, list(MANY)[:40])
    bad = [customer for customer in MANY if int(customer) % failing == 0]
    failures(home.published / "current.duckdb", bad, asked + timedelta(days=3))
    found = compare(home)
    (pair,) = found["pairs"]
    assert (pair["kind"], pair["agree"], found["receipts"]) == ("challenger", None, len(MANY))
    live = [customer for customer, version in arms.items() if version == "1"]
    lost = sum(customer in bad for customer in live)
    assert (pair["live"]["customers"], pair["live"]["failed"]) == (len(live), lost)
    assert (pair["other"]["customers"], pair["other"]["granted"]) == (len(MANY) - len(live), 0)
    profit = (30 * (len(live) - lost) - 60 * lost) / len(live)
    assert pair["difference"] == pytest.approx(-profit)
    low, high = pair["difference_interval"]
    assert low < pair["difference"] < high
    assert (low > 0) if is_better else (high < 0)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    drawn = np.random.default_rng(352)

    def profits(count, chance):
        fails = drawn.random(count) < chance
        return {str(number): Decimal(-60 if failed else 30) for number, failed in enumerate(fails)}

    inside = paired_inside = 0
    for _ in range(400):
        live, other = profits(150, 0.2), profits(60, 0.3)
        _, (low, high) = policy_compare._unpaired(live, other)
        inside += low <= -9 <= high
        again = {name: value if drawn.random() < 0.5 else Decimal(0) for name, value in live.items()}
        _, (low, high) = policy_compare._paired(live, again)
        paired_inside += low <= -0.5 * 12 <= high
    assert 0.92 < inside / 400 < 0.98 and 0.92 < paired_inside / 400 < 0.98


def test_the_command_prints_both_sides_and_the_difference(trial, monkeypatch):
    home, _ = trial
    assert "no answer with another version" in CliRunner().invoke(app, ["policy", "compare"]).stdout
    asked = AS_OF - timedelta(days=40)
    monkeypatch.setattr(Answers, "today", lambda _: asked)
    versions(home)
    failures(home.published / "current.duckdb", ["1000", "1001"], asked + timedelta(days=3))
    shown = " ".join(CliRunner().invoke(app, ["policy", "compare"]).stdout.split())
    assert "challenger 2 beside 1" in shown and "profit by customer, 2 less 1: -" in shown
    assert (
        json.loads(CliRunner().invoke(app, ["policy", "compare", "--json"]).stdout)["pairs"][0]["kind"]
        == "challenger"
    )
