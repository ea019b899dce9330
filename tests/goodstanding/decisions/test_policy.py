"""Reading a policy: errors name file, line and key, and no score uses a protected attribute."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import POLICY
from goodstanding.decisions.facts import in_stated_direction
from goodstanding.decisions.policy import (
    COLUMNS,
    DAYS,
    PROTECTED,
    in_effect,
    parse_policies,
    read_policies,
    require_unprotected,
)
from goodstanding.decisions.scorecard import Bin, Characteristic
from tests.goodstanding.decisions.conftest import cards

OPTIONAL = (
    *("smallest_partial_share", "recovery_share", "risk_growth", "chance", "cap_loss", "walk_away_share"),
    "without_payments",
)


def rows() -> list[dict[str, str]]:
    with POLICY.open() as file:
        return list(csv.DictReader(file))


def write(path, content) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(content)


def line_of(rule: str, applies_to: str = "", decision: str = "cod") -> int:
    return next(
        number
        for number, row in enumerate(rows(), start=2)
        if (row["decision"], row["rule"], row["applies_to"]) == (decision, rule, applies_to)
    )


@pytest.mark.parametrize(
    ("rule", "applies_to", "change", "message"),
    [
        ("margin_share", "", {"value": "much"}, "cod margin_share: value 'much' is no number"),
        ("margin_share", "", {"value": "NaN"}, "is no number"),
        ("margin_share", "", {"value": "0"}, "is not within"),
        ("failure_cost_share", "", {"value": "-1"}, "is not within"),
        ("cap_customer", "Best", {"value": "10.001"}, "cod cap_customer Best: '10.001' is no sum of whole"),
        ("cap_customer", "Best", {"applies_to": "Bset"}, "cod cap_customer Best: is missing"),
        ("cap_day", "", {"rule": "cap_dya"}, "cod cap_day: is missing"),
        ("cap_day", "", {"decision": "cash"}, "decision is 'cash'"),
        ("stale_after_days", "", {"value": "2.5"}, "is no whole number"),
        ("limit", "stale_data", {"mode": "shadow"}, "mode is 'shadow', and 'live' at"),
        ("limit", "stale_data", {"effective_from": "2001-01-01"}, "effective_from is '2001-01-01'"),
        ("points", "return_rate", {"up_to": "0.09"}, "cod points return_rate: must begin where another ends"),
        ("points", "return_rate", {"above": "0.01"}, "the first bin has no above"),
        ("points_missing", "return_rate", {"rule": "note"}, "cod points_missing return_rate: is missing"),
        ("walk_away_share", "", {"value": "1.5"}, "cod walk_away_share: value 1.5 is not within 0 and 1"),
        ("cap_loss", "", {"value": "0.001"}, "cod cap_loss: '0.001' is no sum of whole cents"),
        ("chance", "first_time_buyer", {"value": "2"}, "cod chance first_time_buyer: value 2 is not within"),
        ("chance", "first_time_buyer", {"applies_to": "stale_data"}, "there is no such rule"),
        ("walk_away_share", "", {"rule": "recovery_share"}, "cod recovery_share: there is no such rule"),
        ("walk_away_share", "", {"rule": "without_payments"}, "without_payments: there is no such rule"),
        ("person_share", "", {"value": "0.1"}, "person_share: must not be below part_payment_share"),
    ],
)
def test_a_wrong_row_is_reported_with_file_line_and_key(tmp_path, rule, applies_to, change, message):
    content, line = rows(), line_of(rule, applies_to)
    content[line - 2] |= change
    write(tmp_path / "p.csv", content)
    with pytest.raises(WrongUse) as refused:
        read_policies(tmp_path / "p.csv")
    assert message in str(refused.value)
    assert str(refused.value).startswith(f"{tmp_path / 'p.csv'}:")


def test_the_reported_line_is_that_of_the_row(tmp_path):
    content, line = rows(), line_of("limit", "stale_data")
    content[line - 2]["value"] = "?"
    write(tmp_path / "p.csv", content)
    with pytest.raises(WrongUse, match=f"p.csv:{line}: cod limit stale_data: value"):
        read_policies(tmp_path / "p.csv")


@pytest.mark.parametrize("number", range(len(rows())))
def test_a_missing_or_repeated_row_is_noticed(tmp_path, number):
    content = rows()
    complete = read_policies(POLICY)[0].rules
    write(tmp_path / "twice.csv", [*content, content[number]])
    with pytest.raises(WrongUse):
        read_policies(tmp_path / "twice.csv")
    write(tmp_path / "less.csv", content[:number] + content[number + 1 :])
    # with one plan fewer it is a different policy, and so it is without a rule that need not be stated
    if content[number]["rule"] in {"plan", *OPTIONAL}:
        assert read_policies(tmp_path / "less.csv")[0].rules != complete
    elif content[number]["rule"] in {*DAYS, "cap_guests_day"}:
        # versions of before commitments do not say it, and have what the project's own policy has
        assert read_policies(tmp_path / "less.csv")[0].rules == complete
    else:
        with pytest.raises(WrongUse):
            read_policies(tmp_path / "less.csv")


@pytest.mark.parametrize("text", ["", "version,mode\n1,live\n", ",".join(COLUMNS) + "\n", "\x00", 'a\n"b'])
def test_a_file_that_is_no_policy_is_refused(tmp_path, text):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(WrongUse):
        read_policies(tmp_path / "p.csv")
    with pytest.raises(WrongUse, match="there is no such policy file"):
        read_policies(tmp_path / "none.csv")


def version(name: str, first: str, last: str, mode: str = "live") -> list[dict[str, str]]:
    changed = {"version": name, "effective_from": first, "effective_to": last, "mode": mode}
    return [row | changed for row in rows()]


def test_a_day_has_the_version_in_effect_on_it(tmp_path):
    write(
        tmp_path / "p.csv",
        version("new", "2026-03-01", "")
        + version("old", "2026-01-01", "2026-02-28")
        + version("try", "2026-02-01", "2026-02-10", "shadow"),
    )
    policies = read_policies(tmp_path / "p.csv")
    days = ("2025-12-31", "2026-01-01", "2026-02-28", "2026-03-01", "2999-01-01")
    names = [getattr(in_effect(policies, date.fromisoformat(day)), "version", None) for day in days]
    assert names == [None, "old", "old", "new", "new"]
    shadow = [in_effect(policies, date(2026, 2, day), "shadow") is not None for day in (1, 10, 11)]
    assert shadow == [True, True, False]


def test_two_live_versions_on_one_day_are_refused(tmp_path):
    write(tmp_path / "p.csv", version("a", "2026-01-01", "2026-03-01") + version("b", "2026-03-01", ""))
    with pytest.raises(WrongUse, match="version b begins on 2026-03-01, before version a has ended"):
        read_policies(tmp_path / "p.csv")


@pytest.mark.parametrize("name", [*sorted(PROTECTED), "SEX", "Age"])
def test_no_score_uses_a_protected_attribute(tmp_path, policy, name):
    content = [row | {"applies_to": name} if row["applies_to"] == "credit_score" else row for row in rows()]
    write(tmp_path / "p.csv", content)
    with pytest.raises(WrongUse, match="is a protected attribute"):
        read_policies(tmp_path / "p.csv")
    card = replace(policy.rules["cod"].card, characteristics=(Characteristic(name, (Bin(1),)),))
    with pytest.raises(WrongUse, match=f"here: {name} is a protected attribute"):
        require_unprotected(card, "here")


def test_equal_policies_have_one_hash_however_their_numbers_are_written(policy):
    written = [
        {**row, "note": "else", "value": f"{Decimal(row['value']):.6f}"} for row in reversed(policy.rows)
    ]
    same = parse_policies(("a row", row) for row in written)[0]
    assert same.content_hash == policy.content_hash and same.rules == policy.rules
    changed = [row | {"value": "51"} if row["rule"] == "limit" else row for row in written]
    assert parse_policies(("a row", row) for row in changed)[0].content_hash != policy.content_hash


@given(cards(), st.floats(0, 2000), st.floats(0, 2000))
def test_points_never_rise_with_the_basket(card, first, second):
    small, large = sorted([first, second])
    assert card.score({"basket": small}) >= card.score({"basket": large})
    assert in_stated_direction(card) == card


def test_the_threshold_is_where_expected_loss_and_margin_meet(policy):
    rules = policy.rules["cod"]
    p = rules.threshold()
    assert p * float(rules.failure_cost_share) == pytest.approx((1 - p) * float(rules.margin_share))
    part = rules.threshold(rules.part_payment_share)
    at_risk = float(rules.failure_cost_share * (1 - rules.part_payment_share))
    assert part * at_risk == pytest.approx((1 - part) * float(rules.margin_share))
    assert p < part < rules.threshold(rules.person_share)


def with_business_days(applies_to: str, decision: str = "emi", value: str = "1") -> list[tuple[str, dict]]:
    added = {**rows()[0], "decision": decision, "rule": "business_days", "value": value}
    return [(f"row {n}", row) for n, row in enumerate([*rows(), {**added, "applies_to": applies_to}])]


def test_a_policy_names_the_country_on_whose_business_days_instalments_are_due():
    (policy,) = parse_policies(with_business_days("DE-BY"))
    assert policy.rules["emi"].business_days == "DE-BY"
    (plain,) = read_policies(POLICY)
    assert plain.rules["emi"].business_days is None and plain.content_hash != policy.content_hash


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (
            with_business_days("Atlantis"),
            "emi business_days Atlantis: the holidays of Atlantis are not known",
        ),
        (with_business_days("GB", "cod"), "cod business_days GB: one country may be named, for emi"),
        (with_business_days("GB", value="0"), "value 0 is not within"),
        ([*with_business_days("GB"), with_business_days("US")[-1]], "one country may be named"),
    ],
)
def test_business_days_of_no_known_country_or_of_two_are_refused(named, message):
    with pytest.raises(WrongUse, match=message):
        parse_policies(named)
