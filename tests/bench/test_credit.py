"""The credit card benchmark: features counted by hand, no protected attribute, equal rows in one fold."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from bench.credit import (
    MONTHS,
    OUTCOME,
    PROTECTED,
    approvals,
    characteristics,
    equal_rows,
    measure_credit,
    methods_on,
    out_of_fold,
)
from bench.readme import RESULTS, measured_section
from ml.features import Snapshot

STATUS = ["PAY_0", *(f"PAY_{month}" for month in MONTHS[1:])]


def clients(rows: int) -> pd.DataFrame:
    """Made-up clients in the file's format. Their latest status decides who defaults; some occur twice."""
    generator = np.random.default_rng(1)
    frame = pd.DataFrame({"ID": range(rows), "LIMIT_BAL": generator.integers(1, 50, rows) * 10_000})
    frame["SEX"] = generator.integers(1, 3, rows)
    frame["EDUCATION"], frame["MARRIAGE"] = generator.integers(1, 4, (2, rows))
    frame["AGE"] = generator.integers(21, 75, rows)
    for name in STATUS:
        frame[name] = generator.choice([-2, -1, 0, 1, 2], rows)
    for month in MONTHS:
        frame[f"BILL_AMT{month}"] = generator.integers(-100, 200_000, rows)
        frame[f"PAY_AMT{month}"] = generator.integers(0, 20_000, rows)
    frame[OUTCOME] = (generator.random(rows) < 0.1 + 0.2 * frame["PAY_0"].clip(0)).astype(int)
    frame.iloc[-20:, 1:] = frame.iloc[:20, 1:].to_numpy()
    return frame


def test_the_features_of_a_client_are_those_counted_by_hand() -> None:
    rows = clients(1)
    rows.loc[0, ["LIMIT_BAL", *STATUS]] = [1000, 2, 0, -1, 1, -2, 0]
    rows.loc[0, [f"BILL_AMT{month}" for month in MONTHS]] = [500, 400, 0, 200, -50, 100]
    rows.loc[0, [f"PAY_AMT{month}" for month in MONTHS]] = [100, 0, 50, 10, 2000, 0]
    known = characteristics(rows).iloc[0]
    expected = {
        "worst_status": 2,
        "late_months": 2,
        "months_2_late": 1,
        "late_sum_by_recency": 2 * 6 + 1 * 3,
        "months_since_late": 0,
        "revolving_months": 2,
        "unused_months": 1,
        "paid_in_full_months": 1,
        "utilisation_1": 0.5,
        "utilisation_trend": 0.4,
        "paid_ratio_1": 0.25,
        "paid_ratio_3": 0.25,
        "paid_ratio_5": 5,
        "paid_ratio": 2160 / 700,
        "headroom_min": 500,
        "spent": 200,
    }
    assert known[list(expected)].to_dict() == pytest.approx(expected)
    assert known[["paid_ratio_2", "paid_ratio_4"]].isna().all()


def test_no_protected_attribute_is_a_feature() -> None:
    rows = clients(50)
    other = rows.assign(**dict.fromkeys(PROTECTED, 1), ID=7, **{OUTCOME: 0})
    pd.testing.assert_frame_equal(characteristics(rows), characteristics(other))


def test_no_method_is_tested_on_a_row_equal_to_one_it_was_fitted_on() -> None:
    rows = clients(400)
    together = equal_rows(rows)
    assert (together[-20:] == together[:20]).all() and len(set(together)) == 380
    # a model that remembers rows predicts the outcome of an equal one; one identifying column is enough
    known = pd.DataFrame({"it": together.astype(float)})
    snapshot = Snapshot(pd.Timestamp(0).date(), together.astype(object), known, rows[OUTCOME].to_numpy(bool))
    tree = methods_on(("it",))["decision_tree"]
    predicted = out_of_fold(snapshot, {"decision_tree": tree}, 1)["decision_tree"]
    assert (predicted[-20:] == predicted[:20]).all()
    assert abs(roc_auc_score(rows[OUTCOME], predicted) - 0.5) < 0.12


def test_approvals_are_counted_by_group() -> None:
    rows = pd.DataFrame({"SEX": [1, 1, 2, 2, 2], "AGE": [25, 26, 61, 62, 40], OUTCOME: [0, 1, 0, 0, 1]})
    counts = approvals(rows, np.array([0.1, 0.9, 0.1, 0.2, 0.16]))
    assert counts["sex"]["men"] == {"people": 2, "share": 0.5, "by_cost": 0.5, "best_80": 0.5}
    assert counts["sex"]["women"] == {"people": 3, "share": 0.3333, "by_cost": 0.6667, "best_80": 1.0}
    assert {group: of["people"] for group, of in counts["age"].items()} == {
        "to 25": 1,
        "26 to 40": 2,
        "41 to 61": 1,
        "from 62": 1,
    }


def test_a_measurement_can_be_quoted() -> None:
    rows = clients(1500)
    methods = methods_on(tuple(characteristics(rows).columns))
    some = {name: methods[name] for name in ("majority", "status_1", "scorecard")}
    measured = measure_credit(rows, some, resamples=20)
    assert measured["measures"]["scorecard"]["auc"]["value"] > 0.55
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    results.setdefault("apart", {})["credit"] = json.loads(json.dumps(measured))
    quoted = measured_section(results)
    assert "Who defaults, of 1,500 credit card clients" in quoted
    value = measured["measures"]["scorecard"]["cost"]["value"]
    assert any(line.startswith("| scorecard |") and f"{value:.3f}" in line for line in quoted.splitlines())
    assert "men 0." in quoted and "from 62 0." in quoted
