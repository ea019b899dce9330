"""The diff of two policies is that of their decisions."""

from __future__ import annotations

import csv
import json
from datetime import UTC, date
from decimal import Decimal
from pathlib import Path

import pytest

from app.api.curves import curve
from app.api.policies import diff, policy_named
from app.api.policy_book import State, Versions
from app.api.policy_compare import compare
from app.api.published import read_published
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.decisions.policy import COLUMNS, read_policies
from tests.app.api.publication import (
    CUSTOMERS,
    Publication,
    name_of,
    policy_rows,
    policy_with_instalments,
    publish,
)
from tests.small_policy import POLICY

BASKETS = [Decimal("50.00"), Decimal("300.00")]


def changed(rule: str, value: str, decision: str = "cod", **more: str) -> list[dict[str, str]]:
    return [
        row | more | ({"value": value} if (row["rule"], row["decision"]) == (rule, decision) else {})
        for row in policy_with_instalments()
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
    rows.append(policy_with_instalments()[-1])
    new = write(tmp_path / "new.csv", [row | {"version": "2"} for row in rows])
    emi_rows = [row for row in diff(home, "1", new, BASKETS)["rows"] if row["decision"] == "emi"]
    # 11 and 12 ordered more than four times
    assert [row["yes_after"] for row in emi_rows] == [2, 2]


def test_a_policy_that_changes_nothing_changes_nobody(published, home, tmp_path):
    same = write(tmp_path / "same.csv", policy_with_instalments())
    found = diff(home, same, "1", BASKETS)
    assert found["examples"] == [] and all(row["gain"] == row["lose"] == 0 for row in found["rows"])


def test_what_is_no_policy_is_named(published, home, tmp_path):
    with pytest.raises(
        WrongUse, match=r"there is no policy 7: give a \.csv file, or a published version \(1\)"
    ):
        diff(home, "7", "1", BASKETS)
    with pytest.raises(WrongUse, match="there is no such policy file"):
        diff(home, "1", str(tmp_path / "none.csv"), BASKETS)


def test_who_walks_away_earns_and_costs_nothing(published, home):
    """Half of the partial answers' profit is lost where half walk away; yes and no are as they were."""
    asked = [Decimal("300.00"), Decimal("900.00")]
    none, half, all_ = (diff(home, "1", "1", asked, Decimal(share))["rows"] for share in ("0", "0.5", "1"))
    assert any(row["partial_after"] for row in none)
    for stay, middle, leave in zip(none, half, all_, strict=True):
        counts = {name: value for name, value in stay.items() if isinstance(value, int)}
        assert counts == {name: middle[name] for name in counts} == {name: leave[name] for name in counts}
        for sum_ in ("profit_after", "cost_after"):
            assert middle[sum_] == pytest.approx((stay[sum_] + leave[sum_]) / 2, abs=0.011)
    own = diff(home, "1", "1", asked)
    assert own["walk_away"] == {
        method: float(rules.walk_away_share) for method, rules in read_policies(POLICY)[0].rules.items()
    }


def test_a_curve_counts_everybody_and_its_own_cut_off_answers_as_the_policy(published, home):
    shown = curve(home, None, [Decimal("120.00")], walk_away=Decimal("0.5"))
    same = diff(home, "1", "1", [Decimal("120.00")], Decimal("0.5"))["rows"]
    for row in same:
        rows = [one for one in shown["rows"] if one["decision"] == row["decision"]]
        assert all(one["yes"] + one["partial"] + one["no"] == shown["customers"] for one in rows)
        assert [one["cut_off"] for one in rows] == sorted(one["cut_off"] for one in rows)
        approvals = [one["approvals"] for one in rows]
        assert approvals == sorted(approvals)
        (own,) = (one for one in rows if one["is_policy"])
        assert (own["yes"], own["partial"]) == (row["yes_after"], row["partial_after"])
        assert (own["loss"], own["profit"]) == (row["cost_after"], row["profit_after"])
    on_delivery = [one for one in shown["rows"] if one["decision"] == "cod"]
    assert on_delivery[0]["yes"] < on_delivery[-1]["yes"]


def test_nothing_published_is_said(home):
    for ask in (lambda: diff(home, "1", "1", BASKETS), lambda: compare(home)):
        with pytest.raises(DataProblem, match="nothing is published yet"):
            ask()


def test_of_a_file_the_version_in_effect_is_taken(published, tmp_path):
    rows = changed("cap_day", "1", version="old", effective_to="2026-01-31")
    rows += changed("cap_day", "2", version="next", effective_from="2026-02-01")
    path = write(tmp_path / "p.csv", rows)
    found = read_published(published)
    versions = Versions(found.policies, State(), UTC)
    assert policy_named(path, found, date(2026, 1, 1), versions).version == "old"
    assert policy_named(path, found, date(2026, 3, 1), versions).version == "next"
