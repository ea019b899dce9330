"""Running a gate: its result, the results it keeps, long ranges, days without rows, and broken suites."""

import json
import os
from datetime import date

import great_expectations.expectations as gxe
import pytest

from expectations import gate as gate_module
from expectations import scores
from expectations.gate import KEPT_RESULTS
from expectations.suite import Batch
from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem, GateFailed, WrongUse
from goodstanding.core.vocabulary import GATES

ALL_DAYS = Days.parse("2011-03-01", "2011-03-09")


@pytest.mark.parametrize("gate", GATES)
def test_good_days_pass_and_report_how_much_was_judged(judge, settings, gate):
    result = judge(gate)
    stored = json.loads((settings.home / "checks" / gate / "2011-03-09.json").read_text())
    assert result == {
        "gate": gate,
        "days": "2011-03-09",
        "passed": True,
        "expectations": sum(len(batch["checks"]) for batch in stored["batches"]),
        "failed": [],
        "rows": sum(batch["rows"] for batch in stored["batches"]),
        "notes": stored["notes"],
        "day_notes": {date(2011, 3, 9): stored["notes"]},
    }
    unjudged = {
        "predictions": ["not judged: the scorecards (there are no rows of these days)"],
        "invoices": ["not judged: unmatched_share (fewer than 7 days before it had any)"],
    }
    assert stored["notes"] == unjudged.get(gate, [])
    assert result["expectations"] >= 15 and result["rows"] > 100
    assert stored["run_id"] == "run 1" and stored["passed"] and not stored["simulated"]


@pytest.mark.parametrize("gate", GATES)
def test_a_day_without_trade_has_no_rows_and_passes(warehouse, judge, gate):
    predictions = ("predictions.customers", "predictions.models", "predictions.drift")
    for table in ("marts.customer_classes", "marts.class_borders", *predictions):
        warehouse.execute(f"delete from {table}")
    assert judge(gate, Days.parse("2011-02-01"))["rows"] == 0


def test_the_result_of_a_failure_is_kept_with_counts_and_keys(warehouse, judge, settings):
    warehouse.execute(
        "update marts.invoices set is_kept = false where event_day = '2011-03-09' and lines = 1"
    )
    with pytest.raises(GateFailed):
        judge("invoices")
    stored = json.loads((settings.home / "checks" / "invoices" / "2011-03-09.json").read_text())
    assert not stored["passed"]
    (failed,) = [c for batch in stored["batches"] for c in batch["checks"] if not c["passed"]]
    assert (failed["column"], failed["unexpected"], failed["rows"]) == ("is_kept_is_right", 110, 111)
    assert len(failed["keys"]) == 5
    assert all(len(key.rpartition(":")[2]) == 8 for key in failed["keys"])


def test_a_value_that_must_be_there_is_judged_in_rows_without_it_too(warehouse, judge, settings):
    warehouse.execute("update marts.invoices set customer_id = null where event_day = '2011-03-09'")
    with pytest.raises(GateFailed):
        judge("invoices")
    stored = json.loads((settings.home / "checks" / "invoices" / "2011-03-09.json").read_text())
    (found,) = [c for batch in stored["batches"] for c in batch["checks"] if c["column"] == "customer_id"]
    assert (found["unexpected"], found["judged"], found["rows"]) == (111, 111, 111)


def test_a_long_range_is_judged_in_chunks_with_the_same_result(warehouse, judge, settings, monkeypatch):
    warehouse.execute("update intake.raw.order_lines set quantity = 2000000 where line_number = 7")
    results = []
    for rows in (600_000, 250):
        monkeypatch.setattr(gate_module, "CHUNK_ROWS", rows)
        with pytest.raises(GateFailed):
            judge("raw_orders", ALL_DAYS)
        stored = json.loads((settings.home / "checks/raw_orders/2011-03-01_to_2011-03-09.json").read_text())
        results.append(stored["batches"])
    whole, chunked = results
    assert whole == chunked
    quantity = next(check for check in whole[0]["checks"] if check["column"] == "quantity")
    assert (quantity["unexpected"], quantity["rows"], quantity["observed"]) == (9, 1081, [-1, 2_000_000])


