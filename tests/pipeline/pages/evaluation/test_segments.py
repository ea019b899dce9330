"""The segments on the evaluation page: every measured figure is shown, and no single customer."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from ml.value import FEWEST_TOLD
from pipeline.pages.charts import short
from pipeline.pages.evaluation import evaluation_page
from pipeline.pages.evaluation.segments import MEASURES, segments
from tests.pipeline.pages.evaluation.test_page import EVIL, Page, cell, charts

MARKS = "circle[@class='dot dot-0']", *(f"path[@class='dot dot-{number}']" for number in (1, 2, 3))


@pytest.fixture(scope="module")
def page(whole: dict[str, Any]) -> Page:
    return Page(evaluation_page(whole))


def changed(whole: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {**whole, "segments": {**deepcopy(whole["segments"]), **values}}


def percent(share: float) -> str:
    return f"{share:.1%}".replace("%", "\N{NO-BREAK SPACE}%")


def test_the_profiles_of_present_and_past_are_the_measured_ones(page: Page, whole: dict[str, Any]) -> None:
    segments = whole["segments"]
    rows = page.rows["segments"]
    for row in segments["segments"]:
        medians = [f"{row[measure]:,.0f}" for measure in ("recency_days", "frequency", "monetary")]
        shares = [percent(row["share"]), percent(row["money_share"])]
        assert [f"{row['number']} {row['name']}", f"{row['customers']:,}", *shares, *medians] in rows
    for row in segments["past"]["segments"]:
        shares = [percent(row["money_share"]), percent(row["bought_90d"])]
        assert [f"{row['number']} {row['name']}", f"{row['customers']:,}", *shares] in rows
    for day in (segments["as_of"], segments["past"]["as_of"], segments["past"]["label_until"]):
        assert day in page.sections["segments"]


def test_every_point_of_the_curves_is_in_a_table_and_the_conclusion_in_words(
    page: Page, whole: dict[str, Any]
) -> None:
    segments = whole["segments"]
    text = page.sections["segments"]
    for measure, name in MEASURES.items():
        curve = segments["curves"][measure]
        for row in curve["by_k"]:
            figures = [f"{row['inertia']:,.0f}", f"{row['silhouette']:.3f}", cell(row["stability"])]
            assert [str(row["k"]), *figures] in page.rows["segments"], measure
            if row["k"] == segments["k"]:
                assert f"With {row['k']}" in text and cell(row["stability"]) in text
        if measure != "rfm":
            best = f"Elbow at {curve['elbow']}, silhouette greatest at {curve['greatest_silhouette']}."
            assert f"{name}. {best}" in text
    assert f"under its chord at {segments['curves']['rfm']['elbow']};" in text


def test_each_curve_has_a_mark_per_number_of_segments_and_the_one_kept_is_marked(
    page: Page, whole: dict[str, Any]
) -> None:
    by_k = whole["segments"]["curves"]["rfm"]["by_k"]
    drawn = charts(page)
    for title in ("Inertia", "Silhouette", "Stability"):
        chart = drawn[f"{title} over the number of segments"]
        assert len(chart.findall("circle")) == len(by_k)
        assert "4, kept for use" in {text.text for text in chart.iter("text")}
        kept = chart.find("path[@class='line line-reference']")
        fourth = chart.findall("circle")[[row["k"] for row in by_k].index(4)]
        assert kept is not None and str(kept.get("d")).startswith(f"M{fourth.get('cx')} ")
    spans = drawn["Stability over the number of segments"].findall("path[@class='line line-0 span']")
    assert len(spans) == len(by_k)


def test_the_map_has_a_mark_per_cell_of_enough_customers_and_none_of_fewer(
    page: Page, whole: dict[str, Any]
) -> None:
    segments = whole["segments"]
    chart = charts(page)[f"Map of the segments of {segments['as_of']}"]
    hidden = 0
    for cells, mark in zip(segments["map"]["customers"], MARKS, strict=True):
        counts = [count for row in cells for count in row if count]
        shown_counts = [count for count in counts if count >= FEWEST_TOLD]
        hidden += sum(counts) - sum(shown_counts)
        # the legend has one more mark
        assert len(chart.findall(mark)) == len(shown_counts) + 1
    assert hidden > 0 and f"are not drawn: {hidden:,} customers" in page.sections["segments"]
    for row in segments["segments"]:
        assert f"{row['number']} {row['name']}" in {text.text for text in chart.iter("text")}


def test_a_mark_lies_in_its_cell_between_the_labelled_borders(whole: dict[str, Any]) -> None:
    evaluation = changed(whole)
    grid = evaluation["segments"]["map"]
    empty = [[0] * len(grid["monetary_from"]) for _ in grid["recency_from"]]
    grid["customers"] = [deepcopy(empty) for _ in range(4)]
    grid["customers"][0][3][5] = grid["customers"][0][6][8] = 40
    chart = charts(Page(evaluation_page(evaluation)))[
        f"Map of the segments of {evaluation['segments']['as_of']}"
    ]

    places = {
        str(text.text): (float(str(text.get("x"))), float(str(text.get("y")))) for text in chart.iter("text")
    }
    first = chart.findall("circle")[0]
    left, right = (places[short(grid["recency_from"][at])][0] for at in (3, 4))
    below, above = (places[short(grid["monetary_from"][at])][1] for at in (5, 6))
    assert left < float(str(first.get("cx"))) < right and above < float(str(first.get("cy"))) < below


def test_a_map_of_few_customers_is_empty_and_still_drawn(whole: dict[str, Any]) -> None:
    evaluation = changed(whole)
    cells = evaluation["segments"]["map"]["customers"]
    evaluation["segments"]["map"]["customers"] = [
        [[min(count, 1) for count in row] for row in matrix] for matrix in cells
    ]
    chart = charts(Page(evaluation_page(evaluation)))[
        f"Map of the segments of {evaluation['segments']['as_of']}"
    ]
    assert [len(chart.findall(mark)) for mark in MARKS] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("gain", "p_holm", "said"),
    [
        (
            [0.02, 0.01, 0.03],
            0.01,
            "Clumpiness adds among all customers and among those alone who have one: ",
        ),
        ([0.02, 0.01, 0.03], 0.06, "Clumpiness does not clearly add: "),
        ([0.02, -0.01, 0.03], 0.04, "Clumpiness does not clearly add: "),
    ],
)
def test_the_page_says_by_interval_and_p_whether_clumpiness_adds_information(
    whole: dict[str, Any], gain: list[float], p_holm: float, said: str
) -> None:
    clumpiness = deepcopy(whole["segments"]["clumpiness"])
    part = {**clumpiness["everybody"], "auc_gain": gain, "p_holm": p_holm}
    both_parts = {**clumpiness, "everybody": part, "with_value": part}
    text = segments(changed(whole, clumpiness=both_parts))
    assert f"{said}the AUC of who buys within 90 days changes by {cell(gain, '+.4f')} among all" in text
    assert f"p = {p_holm:.3f}" in text
    assert "Not measured: too few" in segments(
        changed(whole, clumpiness={**both_parts, "everybody": None, "with_value": None})
    )


def test_a_past_window_that_is_still_open_says_what_would_be_enough(whole: dict[str, Any]) -> None:
    past = {"refused": "it needs 1 cut; 9 more days would be enough", "as_of": None, "segments": None}
    assert "<b>9 more days would be enough</b>" in segments(changed(whole, past=past))


def test_refused_segments_show_the_missing_number_in_the_box_of_refused_questions(
    whole: dict[str, Any],
) -> None:
    nothing = dict.fromkeys(("segments", "map", "past", "curves", "clumpiness"))
    refused = f"4 segments need 200 customers; {EVIL}"
    page = Page(evaluation_page(changed(whole, refused=refused, **nothing)))
    assert "not measured" in page.sections["segments"] and "need 200 customers" in page.sections["segments"]
    assert EVIL in page.sections["segments"] and "script" not in page.tags
    assert "segments (" in page.sections["cannot_tell"]


def test_if_only_some_tasks_were_evaluated_the_section_is_left_out(whole: dict[str, Any]) -> None:
    page = Page(evaluation_page({**whole, "segments": None}))
    assert "segments" not in page.sections and "#segments" not in page.addresses
    assert "#value" in page.addresses
