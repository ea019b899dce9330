"""Remarks on the limits of the data: each appears exactly when its condition holds."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from pipeline.pages.evaluation import remarks as remarks


@pytest.fixture
def shop_result() -> dict[str, Any]:
    """The result of a three-year shop whose champion gains clearly and whose shares are stable."""
    cut = {
        "train_customers": 1000,
        "customers": 1000,
        "train_shares": [0.5, 0.5],
        "shares": [0.51, 0.49],
        "measures": {},
    }
    task = {
        "refused": None,
        "note": None,
        "classes": ["no", "yes"],
        "cuts": [{**cut, "train_cut": f"2011-0{n}-31", "test_cut": f"2011-0{n + 3}-31"} for n in (1, 2, 3)],
        "pooled": {"lda": {"accuracy": [0.7, 0.68, 0.72], "majority": [0.5, 0.48, 0.52]}},
        "baseline": "rfm_rank",
        "champion": "lda",
        "gains": {"lda": [0.01, 0.005, 0.015], "svm": [0.002, -0.001, 0.004], "majority": [-0.2, -0.3, -0.1]},
        "p_holm": {"lda": 0.01, "svm": 0.3},
        "remarks": {},
    }
    return {"as_of": "2012-12-09", "first_day": "2009-12-01", "tasks": {"buys_90d": task}}


def changed(shop_result: dict[str, Any], **values: Any) -> dict[str, Any]:
    result = deepcopy(shop_result)
    result["tasks"]["buys_90d"] |= values
    return result


def test_a_shop_with_sufficient_data_gets_no_remark(shop_result: dict[str, Any]) -> None:
    assert remarks.cannot_tell(shop_result) == []


def test_a_refused_question_is_named_with_the_data_that_would_be_enough(shop_result: dict[str, Any]) -> None:
    refused = "buys_90d needs 1 test cut; 22 more days (data up to 2011-12-31) would be enough"
    remark = remarks.refused_questions(changed(shop_result, refused=refused, cuts=[]))
    assert remark and "buys_90d (22 more days (data up to 2011-12-31) would be enough)" in remark[1]
    assert remarks.refused_questions(shop_result) is None


@pytest.mark.parametrize(
    ("refused", "parts"),
    [
        ("it needs 1; 2 more would be enough", ("it needs 1", "2 more would be enough")),
        ("it has none", ("it has none", "")),
    ],
)
def test_a_refusal_is_split_into_what_is_needed_and_what_is_enough(
    refused: str, parts: tuple[str, str]
) -> None:
    assert remarks.what_is_enough(refused) == parts


def test_fewer_than_three_cuts_are_named_with_their_note(shop_result: dict[str, Any]) -> None:
    cuts = shop_result["tasks"]["buys_90d"]["cuts"][:2]
    remark = remarks.few_cuts(
        changed(shop_result, cuts=cuts, note="2 of 3 test cuts; 9 more days would give all")
    )
    assert remark and "buys_90d (2 of 3 test cuts; 9 more days would give all)" in remark[1]
    assert remarks.few_cuts(shop_result) is None


def test_a_share_that_moved_by_more_than_chance_is_reported_at_its_greatest(
    shop_result: dict[str, Any],
) -> None:
    cuts = deepcopy(shop_result["tasks"]["buys_90d"]["cuts"])
    cuts[0]["shares"] = [0.44, 0.56]
    cuts[1]["shares"] = [0.40, 0.60]
    remark = remarks.moving_shares(changed(shop_result, cuts=cuts))
    assert (
        remark and "buys_90d 0.500 to 0.600 ('yes' by 2011-05-31)" in remark[1] and "0.560" not in remark[1]
    )

    few = [{**cut, "train_customers": 60, "customers": 60} for cut in cuts]
    assert remarks.moving_shares(changed(shop_result, cuts=few)) is None, (
        "chance alone moves the share of 60 customers as much"
    )


@pytest.mark.parametrize(("first_day", "said"), [("2010-12-10", False), ("2010-12-11", True)])
def test_under_two_years_the_remark_says_that_no_season_was_seen_twice(
    shop_result: dict[str, Any], first_day: str, said: bool
) -> None:
    remark = remarks.one_year({**shop_result, "first_day": first_day})
    assert bool(remark) is said
    if remark:
        assert "span 730 days" in remark[1] and "up to 2012-12-10 would allow it" in remark[1]


def test_a_champion_baseline_is_reported_with_the_nearest_trained_method(shop_result: dict[str, Any]) -> None:
    remark = remarks.nothing_beyond_the_baseline(
        changed(shop_result, champion="rfm_rank", p_holm={"svm": 0.3})
    )
    assert (
        remark and "of 1 trained methods the nearest is svm, AUC +0.0020 [-0.0010, +0.0040] over" in remark[1]
    )
    assert remarks.nothing_beyond_the_baseline(shop_result) is None


def test_an_accuracy_equal_to_the_majority_share_is_reported(shop_result: dict[str, Any]) -> None:
    as_good = {"lda": {"accuracy": [0.89, 0.88, 0.9], "majority": [0.889, 0.87, 0.9]}}
    remark = remarks.no_better_than_the_majority(changed(shop_result, pooled=as_good))
    assert remark and "buys_90d (0.890, and 0.889 for the commonest class)" in remark[1]
    assert remarks.no_better_than_the_majority(shop_result) is None


def test_fits_without_drop_out_are_reported_once_with_their_questions(shop_result: dict[str, Any]) -> None:
    remark = remarks.no_drop_out(
        changed(shop_result, remarks={"bg_nbd": "no drop-out identifiable in 3 of 3"})
    )
    assert remark and "bg_nbd: no drop-out identifiable in 3 of 3 (buys_90d)" in remark[1]
    assert remarks.no_drop_out(shop_result) is None


def test_returns_are_called_a_proxy_if_their_question_was_answered(shop_result: dict[str, Any]) -> None:
    task = shop_result["tasks"]["buys_90d"]
    assert remarks.returns_are_a_proxy({**shop_result, "tasks": {"returns_60d": task}})
    assert (
        remarks.returns_are_a_proxy({**shop_result, "tasks": {"returns_60d": {**task, "cuts": []}}}) is None
    )
    assert remarks.returns_are_a_proxy(shop_result) is None


def test_the_remark_says_whether_refusals_are_distinguished_from_returns(shop_result: dict[str, Any]) -> None:
    def why(*decisions: str) -> str:
        task = {"returns_60d": {"cuts": [{"train_cut": "2011-08-31", "test_cut": "2011-09-30"}]}}
        asked = {"tasks": dict.fromkeys(decisions)}
        remark = remarks.returns_are_a_proxy({**shop_result, "tasks": task, "decisions": asked})
        assert remark
        return remark[1]

    assert "Without reports of refusals, the scorecard of cash on delivery" in why("cod", "emi")
    assert "cod_refused and cod separate the two" in why("cod_refused", "cod", "emi")


def test_folds_of_one_day_get_one_remark_of_their_own_and_no_other(
    shop_result: dict[str, Any],
) -> None:
    same_day = [{**cut, "train_cut": cut["test_cut"]} for cut in shop_result["tasks"]["buys_90d"]["cuts"][:2]]
    formula = changed(shop_result, cuts=same_day, champion="rfm_rank", note="few")
    ((what, why),) = remarks.cannot_tell(formula)
    assert "Anything about customers" in what and why.startswith("buys_90d: ")


def valued(shop_result: dict[str, Any], **last: Any) -> dict[str, Any]:
    """The shop with value measured at three cuts that need no remark; the last one is changed."""
    cut = {
        "cut": "2012-06-30",
        "count_model": "pareto_nbd",
        "value_correlation": 0.1,
        "coverage": [0.8, 0.78, 0.82],
    }
    return {
        **shop_result,
        "value": {"refused": None, "cuts": [cut, cut, {**cut, "cut": "2012-08-31", **last}]},
    }


def test_a_value_measured_well_or_not_at_all_gets_no_remark(shop_result: dict[str, Any]) -> None:
    assert remarks.cannot_tell(valued(shop_result)) == []
    assert remarks.cannot_tell({**shop_result, "value": None, "segments": None}) == []


def test_refused_segments_and_value_are_named_with_the_data_that_would_be_enough(
    shop_result: dict[str, Any],
) -> None:
    segments = {"refused": "4 segments need 200 customers; 50 more would be enough"}
    value = {"refused": "value needs customers", "cuts": []}
    ((_, why),) = remarks.cannot_tell({**shop_result, "segments": segments, "value": value})
    assert why == "segments (50 more would be enough); value (value needs customers)."


def test_cuts_of_value_without_drop_out_are_counted(shop_result: dict[str, Any]) -> None:
    remark = remarks.no_drop_out(valued(shop_result, count_model="nbd"))
    assert remark and "pareto_nbd: no drop-out identifiable in 1 of 3 cuts (value)" in remark[1]
    assert remarks.no_drop_out(valued(shop_result, count_model=None)) is None


@pytest.mark.parametrize(("correlation", "said"), [(0.3, False), (0.31, True), (-0.31, True)])
def test_a_value_that_depends_on_the_number_of_orders_is_reported(
    shop_result: dict[str, Any], correlation: float, said: bool
) -> None:
    remark = remarks.value_hangs_on_number(valued(shop_result, value_correlation=correlation))
    assert bool(remark) is said
    if remark:
        assert f"{correlation:+.2f} (2012-08-31)" in remark[1] and "2012-06-30" not in remark[1]


@pytest.mark.parametrize(
    ("coverage", "said"),
    [
        ([0.68, 0.66, 0.70], True),
        ([0.9, 0.88, 0.92], True),
        ([0.76, 0.75, 0.77], False),
        ([0.7, 0.58, 0.81], False),
        (None, False),
    ],
)
def test_intervals_far_from_their_level_at_the_last_cut_are_reported(
    shop_result: dict[str, Any], coverage: list[float] | None, said: bool
) -> None:
    remark = remarks.coverage_moved(valued(shop_result, coverage=coverage))
    assert bool(remark) is said
    if remark and coverage:
        value, low, high = (f"{100 * share:.1f}" for share in coverage)
        assert f"after 2012-08-31 intervals of 80 % held {value} % [{low}, {high}] of" in remark[1]