def test_chunks_cover_the_range_and_hold_no_more_than_allowed(warehouse, monkeypatch):
    monkeypatch.setattr(gate_module, "CHUNK_ROWS", 250)
    batch = Batch("lines", "", (), [], chunked_by="intake.raw.order_lines")
    days = Days.parse("2011-02-20", "2011-03-20")
    chunks = list(gate_module._chunks(warehouse, batch, days))
    assert [day for chunk in chunks for day in chunk] == list(days)
    assert len(chunks) == 5


def test_only_the_newest_results_of_a_gate_are_kept(judge, settings):
    folder = settings.home / "checks" / "predictions"
    folder.mkdir(parents=True)
    for age in range(KEPT_RESULTS + 5):
        old = folder / f"old_{age}.json"
        old.write_text("{}")
        os.utime(old, (1_000_000 - age, 1_000_000 - age))
    judge("predictions")
    kept = {path.stem for path in folder.iterdir()}
    assert kept == {"2011-03-09"} | {f"old_{age}" for age in range(KEPT_RESULTS - 1)}


def test_a_rerun_replaces_its_result(judge, settings):
    judge("scores", run_id="run 1")
    judge("scores", run_id="run 2")
    (path,) = (settings.home / "checks" / "scores").iterdir()
    assert json.loads(path.read_text())["run_id"] == "run 2"


def test_results_of_a_simulated_shop_say_so(warehouse, judge, settings):
    warehouse.execute("update intake.raw.days set simulated = true")
    judge("raw_orders")
    assert json.loads((settings.home / "checks/raw_orders/2011-03-09.json").read_text())["simulated"]


def test_any_expectation_can_be_added_in_one_line(judge, settings, monkeypatch):
    added = Batch(
        name="added in a test",
        sql="from marts.invoices where event_day between $first and $last",
        key=("invoice_no",),
        expectations=[
            gxe.ExpectColumnMeanToBeBetween(column="lines", min_value=2),
            gxe.ExpectColumnValuesToBeBetween(column="lines", min_value=1, mostly=0.9),
            gxe.ExpectColumnDistinctValuesToBeInSet(column="customer_id", value_set=["nobody"]),
            gxe.ExpectTableRowCountToBeBetween(max_value=3),
            gxe.ExpectColumnValuesToNotBeNull(column="forgotten"),
        ],
    )
    monkeypatch.setattr(scores, "BATCHES", (added,))
    with pytest.raises(GateFailed) as stop:
        judge("scores")
    message = str(stop.value)
    assert "4 of 5 expectations failed" in message
    assert (
        "expect_column_mean_to_be_between on lines of the added in a test "
        "(lines mean must be greater than or equal to 2), observed 1;" in message
    )
    assert "expect_table_row_count_to_be_between on the table of the added in a test" in message
    assert ", observed 111;" in message
    assert 'could not be judged: Error: The column "forgotten" in BatchData does not exist' in message
    stored = json.loads((settings.home / "checks/scores/2011-03-09.json").read_text())
    assert [check["passed"] for check in stored["batches"][0]["checks"]] == [False, True, False, False, False]
    # the distinct values that this expectation reports are customers
    assert stored["batches"][0]["checks"][2]["observed"] is None


def test_failures_that_do_not_fit_into_the_message_are_counted(warehouse, judge):
    warehouse.execute(
        "update marts.customer_classes set r_score = 9, f_score = 9, m_score = 9, credit_score = 99"
    )
    with pytest.raises(GateFailed, match=r"11 of 22 expectations failed: .*; and 6 more\. "):
        judge("scores")


def test_a_missing_table_is_reported_by_name(warehouse, judge):
    warehouse.execute("drop table marts.rfm_borders")
    with pytest.raises(DataProblem, match=r"gate scores cannot look at the customers: .*rfm_borders"):
        judge("scores")


def test_an_unknown_gate_is_reported_by_name(judge):
    with pytest.raises(
        WrongUse, match="no gate 'raw'; the gates are raw_orders, invoices, scores, predictions"
    ):
        judge("raw")
