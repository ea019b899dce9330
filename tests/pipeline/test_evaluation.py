"""The evaluation step: the tables it prints, and the record it leaves when the DAG runs it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from app.cli.evaluation_tables import print_evaluation
from app.cli.tables import print_report
from goodstanding.core.days import Days
from goodstanding.core.settings import Settings
from goodstanding.warehouse.files import open_intake
from ml.value import ValueQuestion, measure_value
from pipeline import steps
from pipeline.pages.evaluation import publish_evaluation
from pipeline.report import read_report
from tests.ran import FIRST, LAST, Ran


def shown(result: dict[str, Any]) -> str:
    console = Console(record=True, width=132, file=io.StringIO())
    print_evaluation(result, console)
    return console.export_text()


def test_the_tables_show_the_figures_of_the_json_with_every_method_whole(evaluated: dict[str, Any]) -> None:
    text = shown(evaluated)
    for name in ("present_class", "buys_30d", "returns_60d"):
        task = evaluated["tasks"][name]
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
    assert len(re.findall(r"│ +yes │", text)) == 3, "one champion each"


def test_the_tables_say_what_is_no_forecast_what_was_not_measured_and_what_is_simulated(
    evaluated: dict[str, Any],
) -> None:
    text = " ".join(shown(evaluated).split())
    assert "SIMULATED · present_class: fidelity to the formula" in text
    assert "5 random folds of the customers of 2011-12-09: no future in it" in text
    assert f"test cuts {evaluated['tasks']['buys_30d']['cuts'][0]['test_cut']} (" in text
    assert "not measured: value_tier_6m needs 1 test cut" in text
    assert "Left out: rfm_rank (it reads rfm_rank, of which this task does not have all)" in text
    assert "SIMULATED" not in shown({**evaluated, "simulated": False})
    assert "page /somewhere/page.html" in text


def test_the_segments_are_shown_with_the_possible_number_or_the_reason_for_none(
    evaluated: dict[str, Any], whole: dict[str, Any]
) -> None:
    segments = whole["segments"]
    text = shown({**evaluated, "segments": segments})

    for row in segments["segments"]:
        shares = rf"{row['share']:.1%} +│ +{row['money_share']:.1%}"
        assert re.search(rf"│ {row['number']} {row['name']} +│ +{row['customers']} +│ +{shares} +│", text)
    for row in segments["curves"]["rfm"]["by_k"]:
        assert re.search(rf"│ {row['k']} +│ +{row['inertia']:,.0f} +│ +{row['silhouette']:.3f} +│", text)
    text = " ".join(text.split())
    assert "SIMULATED · segments of 2011-12-09" in text
    assert "Of those of 2011-08-31 bought within 90 days: " in text
    gain = segments["clumpiness"]["everybody"]["auc_gain"][0]
    assert f"Clumpiness adds to the AUC of who buys within 90 days {gain:+.3f} [" in text

    refused = {**segments, "refused": "4 segments need 200 customers"}
    assert "not measured: 4 segments need 200" in shown({**evaluated, "segments": refused})
    assert "segments" not in shown({**evaluated, "segments": None})


def test_the_value_table_below_has_every_figure_of_the_json(whole: dict[str, Any]) -> None:
    text = shown(whole)
    value = whole["value"]
    for method, measured in value["pooled"].items():
        gini, low, high = measured["gini"]
        less = value["pooled_without_top"][method]["gini"][0]
        error = f"{measured['mae'][0]:,.0f}"
        row = rf"│ {method} +│ +{error} │.* {less:.3f} │ {gini:.3f} \[{low:.3f}, {high:.3f}\] │"
        assert re.search(row, text), method
    for row in value["rfm_score"]["by_score"]:
        share = f"{row['share_of_spend']:.1%}" if row["spend"] else ""
        assert re.search(rf"│ {row['score']} +│ +{row['customers']:,} │.* {share} │", text)
    words = " ".join(text.split())
    assert "SIMULATED · value: what customers spend within 90 days" in words
    correlation, low, high = value["rfm_score"]["spend"]["spearman"]
    assert f"what was spent {correlation:.3f} [{low:.3f}, {high:.3f}]" in words


def test_a_refused_value_says_why_and_one_not_asked_for_is_left_out(
    whole: dict[str, Any],
) -> None:
    refused = measure_value(ValueQuestion(refused="value needs 1 month end"))
    assert "not measured: value needs 1 month end" in shown({**whole, "value": refused})
    assert "value: what customers spend" not in shown({**whole, "value": None})


def test_the_step_evaluates_as_of_the_newest_day_of_its_days_and_leaves_a_record(
    at_once: Ran, tmp_path: Path, use_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, landing = at_once.copy(tmp_path)
    current = use_settings(home=home, landing=landing)
    appointed: list[str] = []
    monkeypatch.setattr(
        "pipeline.evaluation.appoint",
        lambda evaluated_result, *_, **__: appointed.extend(evaluated_result["tasks"]),
    )
    result = steps.evaluate(Days.parse(FIRST, "2010-12-31"), "the run")

    assert result["as_of"] == LAST
    with open_intake(current) as connection:
        ((outcome, numbers),) = connection.execute(
            "select outcome, numbers from ops.steps where step = 'evaluate' and run_id = 'the run'"
        ).fetchall()
    assert outcome == "done"
    assert "would be enough" in result["value"]["refused"]
    outcomes = {name: task["champion"] or task["refused"] for name, task in result["tasks"].items()}
    assert json.loads(numbers) == outcomes
    assert "would be enough" in outcomes["buys_90d"]
    assert "would be enough" in result["segments"]["past"]["refused"]
    assert Path(result["page"]) == current.published / "evaluations" / f"{LAST}.html"
    assert "would be enough" in Path(result["page"]).read_text()
    assert {"buys_90d", "cod", "emi"} <= set(appointed), "of decisions as of tasks"


def test_the_report_of_a_run_lists_the_pages_once_any_exist(
    evaluated: dict[str, Any], at_once: Ran, tmp_path: Path
) -> None:
    home, landing = at_once.copy(tmp_path)
    current = Settings(home=home, landing=landing, _env_file=None)
    assert "evaluations" not in read_report(current, [])["paths"]

    page = publish_evaluation(current, evaluated)
    report = read_report(current, [])
    index = report["paths"]["evaluations"]
    assert index == str(page.with_name("index.html")) and page.name in Path(index).read_text()
    console = Console(record=True, width=132, file=io.StringIO())
    print_report(report, console)
    assert f"evaluations  {index}" in console.export_text()
