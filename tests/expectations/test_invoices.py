"""Gate 2 stops a day with a wrong outcome of an order line, or with money or lines lost."""

import pytest

ONE = "where event_day = '2011-03-09' and line_number = 7"
PARTLY = "where outcome = 'partly_cancelled'"
INVOICE = "where invoice_no = 'I03096'"


@pytest.mark.parametrize(
    ("spoiling", "column", "message"),
    [
        (
            f"insert into marts.order_lines from marts.order_lines {ONE}",
            "file_name, line_number",
            "2 of 122 rows",
        ),
        (
            f"update marts.order_lines set outcome = null {ONE}",
            "outcome",
            "(every line has an outcome): 1 of 121 rows, such as 2011-03-09.csv:7",
        ),
        (f"update marts.order_lines set outcome = 'lost' {ONE}", "outcome", "must belong to this set"),
        (
            f"update marts.order_lines set cancellation_rule = 'guess' {PARTLY}",
            "cancellation_rule",
            "1 of 121 rows",
        ),
        (f"update marts.order_lines set customer_id = null {ONE}", "customer_is_right", "1 of 121 rows"),
        (f"update marts.order_lines set amount = amount + 0.0001 {ONE}", "amount_is_right", "1 of 121 rows"),
        (f"update marts.order_lines set amount = null {ONE}", "amount_is_right", "1 of 121 rows"),
        (
            f"update marts.order_lines set cancelled_quantity = -1 {ONE}",
            "cancelled_quantity",
            "observed -1 to 1",
        ),
        (
            f"update marts.order_lines set cancelled_quantity = 8 {ONE}",
            "quantity_size, cancelled_quantity",
            "no more is cancelled than was bought): 1 of 121 rows, such as 2011-03-09.csv:7",
        ),
        (f"update marts.order_lines set outcome = 'cancelled' {PARTLY}", "outcome_is_right", "1 of 121 rows"),
        (
            f"update marts.order_lines set kept_amount = amount {PARTLY}",
            "kept_amount_is_right",
            "1 of 121 rows",
        ),
        (
            f"insert into marts.invoices from marts.invoices {INVOICE}",
            "customer_id, invoice_no, kind",
            "2 of 112 rows, such as I03096:sale:",
        ),
        (f"update marts.invoices set customer_id = null {INVOICE}", "customer_id", "1 of 111 rows"),
        (f"update marts.invoices set kind = 'gift' {INVOICE}", "kind", "1 of 111 rows"),
        (f"update marts.invoices set lines = 0 {INVOICE}", "lines", "1 of 111 rows, observed 0 to 1"),
        (
            f"update marts.invoices set net_amount = net_amount + 0.0001 {INVOICE}",
            "net_is_right",
            "1 of 111 rows",
        ),
        (f"update marts.invoices set is_kept = false {INVOICE}", "is_kept_is_right", "1 of 111 rows"),
        (f"delete from marts.order_lines {ONE}", "lines_are_conserved", "1 of 1 rows, on 2011-03-09"),
        (
            "delete from marts.order_lines where event_day = '2011-03-09'",
            "lines_are_conserved",
            "1 of 1 rows",
        ),
        (
            f"update marts.order_lines set quantity = 8, amount = 20, kept_amount = 20 {ONE}",
            "amount_is_conserved",
            "1 of 1 rows",
        ),
        (
            "delete from marts.invoices where event_day = '2011-03-09' and gross_amount > 30",
            "invoices_of_usual",
            "observed 0.1, on 2011-03-09",
        ),
    ],
)
def test_one_fault_stops_the_day(stops, spoiling, column, message):
    stops("invoices", spoiling, column, message)


def test_a_day_that_another_run_took_in_again_is_left_to_that_run(warehouse, judge):
    warehouse.execute(
        "update intake.raw.days set version = 'v2', admitted = false where event_day = '2011-03-09';"
        "delete from intake.raw.order_lines where event_day = '2011-03-09' and line_number > 100"
    )
    assert judge("invoices")["passed"]
