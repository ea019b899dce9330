"""The value of customers on the page of an evaluation: every figure that was found."""

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


def test_every_method_is_in_the_table_with_the_figures_that_were_found(
    page: Page, whole: dict[str, Any]
) -> None:
    found = whole["value"]
    for method, measured in found["pooled"].items():
        gain = cell(found["gini_gain"][method], "+.4f") if method in found["gini_gain"] else "to beat"
        less = cell(found["pooled_without_top"][method]["gini"])
        assert [method, *cells(measured, SHOWN), gain, less] in page.rows["value"], method
    assert f"on {found['baseline']}" in page.sections["value"]


def test_every_measure_is_in_the_folded_tables_pooled_and_per_cut_and_without_the_top(
    page: Page, whole: dict[str, Any]
) -> None:
    found = whole["value"]
    kinds = [found["pooled"], found["pooled_without_top"]]
    kinds += [cut[kind] for cut in found["cuts"] for kind in ("measures", "without_top")]
    for by_method in kinds:
        for method, measured in by_method.items():
            assert set(measured) == set(TITLES), "a measure without a column"
            assert [method, *cells(measured, TITLES)] in page.rows["value"]


def test_every_cut_is_there_with_how_many_its_intervals_held(page: Page, whole: dict[str, Any]) -> None:
    found = whole["value"]
    for cut in found["cuts"]:
        counts = [f"{cut[which]:,}" for which in ("customers", "repeat_buyers", "spenders")]
        spend, correlation = f"{cut['spend']:,.0f}", f"{cut['value_correlation']:+.2f}"
        row = [cut["cut"], cut["until"], *counts, spend, correlation, cut["count_model"]]
        assert [*row, cell(cut["coverage"], ".1%")] in page.rows["value"]
    assert cell(found["coverage"], ".1%") in page.sections["value"]


def test_the_score_stands_against_value_in_figures(page: Page, whole: dict[str, Any]) -> None:
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


def test_the_charts_of_the_score_have_a_point_and_an_interval_for_each_that_can_be_told(
    whole: dict[str, Any],
) -> None:
    found = changed(whole)
    by_score = found["value"]["rfm_score"]["by_score"]
    by_score[0] |= {"customers": 4, "predicted_value": None, "spend": None}
    by_score[1] |= {"predicted_value": 25, "spend": [50, 0, 100]}
    for row in by_score[2:]:
        row |= {"predicted_value": 20, "spend": [20, 10, 30]}
    page = Page(evaluation_page(found))
    means, shares = (
        charts(page)[f"RFM score against {what}"] for what in ("value", "the share of all spend")
    )
    told = len(by_score) - 1
    assert len(means.findall("circle")) == len(means.findall("path[@class='dot dot-1']")) == told
    assert len(means.findall("path[@class='line line-0 span']")) == len(shares.findall("circle")) == told
    assert means.findall("circle")[0].get("cy") == f"{TOP + SIDE / 2:.1f}", "50 of 100"
    span = str(means.findall("path[@class='line line-0 span']")[0].get("d"))
    assert span.endswith(f" {TOP + SIDE:.1f}V{TOP:.1f}"), "0 to 100"
    # what was hidden cannot be read off the share either
    assert [str(by_score[0]["score"]), "4", "too few to tell"] in page.rows["value"]


def test_scores_of_too_few_customers_have_no_charts(whole: dict[str, Any]) -> None:
    found = changed(whole)
    for row in found["value"]["rfm_score"]["by_score"]:
        row |= {"predicted_value": None, "spend": None}
    assert "<svg" not in value(found)


def test_models_that_were_left_out_are_named_with_the_reason(whole: dict[str, Any]) -> None:
    found = changed(whole, left_out={"blend": "they correlate"}, coverage=None)
    for cut in found["value"]["cuts"]:
        cut |= {"count_model": None, "coverage": None}
    page = Page(evaluation_page(found))
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


def test_where_tasks_were_named_the_section_is_left_out(whole: dict[str, Any]) -> None:
    page = Page(evaluation_page({**whole, "value": None}))
    assert "value" not in page.sections and "#value" not in page.addresses
    assert "#segments" in page.addresses
