"""The evaluation as the command line and the DAG give it: its tables, and the record of the step."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from goodstanding import pipeline
from goodstanding.days import Days
from goodstanding.evaluation import print_evaluation
from goodstanding.settings import Settings
from ml.methods import METHODS
from ml.side_by_side import answer, read_questions
from ml.tasks import tasks_named
from tests.goodstanding.conftest import FIRST, LAST, Ran
from tests.ml.order_log import NEWEST_DAY, open_shop
from warehouse.files import open_intake


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    asked = tasks_named(["present_class", "buys_30d", "value_tier_6m"])
    with open_shop() as shop:
        questions = read_questions(shop, NEWEST_DAY, asked)
    some = {name: METHODS[name] for name in ("majority", "recency_rule", "rfm_rank", "logistic_regression")}
    return {"as_of": str(NEWEST_DAY), "simulated": True, **answer(questions, folds=50, methods=some)}


def shown(found: dict[str, Any]) -> str:
    console = Console(record=True, width=132, file=io.StringIO())
    print_evaluation(found, console)
    return console.export_text()


def test_the_tables_show_the_figures_of_the_json_with_every_method_whole(found: dict[str, Any]) -> None:
    text = shown(found)
    for name in ("present_class", "buys_30d"):
        task = found["tasks"][name]
        for method, measured in task["pooled"].items():
            value, low, high = measured["auc"]
            row = rf"│ {method} +│ +{value:.3f} \[{low:.3f}, {high:.3f}\] +│"
            points = "".join(
                rf" +{measured[measure][0]:.3f} +│"
                for measure in ("average_precision", "brier", "ece", "accuracy", "macro_f1")
            )
            assert re.search(row + points, text), f"{name}: {method}"
        majority = task["pooled"]["majority"]["accuracy"][0]
        assert f"commonest class is right in {majority:.3f}" in " ".join(text.split())
    assert len(re.findall("yes", text)) == 2, "one champion each"


def test_they_say_what_is_no_future_and_what_was_not_measured_and_mark_what_is_simulated(
    found: dict[str, Any],
) -> None:
    text = " ".join(shown(found).split())
    assert "SIMULATED · present_class: fidelity to the formula" in text
    assert "5 random folds of the customers of 2011-12-09: no future in it" in text
    assert f"test cuts {found['tasks']['buys_30d']['cuts'][0]['test_cut']} (" in text
    assert "not measured: value_tier_6m needs 1 test cut" in text
    assert "Left out: rfm_rank (it reads rfm_rank, of which this task does not have all)." in text
    assert "SIMULATED" not in shown({**found, "simulated": False})


def test_the_step_evaluates_as_of_the_newest_day_of_its_days_and_leaves_a_record(
    at_once: Ran, tmp_path: Path, use_settings: Callable[..., Settings]
) -> None:
    home, landing = at_once.copy(tmp_path)
    current = use_settings(home=home, landing=landing)
    result = pipeline.evaluate(Days.parse(FIRST, "2010-12-31"), "the run")

    assert result["as_of"] == LAST
    with open_intake(current) as connection:
        ((outcome, numbers),) = connection.execute(
            "select outcome, numbers from ops.steps where step = 'evaluate' and run_id = 'the run'"
        ).fetchall()
    assert outcome == "done"
    said = {name: task["champion"] or task["refused"] for name, task in result["tasks"].items()}
    assert json.loads(numbers) == said
    assert "would be enough" in said["buys_90d"]
