"""Gate 3 stops if a score or class does not follow from its measure, or customers changed too much."""

import pytest

from goodstanding.core.days import Days

CLASSES = "update marts.customer_classes set"
ONE = "where customer_id = sha256('shopper 7') and as_of = '2011-03-09'"
TODAY = "where as_of = '2011-03-09'"


@pytest.mark.parametrize(
    ("spoiling", "column", "message"),
    [
        (
            f"insert into marts.customer_classes from marts.customer_classes {ONE}",
            "customer_id, as_of",
            "2 of 111 rows, such as 2011-03-09:",
        ),
        (f"{CLASSES} recency = -1 {ONE}", "recency", "1 of 110 rows, observed -1 to 0"),
        (f"{CLASSES} frequency = 0 {ONE}", "frequency", "1 of 110 rows"),
        (f"{CLASSES} monetary = 0 {ONE}", "monetary", "monetary is above 0): 1 of 110 rows"),
        (f"{CLASSES} r_score = 5 {ONE}", "r_score", "1 of 110 rows"),
        (f"{CLASSES} f_score = 0 {ONE}", "f_score", "1 of 110 rows"),
        (f"{CLASSES} m_score = 5 {ONE}", "m_score", "1 of 110 rows"),
        (f"{CLASSES} credit_score = 13 {ONE}", "credit_score", "1 of 110 rows"),
        (f"{CLASSES} class = null {ONE}", "class", "1 of 110 rows"),
        (f"{CLASSES} class = 'Splendid' {ONE}", "class", "must belong to this set"),
        (f"{CLASSES} r_score = 3 {ONE}", "r_score_is_right", "1 of 110 rows, such as 2011-03-09:"),
        (f"{CLASSES} f_score = 2 {ONE}", "f_score_is_right", "1 of 110 rows"),
        (f"{CLASSES} m_score = 4 {ONE}", "m_score_is_right", "1 of 110 rows"),
        (
            f"delete from marts.rfm_borders {TODAY} and measure = 'recency'",
            "r_score_is_right",
            "110 of 110 rows",
        ),
        (f"{CLASSES} credit_score = 12 {ONE}", "credit_score_is_right", "1 of 110 rows"),
        (f"{CLASSES} class = 'Best' {ONE}", "class_is_right", "1 of 110 rows"),
        (f"update marts.rfm_scores set m_score = 4 {ONE}", "rfm_scores_agree", "1 of 110 rows"),
        (f"delete from marts.customer_classes {TODAY}", "is_there", "1 of 1 rows, such as 2011-03-09"),
        (f"delete from marts.class_borders {TODAY}", "is_there", "1 of 1 rows, such as 2011-03-09"),
        (f"delete from marts.customer_classes {ONE}", "counts_agree", "1 of 1 rows"),
        (f"{CLASSES} r_score = 3 {ONE}", "torn_ties", "equal values get equal scores"),
        (f"{CLASSES} class = 'Best' {TODAY}", "largest_class_share", "observed 1, "),
        (f"{CLASSES} class = 'Good' {TODAY} and class = 'Best'", "smallest_class_share", "observed 0, "),
        (
            "insert into marts.customer_classes select * replace (customer_id || 'b' as customer_id) "
            "from marts.customer_classes where as_of = '2011-03-08' and credit_score = 6",
            "customers_of_previous",
            "observed 0.797101",
        ),
    ],
)
def test_one_fault_stops_the_day(stops, spoiling, column, message):
    stops("scores", spoiling, column, message)


def test_the_newest_as_of_within_the_days_is_judged(warehouse, judge):
    warehouse.execute("update marts.customer_classes set r_score = 5 where as_of = '2011-03-08'")
    assert judge("scores", Days.parse("2011-03-01", "2011-03-09"))["rows"] == 111


def test_before_the_first_customer_there_is_nothing_to_judge(warehouse, judge):
    warehouse.execute(
        "delete from marts.invoices; delete from marts.class_borders; delete from marts.customer_classes;"
        "delete from marts.rfm_scores"
    )
    assert judge("scores")["rows"] == 0


def test_a_day_on_which_all_was_given_back_has_nobody_to_classify(warehouse, judge):
    warehouse.execute(
        f"update marts.invoices set is_kept = false; delete from marts.class_borders {TODAY};"
        f"delete from marts.customer_classes {TODAY}; delete from marts.rfm_scores {TODAY}"
    )
    judge("scores", Days.parse("2011-03-08", "2011-03-09"))


def test_a_snapshot_past_its_retention_is_not_reported_missing(warehouse, judge):
    warehouse.execute(
        "insert into intake.raw.days select * replace (event_day + 400 as event_day) from intake.raw.days"
    )
    assert judge("scores", Days.parse("2011-03-07"))["rows"] == 0


def test_a_snapshot_within_its_retention_is_reported_missing(stops):
    stops("scores", "delete from marts.class_borders", "is_there", "1 of 1 rows")
