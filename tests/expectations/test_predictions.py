"""Gate 4 stops where a customer has no one profile, or a prediction is impossible or not honest."""

import pytest

from expectations.gate import run_gate
from goodstanding.days import Days
from goodstanding.errors import GateFailed

PURCHASES = "update predictions.purchases set"
ONE = "where customer_id = sha256('shopper 7')"
SECOND_PROFILE_VIEW = """
create or replace view marts.customer_profiles as
select classes.*, buy_90d_probability, model_id, 'no model' as prediction_note
from marts.customer_classes as classes left join predictions.purchases using (customer_id, as_of)
"""


@pytest.mark.parametrize(
    ("spoiling", "column", "found"),
    [
        (
            f"insert into predictions.purchases from predictions.purchases {ONE}",
            "customer_id, as_of",
            "of 113 rows, such as 2011-03-09:",
        ),
        (f"update marts.customer_classes set customer_id = null {ONE}", "customer_id", "1 of 110 rows"),
        (f"update marts.customer_classes set class = null {ONE}", "class", "1 of 110 rows"),
        (f"update marts.customer_classes set class = 'Splendid' {ONE}", "class", "must belong to this set"),
        (
            f"{PURCHASES} buy_90d_probability = 1.5 {ONE}",
            "buy_90d_probability",
            "1 of 110 rows, observed 0.255 to 1.5",
        ),
        (f"{PURCHASES} buy_90d_probability = null {ONE}", "is_explained", "1 of 110 rows"),
        (f"{PURCHASES} model_id = null {ONE}", "model_is_named", "1 of 110 rows"),
        (
            "create or replace view marts.customer_profiles as select *, 0.5 as buy_90d_probability,"
            "'m' as model_id, null as prediction_note from marts.customer_classes where as_of = '2011-03-09'",
            "prediction_agrees",
            "109 of 110 rows",
        ),
        ("delete from marts.customer_classes", "profiles_are_there", "1 of 1 rows"),
        (SECOND_PROFILE_VIEW, "profile_days", "observed 2"),
        (f"{PURCHASES} as_of = '2011-03-08'", "predictions_are_newest", "1 of 1 rows"),
        (f"delete from predictions.purchases {ONE}", "customers_are_predicted", "1 of 1 rows"),
        (f"{PURCHASES} model_id = 'buy_90d-2011-03-01-other-12' {ONE}", "models", "observed 2"),
        (f"{PURCHASES} model_id = 'buy_90d-2011-03-10-leaks-12'", "model_knew_no_later_day", "1 of 1 rows"),
        (f"{PURCHASES} model_id = 'undated'", "model_knew_no_later_day", "1 of 1 rows"),
        (f"{PURCHASES} buy_90d_probability = 0.001", "mean_probability", "observed 0.001"),
    ],
)
def test_one_bad_thing_stops_the_run(stops, spoiling, column, found):
    stops("predictions", spoiling, column, found)


def test_without_a_model_the_profiles_say_why_and_pass(warehouse, judge):
    warehouse.execute("delete from predictions.purchases")
    assert judge("predictions")["rows"] == 111


@pytest.mark.parametrize(("transformed_after_scoring", "passes"), [(True, True), (False, False)])
def test_old_predictions_pass_only_while_another_run_has_yet_to_score(
    own_warehouse, settings, transformed_after_scoring, passes
):
    own_warehouse.execute(
        "update predictions.purchases set as_of = '2011-03-08', model_id = 'buy_90d-2011-03-08-older-1'"
    )
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
