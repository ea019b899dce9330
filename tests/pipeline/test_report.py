"""The report of the real year has the expected value of every number that `make run` shows."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import STEPS
from goodstanding.warehouse.files import open_intake, open_published, open_warehouse
from pipeline.report import read_profile, read_refused, read_status
from tests.conftest import Year


@pytest.fixture
def home(real_year: Year) -> Settings:
    return Settings(home=real_year.home, landing=real_year.landing, _env_file=None)


def test_a_training_says_why_a_question_has_no_new_model(home: Settings) -> None:
    with open_intake(home) as connection:
        rows = connection.execute("select run_id from ops.steps where step = 'train'").fetchall()
    refused = read_refused(home, [run_id for (run_id,) in rows])
    assert list(refused) == ["emi"]
    assert "emi needs 3 month(s) of its orders" in refused["emi"]


def test_the_year_has_the_known_numbers(real_year: Year) -> None:
    report = real_year.report
    names = ("as_of", "simulated", "days", "files", "lines", "rejected", "rejected_reasons", "restated")
    assert {name: report[name] for name in names} == {
        "as_of": "2011-12-09",
        "simulated": False,
        "days": 374,
        "files": 305,
        "lines": 541_909,
        "rejected": 0,
        "rejected_reasons": [],
        "restated": 0,
    }
    assert (report["invoices"], report["cancellations"], report["customers"]) == (22_190, 3_654, 4_372)
    outcomes = report["outcomes"]
    assert (outcomes["no_customer"], outcomes["duplicate"]) == (135_080, 5_225)
    assert sum(outcomes.values()) == 541_909
    rules = {row["rule"]: row for row in report["cancellation_rules"]}
    assert {rule: row["lines"] for rule, row in rules.items()} == {
        "mirror": 2_867,
        "reach_back": 4_674,
        "no purchase found": 1_331,
    }
    assert rules["mirror"]["units"] == rules["mirror"]["matched_units"]
    assert 0 < rules["reach_back"]["matched_units"] <= rules["reach_back"]["units"]
    assert rules["no purchase found"]["matched_units"] == 0


def test_every_customer_has_a_class_and_every_measure_its_borders(real_year: Year) -> None:
    report = real_year.report
    assert list(report["classes"]) == ["Best", "Good", "Average", "Worst"]
    assert sum(report["classes"].values()) == report["customers"]
    assert min(report["classes"].values()) > 500, "quarters of sums of quarters: no class is nearly empty"
    assert 0 < report["worst_by_rule"] < 100
    measures = {row["measure"]: row for row in report["borders"]}
    assert sorted(measures) == ["credit score", "frequency", "monetary", "recency"]
    for row in measures.values():
        assert row["q25"] <= row["q50"] <= row["q75"]


def test_every_question_has_a_model_with_its_measures_beside_the_baseline(real_year: Year) -> None:
    models = {model["question"]: model for model in real_year.report["models"]}
    assert models.pop("worth_90d")["recipe"] == "nbd"
    assert models.pop("emi")["model_id"] is None, "the year has no payments"
    assert list(models) == ["buys_30d", "buys_60d", "buys_90d", "class_next_quarter", "returns_60d", "cod"]
    for model in models.values():
        for measure in ("auc", "brier", "ece"):
            value, low, high = model["measures"][measure]
            assert 0 <= low <= high <= 1 and 0 <= value <= 1
        assert model["data_day"] == "2011-12-09", "a training ends the run"
        assert len(model["cuts"]) == 3
        is_baseline = model["recipe"] == model["baseline"]
        assert is_baseline == (model["gain"] == [0.0, 0.0, 0.0])
        assert is_baseline or model["gain"][1] > 0, "only a clear gain ships"
    assert 0.74 < models["buys_90d"]["measures"]["auc"][0] < 0.77


def test_every_customer_with_a_counted_invoice_has_every_prediction(real_year: Year, home: Settings) -> None:
    with open_published(home) as connection:
        counts = connection.execute(
            """
            select count(*), count(buy_30d_probability), count(buy_60d_probability),
                count(buy_90d_probability), count(return_60d_probability), count(class_next_quarter),
                count(expected_orders_90d), count(expected_spend_90d), count(segment)
            from marts.customer_profiles
            """
        ).fetchone()
        refused = connection.execute(
            "select question from predictions.models where model_id is null"
        ).fetchall()
    customers = 4_372 - real_year.report["worst_by_rule"]
    assert refused == [("emi",)] and counts == (4_372, *[customers] * 8)


def test_every_step_has_its_runs_seconds_and_memory(real_year: Year) -> None:
    steps = {row["step"]: row for row in real_year.report["steps"]}
    # eight steps each for one range and seven days; then a training, whose models score the last day again
    again = dict.fromkeys(("score", "check_predictions", "publish"), 9)
    runs = {step: row["runs"] for step, row in steps.items()}
    assert runs == dict.fromkeys(STEPS, 8) | again | {"train": 1}
    assert len(real_year.report["runs"]) == 9
    for row in steps.values():
        assert 0 <= row["median_seconds"] <= row["seconds"]
        assert 50 < row["peak_mb"] < 1500, "the memory that one run may take"


def test_the_last_seven_days_were_a_daily_run_each(home: Settings) -> None:
    with open_intake(home) as connection:
        spans = connection.execute(
            "select first_day, last_day from ops.steps where step = 'ingest' order by started_at"
        ).fetchall()
    assert spans[0] == (date(2010, 12, 1), date(2011, 12, 2))
    assert spans[1:] == [(date(2011, 12, day), date(2011, 12, day)) for day in range(3, 10)]


def test_the_paths_in_the_report_exist(real_year: Year) -> None:
    paths = real_year.report["paths"]
    assert sorted(paths) == ["data_docs", "dbt_docs", "published"]
    for path in paths.values():
        assert Path(path).is_file() and Path(path).stat().st_size > 1000
    assert Path(paths["published"]) == real_year.home / "published" / "current.duckdb"


def test_the_command_finds_the_profile_of_a_real_customer(real_year: Year) -> None:
    done = real_year.call("profile", "17850", "--json")
    assert done.returncode == 0, done.stderr
    profile = json.loads(done.stdout)
    assert (profile["as_of"], profile["country"]) == ("2011-12-09", "United Kingdom")
    assert profile["credit_score"] == profile["r_score"] + profile["f_score"] + profile["m_score"]
    assert profile["model_id"] == real_year.report["models"][2]["model_id"]
    assert 0 < profile["buy_90d_probability"] < 1


def test_a_customer_without_a_counted_invoice_is_worst_by_rule_and_the_note_says_so(
    real_year: Year, home: Settings
) -> None:
    # customer 12346 returned everything on the same day
    profile = read_profile(home, "12346")
    assert (profile["class"], profile["buy_90d_probability"]) == ("Worst", None)
    assert profile["class_note"] and profile["prediction_note"]


def test_the_status_has_four_passed_gates(home: Settings) -> None:
    status = read_status(home)
    assert status["last_good_day"] == date(2011, 12, 9)
    assert status["gates"] == {"raw_orders": True, "invoices": True, "scores": True, "predictions": True}
    assert (status["waiting"], status["running"], status["simulated"]) == ([], False, False)


def test_the_status_has_the_model_of_each_question_with_its_greatest_drift(home: Settings) -> None:
    status = read_status(home)
    assert [answer["question"] for answer in status["answers"]] == [
        *("buys_30d", "buys_60d", "buys_90d", "class_next_quarter"),
        *("cod", "emi", "returns_60d", "worth_90d"),
    ]
    for answer in status["answers"]:
        if answer["question"] == "emi":
            assert "no emi model was trained on data up to 2011-12-09" in answer["note"]
        else:
            assert answer["note"] is None and answer["value"] <= answer["allowed"]


def test_the_status_says_that_a_run_is_writing_instead_of_failing(real_year: Year, home: Settings) -> None:
    with open_warehouse(home):
        done = real_year.call("status", "--json")
        assert done.returncode == 0, done.stderr
        status = json.loads(done.stdout)
        assert (status["running"], status["waiting"]) == (True, [])
        assert status["last_good_day"] == "2011-12-09"
        assert "a run is writing now" in real_year.call("status").stdout
