"""Groups are read only on request, as the mapping says, and no run takes them in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import PROJECT
from goodstanding.ingest.groups import read_groups
from goodstanding.shops.mapping import load_shop
from tests.goodstanding.ingest.homes import Home, line

GROUPS: dict[str, Any] = {
    "files": {"path": "people/groups.csv", "delimiter": ";"},
    "columns": {
        "customer_id": {"from": "Customer No", "as": "whole_number"},
        "sex": {"from": "Sex", "as": "text"},
        "group": {"from": "Band", "as": "text"},
    },
}
HEADER = "Customer No;Name;Sex;Band"


@pytest.fixture
def shop(tmp_path: Path) -> Home:
    """The online shop with groups."""
    return home_with(tmp_path, GROUPS)


def home_with(folder: Path, groups: dict[str, Any] | None) -> Home:
    content = yaml.safe_load((PROJECT / "shops" / "online_retail.yml").read_text())
    if groups is not None:
        content["groups"] = groups
    mapping = folder / "shop.yml"
    mapping.write_text(yaml.safe_dump(content, sort_keys=False))
    return Home(folder, str(mapping))


def put(home: Home, *lines: str, header: str = HEADER) -> None:
    home.put(*lines, name="people/groups.csv", header=header)


def test_everybody_is_listed_under_the_pseudonym_of_their_orders(shop: Home) -> None:
    put(shop, "17850.0;A;f; 26 to 40 ", ' 18;"B; b";;x', "19;C;m;\t")
    groups = read_groups(shop.settings)
    assert list(groups.index) == [shop.pseudonym(customer) for customer in ("17850", "18", "19")]
    assert list(groups.columns) == ["sex", "group"]
    assert groups.sex.isna().to_list() == [False, True, False]
    assert groups["group"].to_list()[:2] == ["26 to 40", "x"] and groups["group"].isna().iloc[2]


@pytest.mark.parametrize("name", ["names", "headers", "customers", "text", "value", "written", "select"])
def test_a_group_may_be_called_like_anything_that_reading_it_has(tmp_path: Path, name: str) -> None:
    columns = {**GROUPS["columns"], name: {"from": "Name", "as": "text"}}
    home = home_with(tmp_path, {**GROUPS, "columns": columns})
    put(home, "17850;A;f;x", "18;B\u00a0;m;y")
    assert read_groups(home.settings)[name].to_list() == ["A", "B"]


def test_a_run_takes_in_no_groups(shop: Home) -> None:
    shop.put(line())
    put(shop, "17850.0;SECRET NAME;SECRET SEX;SECRET BAND")
    assert shop.ingest()["lines"] == 1
    assert "SECRET" not in str(shop.everything())
    assert [name for (name,) in shop.rows("select file_name from raw.files")] == ["2011-01-04.csv"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["17850;A;f;x", "SECRET;B;f;x"], "line 3: no whole number; mend that line, or groups.columns.cust"),
        (["17850;A;f;x", ";B;f;x"], "line 3: missing; mend that line, or groups.columns.customer_id"),
        (
            ["17850;A;f;x", "NULL;B;f;x"],
            "line 3: stands for nobody (key nobody of the mapping); mend that line",
        ),
        (["17850;SECRET;f"], "line 2: 3 columns instead of 4; mend that line"),
        (
            ["18;A;f;x", "17850;SECRET;f;x", "17850.0;C;m;x"],
            "line 4: an earlier line has the same groups.col",
        ),
    ],
)
def test_an_unusable_line_is_reported_by_number_and_not_shown(
    shop: Home, lines: list[str], message: str
) -> None:
    put(shop, *lines)
    with pytest.raises(DataProblem) as problem:
        read_groups(shop.settings)
    assert str(problem.value).startswith(f"people/groups.csv, {message}")
    for personal in ("SECRET", "17850", shop.pseudonym("17850")):
        assert personal not in str(problem.value)


def test_a_missing_column_is_reported_by_file_and_key(shop: Home) -> None:
    put(shop, "1;A;f;x", header="Customer No;Name;Gender;Band")
    with pytest.raises(
        DataProblem, match=r"groups\.csv has no column 'Sex'.*groups\.columns\.sex\.from in shop"
    ):
        read_groups(shop.settings)


def test_a_missing_file_or_section_is_reported(shop: Home, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"shop\.yml: groups\.files\.path: there is no file .*groups\.csv"):
        read_groups(shop.settings)
    with pytest.raises(WrongUse, match=r"shop\.yml has no section groups"):
        read_groups(home_with(tmp_path, None).settings)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"files": {"path": "2011-01-04.csv"}}, "groups.files.path: files.path matches it too"),
        ({"files": {"path": "./2011-01-04.csv"}}, "groups.files.path: files.path matches it too"),
        ({"files": {"path": "groups-*.csv"}}, "groups.files.path: must name one file, without a pattern"),
        ({"files": {"path": "{day}.csv"}}, "groups.files.path: must name one file, without a pattern"),
        ({"files": {"path": "../groups.csv"}}, "groups.files.path: must lie within the landing"),
        ({"files": {"path": "/groups.csv"}}, "groups.files.path: must lie within the landing"),
        ({"columns": {"sex": {"from": "Sex", "as": "text"}}}, "groups: columns.customer_id is missing"),
        ({"columns": {"customer_id": {"from": "N", "as": "text"}}}, "groups: columns: names no group"),
        ({"columns": GROUPS["columns"] | {"Sex": {"from": "S", "as": "text"}}}, "groups: columns.Sex: call"),
        (
            {"columns": GROUPS["columns"] | {"line_number": {"from": "S", "as": "text"}}},
            "groups: columns.lin",
        ),
        (
            {"columns": GROUPS["columns"] | {"born": {"from": "S", "as": "date"}}},
            "groups: columns.born.as is",
        ),
        ({"kinds": {}}, "groups.kinds: there is no such key"),
    ],
)
def test_a_bad_section_is_reported_by_key_and_file(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    home = home_with(tmp_path, GROUPS | changed)
    with pytest.raises(WrongUse) as problem:
        load_shop(home.settings)
    assert str(problem.value).startswith(f"{tmp_path / 'shop.yml'}: {message}")
