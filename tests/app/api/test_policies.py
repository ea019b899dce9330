"""The diff of two policies is that of their decisions; a shadow is judged by what customers did."""

from __future__ import annotations

import csv
import json
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from app.api.answers import Answers, Asked
from app.api.policies import compare_shadow, diff, policy_named
from app.api.published import read_published
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import POLICY
from goodstanding.decisions.decide import Question
from goodstanding.decisions.policy import COLUMNS
from tests.app.api.publication import AS_OF, CUSTOMERS, Publication, name_of, policy_rows, publish

BASKETS = [Decimal("50.00"), Decimal("300.00")]


def changed(rule: str, value: str, decision: str = "cod", **more: str) -> list[dict[str, str]]:
    return [
        row | more | ({"value": value} if (row["rule"], row["decision"]) == (rule, decision) else {})
        for row in policy_rows()
    ]


def write(path: Path, rows: list[dict[str, str]]) -> str:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def test_a_dearer_failure_takes_from_some_and_gives_to_none(published, home, tmp_path):
    new = write(tmp_path / "new.csv", changed("failure_cost_share", "3", version="2"))
    found = diff(home, "1", new, BASKETS)
    assert (found["old"], found["new"], found["customers"]) == ("1", "2", len(CUSTOMERS))
    by = {(row["decision"], row["basket"]): row for row in found["rows"]}
    cod, emi = by["cod", "50.00"], by["emi", "50.00"]
    assert cod["gain"] == 0 < cod["lose"]
    assert cod["yes_after"] == cod["yes_before"] - cod["lose"]
    # what is granted to the wrong ones costs: by the new costs the new policy earns more
    assert cod["cost_after"] < cod["cost_before"] and cod["profit_after"] > cod["profit_before"]
    assert emi["gain"] == emi["lose"] == 0 and emi["profit_after"] == emi["profit_before"]
    back = diff(home, new, "1", BASKETS)["rows"][0]
    assert (back["gain"], back["lose"]) == (cod["lose"], 0)


def test_examples_are_ten_pseudonyms_at_most_whose_answers_differ(home, tmp_path):
    many = {str(number): ("Worst", 3, 90, 1, 20.0, 0.3, None, None, None, None) for number in range(40)}
    publish(home.published / "current.duckdb", Publication(customers=many))
    found = diff(
        home, "1", write(tmp_path / "n.csv", changed("failure_cost_share", "3", version="2")), BASKETS
    )
    names = [each["customer_id"] for each in found["examples"]]
    assert len(names) == len(set(names)) == 10
    assert set(names) <= {name_of(customer) for customer in many}
    assert all(each["before"] != each["after"] for each in found["examples"])
    json.dumps(found, default=str)


def test_a_policy_that_asks_for_what_the_live_one_does_not_is_answered_by_it(published, home, tmp_path):
    rows = [row for row in policy_rows() if row["decision"] == "cod" or not row["rule"].startswith("points")]
    emi = {**rows[0], "decision": "emi", "applies_to": "frequency"}
    points = [("points", "", "4", "0"), ("points", "4", "", "400"), ("points_missing", "", "", "0")]
    rows += [
        emi | {"rule": rule, "above": above, "up_to": up_to, "value": value}
        for rule, above, up_to, value in points
    ]
    new = write(tmp_path / "new.csv", [row | {"version": "2"} for row in rows])
    emi_rows = [row for row in diff(home, "1", new, BASKETS)["rows"] if row["decision"] == "emi"]
    # 11 and 12 ordered more than four times
    assert [row["yes_after"] for row in emi_rows] == [2, 2]


def test_a_policy_that_changes_nothing_changes_nobody(published, home):
    found = diff(home, str(POLICY), "1", BASKETS)
    assert found["examples"] == [] and all(row["gain"] == row["lose"] == 0 for row in found["rows"])


def test_what_is_no_policy_is_named(published, home, tmp_path):
    with pytest.raises(
        WrongUse, match=r"there is no policy 7: give a \.csv file, or a published version \(1\)"
    ):
        diff(home, "7", "1", BASKETS)
    with pytest.raises(WrongUse, match="there is no such policy file"):
        diff(home, "1", str(tmp_path / "none.csv"), BASKETS)


def test_nothing_published_is_said(home):
    for ask in (lambda: diff(home, "1", "1", BASKETS), lambda: compare_shadow(home)):
        with pytest.raises(DataProblem, match="nothing is published yet"):
            ask()


def test_of_a_file_the_version_in_effect_is_taken(published, tmp_path):
    rows = changed("cap_day", "1", version="old", effective_to="2026-01-31")
    rows += changed("cap_day", "2", version="next", effective_from="2026-02-01")
    path = write(tmp_path / "p.csv", rows)
    found = read_published(published)
    assert policy_named(path, found, date(2026, 1, 1)).version == "old"
    assert policy_named(path, found, date(2026, 3, 1)).version == "next"


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
        file.execute(
            """
            create schema if not exists features;
            create table features.product_cancellations (customer_id varchar, event_day date);
            create table features.invoice_states (
                customer_id varchar, invoice_no varchar, invoice_day date, valid_from date,
                returned_amount decimal(28, 4), is_returned boolean
            )
            """
        )
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
    found = compare_shadow(home)
    assert (found["shadow"], found["receipts"], found["waiting"]) == ("2", 3, 1)
    cod = found["rows"][0]
    assert (cod["receipts"], cod["failed"], cod["agree"]) == (3, 1, 2)
    assert (cod["yes_live"], cod["yes_shadow"]) == (3, 2)
    # each by its own costs: 30 % margin of two, less 60 % of the one that came back
    assert (cod["cost_live"], cod["profit_live"]) == ("60.00", "0.00")
    assert (cod["cost_shadow"], cod["profit_shadow"]) == ("0.00", "60.00")
    assert "for want of payments" in found["notes"][1]


@pytest.mark.parametrize("has_payments", [True, False])
def test_instalments_fail_where_one_is_overdue_once_payments_are_known(home, monkeypatch, has_payments):
    path = home.published / "current.duckdb"
    policy = [*policy_rows(), *changed("cap_day", "50000", version="2", mode="shadow")]
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
    found = compare_shadow(home)
    emi = found["rows"][1]
    assert (emi["receipts"], emi["failed"]) == (2, int(has_payments))
    assert ("for want of payments" in found["notes"][1]) == (not has_payments)


def test_without_a_shadow_there_is_nothing_to_compare(published, home):
    Answers(home).decide([Asked("11", Question("cod", Decimal("100.00")))])
    found = compare_shadow(home)
    assert found["shadow"] is None and found["receipts"] == 0
