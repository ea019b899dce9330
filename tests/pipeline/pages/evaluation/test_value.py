"""The customer value section of the evaluation page shows every measured figure."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from ml.value import ValueQuestion, measure_value
from pipeline.pages.charts import SIDE, TOP
from pipeline.pages.evaluation import evaluation_page
from pipeline.pages.evaluation.value import FORMS, SHOWN, TITLES, value
from tests.pipeline.pages.evaluation.test_page import EVIL, Page, cell, charts


@pytest.fixture(scope="module")
def page(whole: dict[str, Any]) -> Page:
    return Page(evaluation_page(whole))


def changed(whole: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {**whole, "value": {**deepcopy(whole["value"]), **values}}


def cells(measured: dict[str, Any], measures: Any) -> list[str]:
    return [cell(measured[measure], FORMS.get(measure, ".3f")) for measure in measures]


def test_every_method_is_in_the_table_with_its_figures(page: Page, whole: dict[str, Any]) -> None:
    value_result = whole["value"]
    for method, measured in value_result["pooled"].items():
        gain = (
            cell(value_result["gini_gain"][method], "+.4f")
            if method in value_result["gini_gain"]
            else "to beat"
        )
        less = cell(value_result["pooled_without_top"][method]["gini"])
        assert [method, *cells(measured, SHOWN), gain, less] in page.rows["value"], method
    assert f"on {value_result['baseline']}" in page.sections["value"]


def test_every_measure_is_in_the_folded_tables_pooled_and_per_cut_and_without_the_top(
    page: Page, whole: dict[str, Any]
) -> None:
    value_result = whole["value"]
    kinds = [value_result["pooled"], value_result["pooled_without_top"]]
    kinds += [cut[kind] for cut in value_result["cuts"] for kind in ("measures", "without_top")]
    for by_method in kinds:
        for method, measured in by_method.items():
            assert set(measured) == set(TITLES), "a measure without a column"
            assert [method, *cells(measured, TITLES)] in page.rows["value"]


def test_every_cut_is_shown_with_the_share_that_its_intervals_held(page: Page, whole: dict[str, Any]) -> None:
    value_result = whole["value"]
    for cut in value_result["cuts"]:
        counts = [f"{cut[which]:,}" for which in ("customers", "repeat_buyers", "spenders")]
        spend, correlation = f"{cut['spend']:,.0f}", f"{cut['value_correlation']:+.2f}"
        row = [cut["cut"], cut["until"], *counts, spend, correlation, cut["count_model"]]
        assert [*row, cell(cut["coverage"], ".1%")] in page.rows["value"]
    assert cell(value_result["coverage"], ".1%") in page.sections["value"]


def test_the_table_compares_score_and_value_in_figures(page: Page, whole: dict[str, Any]) -> None:
    scores = whole["value"]["rfm_score"]
    for row in scores["by_score"]:
        told = ["too few to tell"]
        if row["spend"]:
            share = f"{row['share_of_spend']:.1%}".replace("%", "\N{NO-BREAK SPACE}%")
            told = [f"{row['predicted_value']:,.0f}", cell(row["spend"], ",.0f"), share]
        assert [str(row["score"]), f"{row['customers']:,}", *told] in page.rows["value"]
    words = " ".join(page.sections["value"].split())
    for what in ("predicted", "spend"):
        assert f"{cell(scores[what]['spearman'])} (p = {scores[what]['p_value']:.3f}" in words


def test_the_score_charts_have_a_point_and_an_interval_for_each_score_of_enough_customers(
    whole: dict[str, Any],
) -> None:
    evaluation = changed(whole)
    by_score = evaluation["value"]["rfm_score"]["by_score"]
    by_score[0] |= {"customers": 4, "predicted_value": None, "spend": None}
    by_score[1] |= {"predicted_value": 25, "spend": [50, 0, 100]}
    for row in by_score[2:]:
        row |= {"predicted_value": 20, "spend": [20, 10, 30]}
    page = Page(evaluation_page(evaluation))
    means, shares = (
        charts(page)[f"RFM score against {what}"] for what in ("value", "the share of all spend")
    )
    shown_scores = len(by_score) - 1
    assert len(means.findall("circle")) == len(means.findall("path[@class='dot dot-1']")) == shown_scores
    assert (
        len(means.findall("path[@class='line line-0 span']")) == len(shares.findall("circle")) == shown_scores
    )
    assert means.findall("circle")[0].get("cy") == f"{TOP + SIDE / 2:.1f}", "50 of 100"
    span = str(means.findall("path[@class='line line-0 span']")[0].get("d"))
    assert span.endswith(f" {TOP + SIDE:.1f}V{TOP:.1f}"), "0 to 100"
    # a hidden figure cannot be derived from the share either
    assert [str(by_score[0]["score"]), "4", "too few to tell"] in page.rows["value"]


def test_scores_of_too_few_customers_have_no_charts(whole: dict[str, Any]) -> None:
    evaluation = changed(whole)
    for row in evaluation["value"]["rfm_score"]["by_score"]:
        row |= {"predicted_value": None, "spend": None}
    assert "<svg" not in value(evaluation)


def test_omitted_models_are_named_with_the_reason(whole: dict[str, Any]) -> None:
    evaluation = changed(whole, left_out={"blend": "they correlate"}, coverage=None)
    for cut in evaluation["value"]["cuts"]:
        cut |= {"count_model": None, "coverage": None}
    page = Page(evaluation_page(evaluation))
    assert "Left out: blend (they correlate)." in page.sections["value"]
    assert all(row[-2:] == ["no model", "not measured"] for row in page.rows["value"][1:4])


def test_fewer_cuts_than_the_protocol_asks_for_are_noted(page: Page, whole: dict[str, Any]) -> None:
    assert "Fewer cuts" not in page.sections["value"]
    assert "<p>2 of 3 test cuts</p>" in value(changed(whole, note="2 of 3 test cuts"))


def test_a_refused_value_shows_the_missing_number_in_the_box_of_refused_questions(
    whole: dict[str, Any],
) -> None:
    refused = measure_value(ValueQuestion(refused=f"value needs 1 month end; {EVIL}"))
    page = Page(evaluation_page({**whole, "value": refused}))
    assert "not measured" in page.sections["value"] and "value needs 1 month end" in page.sections["value"]
    assert EVIL in page.sections["value"] and "script" not in page.tags
    assert "value (" in page.sections["cannot_tell"]


def test_if_only_some_tasks_were_evaluated_the_section_is_left_out(whole: dict[str, Any]) -> None:
    page = Page(evaluation_page({**whole, "value": None}))
    assert "value" not in page.sections and "#value" not in page.addresses
    assert "#segments" in page.addresses
