"""Gate 4 stops if a customer lacks a single profile, or a prediction is impossible or not honest."""

import pytest

from expectations.gate import run_gate
from goodstanding.core.days import Days
from goodstanding.core.errors import GateFailed

CUSTOMERS, MODELS = "update predictions.customers set", "update predictions.models set"
ONE, BUYS = "where customer_id = sha256('shopper 7')", "where question = 'buys_90d'"
PROFILES = """
create or replace view marts.customer_profiles as
select
    classes.*, predictions.* exclude (customer_id, as_of, model_id, note) {instead},
    'm' as model_id, 'no model' as prediction_note
from marts.customer_classes as classes
left join predictions.customers as predictions using (customer_id, as_of)
where as_of >= '{since}'
"""
SECOND_PROFILE_DAY = PROFILES.format(instead="", since="2011-03-08")
OTHER_PROFILES = PROFILES.format(instead="replace (0.5 as buy_90d_probability)", since="2011-03-09")


@pytest.mark.parametrize(
    ("spoiling", "column", "message"),
    [
        (
            f"insert into predictions.customers from predictions.customers {ONE}",
            "customer_id, as_of",
            "of 113 rows, such as 2011-03-09:",
        ),
        (f"update marts.customer_classes set customer_id = null {ONE}", "customer_id", "1 of 110 rows"),
        (f"update marts.customer_classes set class = null {ONE}", "class", "1 of 110 rows"),
        (f"update marts.customer_classes set class = 'Splendid' {ONE}", "class", "must belong to this set"),
        (f"{CUSTOMERS} buy_90d_probability = 1.5 {ONE}", "buy_90d_probability", "observed 0.255 to 1.5"),
        (f"{CUSTOMERS} return_60d_probability = -0.1 {ONE}", "return_60d_probability", "1 of 110 rows"),
        (f"{CUSTOMERS} class_next_quarter = 'Splendid' {ONE}", "class_next_quarter", "1 of 110 rows"),
        (
            f"{CUSTOMERS} class_next_quarter_probability = 0.2 {ONE}",
            "class_next_quarter_probability",
            "observed 0.2 to 0.5",
        ),
        (f"{CUSTOMERS} expected_orders_90d = -1 {ONE}", "expected_orders_90d", "observed -1 to 1.5"),
        (f"{CUSTOMERS} expected_spend_90d = -1 {ONE}", "expected_spend_90d", "observed -1 to 30"),
        (
            f"{CUSTOMERS} next_order_from = '2011-03-09' {ONE}",
            "next_order_is_within_its_interval",
            "1 of 110 rows",
        ),
        (
            f"{CUSTOMERS} next_order_until = '2011-03-19' {ONE}",
            "next_order_is_within_its_interval",
            "1 of 110 rows",
        ),
        (f"{CUSTOMERS} next_order_until = null {ONE}", "next_order_is_within_its_interval", "1 of 110 rows"),
        (f"{CUSTOMERS} buy_30d_probability = 0.9 {ONE}", "longer_is_likelier", "1 of 110 rows"),
        (f"{CUSTOMERS} buy_90d_probability = null {ONE}", "is_explained", "1 of 110 rows"),
        (f"{MODELS} model_id = null, note = 'none' {BUYS}", "model_is_named", "110 of 110 rows"),
        (OTHER_PROFILES, "prediction_agrees", "109 of 110 rows"),
        ("delete from marts.customer_classes", "profiles_are_there", "1 of 1 rows"),
        (SECOND_PROFILE_DAY, "profile_days", "observed 2"),
        (f"{CUSTOMERS} as_of = '2011-03-08'", "predictions_are_newest", "1 of 1 rows"),
        (f"delete from predictions.customers {ONE}", "customers_are_predicted", "1 of 1 rows"),
        (f"{CUSTOMERS} buy_90d_probability = 0.001", "mean_probability", "observed 0.001"),
        (f"insert into predictions.models from predictions.models {BUYS}", "as_of, question", "2 of 6 rows"),
        (f"{MODELS} as_of = '2011-03-08' {BUYS}", "is_newest", "2011-03-08:buys_90d"),
        (f"{MODELS} model_id = null, note = ' ' {BUYS}", "is_explained", "2011-03-09:buys_90d"),
        (f"{MODELS} model_id = 'buys_90d-2011-03-10-leaks-12' {BUYS}", "knew_no_later_day", "1 of 5 rows"),
        (f"{MODELS} data_day = '2011-03-10' {BUYS}", "knew_no_later_day", "1 of 5 rows"),
        (f"{MODELS} model_id = 'undated' {BUYS}", "knew_no_later_day", "1 of 5 rows"),
        (
            f"update predictions.drift set value = 0.3, is_within = false {BUYS} and kind = 'input'",
            "is_within_its_limits",
            "2011-03-09:buys_90d",
        ),
        (f"delete from predictions.drift {BUYS}", "is_within_its_limits", "1 of 5 rows"),
        (f"update predictions.drift set value = 0.3 {BUYS}", "verdict_agrees", "buys_90d:input:rfm_rank"),
        ("insert into predictions.drift from predictions.drift limit 1", "question, kind, name", "2 of 11"),
    ],
)
def test_one_fault_stops_the_run(stops, spoiling, column, message):
    stops("predictions", spoiling, column, message)


def test_without_a_model_profiles_and_questions_say_why_and_pass(warehouse, judge):
    warehouse.execute(
        f"{CUSTOMERS} buy_30d_probability = null, buy_60d_probability = null,"
        "buy_90d_probability = null, return_60d_probability = null, class_next_quarter = null,"
        "class_next_quarter_probability = null"
    )
    warehouse.execute(f"{MODELS} model_id = null, note = 'no model was trained'")
    warehouse.execute("delete from predictions.drift")
    assert judge("predictions")["rows"] == 110 + 1 + 5


@pytest.mark.parametrize(("transformed_after_scoring", "passes"), [(True, True), (False, False)])
def test_old_predictions_pass_only_while_another_run_still_has_to_score(
    own_warehouse, settings, transformed_after_scoring, passes
):
    for table in ("customers", "models", "drift"):
        own_warehouse.execute(f"update predictions.{table} set as_of = '2011-03-08'")
    own_warehouse.execute(f"{MODELS} data_day = '2011-03-08', model_id = question || '-2011-03-08-older-1'")
    second = 2 if transformed_after_scoring else 0
    own_warehouse.execute(
        "insert into intake.ops.steps values"
        "('a', 'score', '2011-03-08', '2011-03-08', '2011-03-10 08:00:01', 1, 1, 'done', null),"
        f"('b', 'transform', '2011-03-09', '2011-03-09', '2011-03-10 08:00:0{second}', 1, 1, 'done', null)"
    )
    if passes:
        assert run_gate(own_warehouse, "predictions", Days.parse("2011-03-08"), "a", settings)["passed"]
    else:
        with pytest.raises(GateFailed, match="predictions_are_newest"):
            run_gate(own_warehouse, "predictions", Days.parse("2011-03-08"), "a", settings)
