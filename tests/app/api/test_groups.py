"""The rates of each group are those of the decisions, and nothing is shown of a small group or a person."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from app.api.answers import Answers, Asked
from app.api.groups import FEWEST, approval_rates, by_group, rate_limits, ratio_limits
from app.cli.main import app
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import Settings
from goodstanding.decisions.decide import Question
from tests.app.api.publication import Publication, name_of, policy_with_instalments, publish

BASKET = Decimal("120.00")
GOOD = ("Best", 12, 1, 40, 9000.0, 0.02, None, None, None, None)
BAD = ("Worst", 3, 90, 1, 20.0, 0.50, None, None, None, None)
# 25 of F all good, 40 of M half of them; 3 of X and 2 of whom nothing is said
CUSTOMERS = (
    {str(100 + n): (GOOD, "F") for n in range(25)}
    | {str(200 + n): (GOOD if n < 20 else BAD, "M") for n in range(40)}
    | {str(300 + n): (BAD, "X") for n in range(3)}
    | {str(400 + n): (GOOD, "") for n in range(2)}
)
STRANGERS = {"900": "F", "901": "M"}
MAPPING = """
groups:
  files: {path: groups.csv}
  columns:
    customer_id: {from: Id, as: whole_number}
    sex: {from: Sex, as: text}
"""


@pytest.fixture
def grouped(home: Settings, tmp_path: Path, use_settings) -> Settings:
    """A home with these customers published, and their groups in the landing."""
    shop = Path(home.shop)
    shop.write_text(shop.read_text() + MAPPING)
    landing = tmp_path / "landing"
    landing.mkdir()
    lines = {customer: sex for customer, (_, sex) in CUSTOMERS.items()} | STRANGERS
    text = "".join(f"{customer},{sex}\n" for customer, sex in lines.items())
    (landing / "groups.csv").write_text("Id,Sex\n" + text)
    more = {"500": GOOD}  # a customer of whom the file says nothing
    publish(
        home.published / "current.duckdb",
        Publication(
            customers={customer: values for customer, (values, _) in CUSTOMERS.items()} | more,
            policy=policy_with_instalments(),
        ),
    )
    found: Settings = use_settings(landing=landing)
    return found


def test_each_group_has_the_rates_of_its_decisions_and_small_groups_are_one_row(grouped):
    found = approval_rates(grouped, [BASKET])
    assert (found["customers"], found["people"], found["asked"]) == (71, 72, 70)
    assert (found["unmatched"], found["policy"], found["simulated"]) == (2, "1", False)
    assert {row["decision"] for row in found["rows"]} == {"cod", "emi"}
    for row in found["rows"]:
        assert (row["basket"], row["column"]) == ("120.00", "sex")
        if row["value"] == "too few to tell":
            assert row["customers"] == 5 and row["rate"] is row["ratio"] is row["below"] is None
            continue
        people = [customer for customer, (_, sex) in CUSTOMERS.items() if sex == row["value"]]
        said = [
            Answers(grouped).decide([Asked(each, Question(row["decision"], BASKET))])[0]["decision"]
            for each in (people[0], people[-1])
        ]
        assert said == ["yes", "yes" if row["value"] == "F" else "no"]
        assert (row["customers"], row["rate"]) == {"F": (25, 1.0), "M": (40, 0.5)}[row["value"]]
        assert (row["ratio"], row["below"]) == {"F": (1.0, None), "M": (0.5, 0.8)}[row["value"]]
    assert [row["value"] for row in found["rows"]] == ["F", "M", "too few to tell"] * 2


def test_nothing_personal_is_shown_and_nothing_is_written(grouped):
    before = {path: path.stat().st_mtime_ns for path in grouped.home.rglob("*") if path.is_file()}
    told = CliRunner().invoke(app, ["policy", "groups", "--basket", "120.00", "--json"])
    shown = CliRunner().invoke(app, ["policy", "groups"])
    assert told.exit_code == shown.exit_code == 0, told.output + shown.output
    assert json.loads(told.stdout)["rows"][1]["value"] == "M"
    assert "2 people of the file are no customers" in shown.stdout
    assert "four fifths, 29 CFR 1607.4(D)" in " ".join(shown.stdout.split())
    for customer, (_, sex) in CUSTOMERS.items():
        for text in (told.stdout, shown.stdout):
            assert name_of(customer) not in text and f'"{customer}"' not in text
            assert sex != "X" or " X " not in text
    after = {path: path.stat().st_mtime_ns for path in grouped.home.rglob("*") if path.is_file()}
    written = {path.name for path in after if after[path] != before.get(path)}
    assert all("receipts" in name for name in written), written


def test_what_is_missing_is_said(grouped, home):
    with pytest.raises(WrongUse, match="there is no policy 7"):
        approval_rates(grouped, [BASKET], policy="7")
    (grouped.landing_folder / "groups.csv").unlink()
    with pytest.raises(WrongUse, match=r"groups\.files\.path: there is no file"):
        approval_rates(grouped, [BASKET])
    (home.published / "current.duckdb").unlink()
    with pytest.raises(DataProblem, match="nothing is published yet"):
        approval_rates(grouped, [BASKET])


def rates_of(**groups: tuple[int, int]) -> list[dict[str, object]]:
    """The rows of groups of so many people, so many of them with a yes."""
    values = [value for value, (count, _) in groups.items() for _ in range(count)]
    is_yes = [n < yes for count, yes in groups.values() for n in range(count)]
    return by_group(pd.Series(values), pd.Series(is_yes))


def test_the_lines_of_attention_are_four_fifths_and_nine_tenths_of_the_most_approved():
    rows = rates_of(most=(100, 100), at_9=(100, 90), under_9=(100, 89), at_8=(100, 80), under_8=(100, 79))
    below = {row["value"]: row["below"] for row in rows}
    assert below == {"most": None, "at_9": None, "under_9": 0.9, "at_8": 0.9, "under_8": 0.8}


def test_a_group_is_shown_from_twenty_people_on_and_smaller_ones_never_by_name():
    rows = rates_of(some=(FEWEST, 5), few=(FEWEST - 1, 19), one=(1, 1))
    assert [(row["value"], row["customers"]) for row in rows] == [("some", 20), ("too few to tell", 20)]
    # a small group is no measure for the others either
    assert rows[0]["ratio"] == 1.0
    assert rates_of(few=(3, 3)) == [{**rates_of(few=(3, 0))[0]}]


def test_where_nobody_is_granted_there_is_nothing_to_compare():
    assert [(row["rate"], row["ratio"], row["below"]) for row in rates_of(a=(30, 0), b=(30, 0))] == [
        (0.0, None, None)
    ] * 2
    none, all_ = rates_of(a=(30, 0), b=(30, 30))
    assert (none["ratio"], none["ratio_interval"], none["below"], all_["ratio"]) == (0.0, None, 0.8, 1.0)


def test_intervals_are_those_worked_out_by_hand():
    # the roots of (p - x)^2 = z^2 x (1 - x) / n
    for yes, count in ((20, 40), (0, 25), (25, 25), (81, 263)):
        for limit in rate_limits(yes, count):
            assert (yes / count - limit) ** 2 == pytest.approx(
                1.959964**2 * limit * (1 - limit) / count, abs=1e-9
            )
    low, high = ratio_limits(20, 40, 25, 25)
    assert math.sqrt(low * high) == pytest.approx(0.5)
    assert math.log(high / low) == pytest.approx(2 * 1.959964 * math.sqrt(1 / 20 - 1 / 40))
