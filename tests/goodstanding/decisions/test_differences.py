"""A small version holds what differs; all that is wrong with it is told, with file, line and key."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from goodstanding.core.errors import WrongUse
from goodstanding.decisions.differences import (
    DIFFERING,
    as_version,
    differences,
    differing_of,
    parsed,
    read_differing,
    resolve,
)
from goodstanding.decisions.policy import read_policies
from tests.goodstanding.decisions.conftest import POLICY

BASE = read_policies(POLICY)[0]
HEAD = {"version": "2", "mode": "live", "effective_from": "2026-12-24", "effective_to": ""}


def of_file(path, *lines):
    path.write_text("\n".join([",".join(DIFFERING), *lines]) + "\n")
    return resolve(BASE, HEAD, read_differing(path))


def test_all_else_is_as_in_the_version_that_is_followed(tmp_path):
    found = of_file(
        tmp_path / "d.csv",
        "cod,cap_customer,Best,,,1500,less open",
        "emi,plan,24,,,0.15,",
        "emi,plan,3,,,,",
        "cod,points,return_rate,0.10,0.2,140,",
        "cod,smallest_partial_share,,,,,",
    )
    assert found.faults == () and found.policy
    cod, emi = found.policy.rules["cod"], found.policy.rules["emi"]
    assert cod.cap_customer["Best"] == Decimal(1500) and cod.cap_customer["Good"] == Decimal(1000)
    assert [plan.months for plan in emi.plans] == [6, 12, 24]
    assert cod.smallest_partial_share == 0
    assert [(row["rule"], row["before"], row["after"]) for row in differences(BASE, found.policy)] == [
        ("cap_customer", "2000", "1500"),
        ("points", "150", "140"),
        ("smallest_partial_share", "0.25", None),
        ("plan", None, "0.15"),
        ("plan", "0", None),
    ]
    assert cod.card.model_id == "hand-set-cod-2"


def test_everything_that_is_wrong_is_told_in_the_order_of_the_lines(tmp_path):
    path = tmp_path / "d.csv"
    found = of_file(
        path,
        "cod,cap_customer,Bset,,,1500,",
        "cod,cap_day,,,,much,",
        "cash,cap_day,,,,1,",
        "emi,person_share,,,,0.1,",
        "emi,cap_customer,Best,,,,",
        "cod,points,return_rate,0.1,0.2,,",
        "cod,margin_share,,,,0.2,",
        "cod,margin_share,,,,0.3,",
        "cod,cap_dya,,,,,",
        "emi,points,sex,,,3,",
    )
    assert found.policy is None
    told = [fault.removeprefix(f"{path}:") for fault in found.faults]
    assert told == [
        "2: cod cap_customer Bset: there is no such rule; did you mean cod cap_customer Best?",
        "3: cod cap_day: value 'much' is no number",
        "4: cash cap_day: decision is 'cash'; it must be cod or emi",
        "5: emi person_share: must not be below part_payment_share",
        "6: emi cap_customer Best: is missing without it; give it a value, or leave this row out",
        "7: cod points return_rate: must begin where another ends (0.1)",
        "9: cod margin_share: is said twice; leave one of them",
        "10: cod cap_dya: there is no such row to take away; did you mean cod cap_day?",
        "11: emi points_missing sex: is missing",
    ]


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([], "nothing differs: name at least one row"),
        (["cod,cap_customer,Best,,,2000.00,"], "nothing differs: each row says what holds already"),
        # the row that was changed is told, and not the one that the rule names
        (["cod,part_payment_share,,,,0.9,"], ":2: cod person_share: must not be below part_payment_share"),
        (["emi,points,sex,,,3,", "emi,points_missing,sex,,,3,"], "sex is a protected attribute"),
        (["cod,plan,3,,,0.1,"], ":2: cod plan: only emi has instalment plans"),
    ],
)
def test_a_fault_of_no_single_row_is_told_of_the_row_that_made_it(tmp_path, lines, fault):
    found = of_file(tmp_path / "d.csv", *lines)
    assert found.policy is None and len(found.faults) == 1 and fault in found.faults[0], found.faults


def test_a_challenger_has_the_caps_of_all_customers_of_the_live_version():
    head = {**HEAD, "mode": "challenger"}
    rows = [differing_of(f"cod {rule}=1") for rule in ("cap_day", "cap_guests_day")]
    found = resolve(BASE, head, [*rows, differing_of("cod cap_customer Best=2500")])
    assert [fault.partition(" is one for")[0] for fault in found.faults] == [
        "'cod cap_day=1': cod cap_day:",
        "'cod cap_guests_day=1': cod cap_guests_day:",
    ]


@pytest.mark.parametrize("text", ["cod cap_day", "cap_day=1", "cod cap_customer Best x=1", "=1"])
def test_a_difference_is_written_in_one_way(text):
    with pytest.raises(WrongUse, match="write it like"):
        differing_of(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n", "d.csv:1: its columns must be decision"),
        (",".join(DIFFERING) + "\ncod,cap_day\n", "d.csv:2: must have 7 fields"),
        (",".join(DIFFERING) + "\ncod,cap_day,,,,1,,9\n", "d.csv:2: must have 7 fields"),
        (None, "there is no such policy file"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, content, message):
    path = tmp_path / "d.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(WrongUse, match=message):
        read_differing(path)


def test_a_version_is_the_same_under_another_name_but_for_that():
    other = as_version(BASE, "7", "shadow", date(2026, 1, 2))
    assert (other.version, other.mode, other.effective_from) == ("7", "shadow", date(2026, 1, 2))
    assert differences(BASE, other) == [] and other.content_hash != BASE.content_hash
    assert parsed(other.rows) == other
