"""Every test, check of a gate and dbt test that "What is checked, what is not" names exists."""

from __future__ import annotations

import re
from collections.abc import Iterator

import great_expectations.expectations as gxe
import pytest

from expectations import invoices, predictions, raw_orders, scores
from tests.docs.pages import PROJECT

PAGE = PROJECT / "docs" / "explanation" / "what-is-checked.md"
GATES = {"raw_orders": raw_orders, "invoices": invoices, "scores": scores, "predictions": predictions}


def rows() -> list[list[str]]:
    """The cells of each row of the page's tables, without headers and rules."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")
    ]
    return [row for row in cells if row[0] not in ("claim", "---")]


def named_in(text: str) -> list[str]:
    """The names between backticks."""
    return re.findall(r"`([^`]+)`", text)


def columns_of(expectation: gxe.Expectation) -> Iterator[str]:
    """The columns that an expectation looks at."""
    for name in ("column", "column_A", "column_B"):
        if getattr(expectation, name, None):
            yield getattr(expectation, name)
    yield from getattr(expectation, "column_list", None) or ()


def gate_checks() -> set[str]:
    """The checks of all gates, as gate.column."""
    return {
        f"{gate}.{column}"
        for gate, module in GATES.items()
        for batch in module.BATCHES
        for expectation in batch.expectations
        for column in columns_of(expectation)
    }


def dbt_tests() -> set[str]:
    """The names of the tests of the dbt project."""
    models = (PROJECT / "dbt_project" / "models").rglob("*.yml")
    named = {
        name for path in models for name in re.findall(r"^          name: (\w+)$", path.read_text(), re.M)
    }
    return named | {path.stem for path in (PROJECT / "dbt_project" / "tests").glob("*.sql")}


def exists(name: str) -> bool:
    """Whether there is such a test, check of a gate or dbt test."""
    if name.startswith("tests/"):
        path, _, test = name.partition("::")
        place = PROJECT / path
        return place.is_file() and f"def {test}" in place.read_text(encoding="utf-8")
    return name in gate_checks() or name in dbt_tests()


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:60])
def test_each_claim_names_what_holds_it_and_all_of_that_exists(row: list[str]) -> None:
    assert len(row) == 3, row
    holders = named_in(row[1])
    assert holders, f"nothing is named that holds: {row[0]}"
    assert not [name for name in holders if not exists(name)]


@pytest.mark.parametrize(
    "name",
    ["tests/laws/test_nothing.py", "tests/laws/test_prefix.py::test_nothing", "scores.nothing", "nothing"],
)
def test_a_name_of_nothing_is_found(name: str) -> None:
    assert not exists(name)
