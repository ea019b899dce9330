"""Gate 1 stops a day whose raw orders are incomplete, unreadable or of an unusual number."""

import pytest

from goodstanding.core.days import Days
from goodstanding.core.errors import GateFailed

LINES = "intake.raw.order_lines"
TODAY = "event_day = '2011-03-09'"
ONE = f"{TODAY} and line_number = 7"
RECOUNT = f"""update intake.raw.files set lines = n, accepted = n
    from (select count(*) as n from {LINES} where {TODAY}) where {TODAY}"""


@pytest.mark.parametrize(
    ("spoiling", "column", "message"),
    [
        (
            f"alter table {LINES} alter file_name drop not null;"
            f"update {LINES} set file_name = null where {ONE}",
            "file_name",
            "1 of 121 rows",
        ),
        (
            f"alter table {LINES} alter line_number drop not null;"
            f"update {LINES} set line_number = null where {ONE}",
            "line_number",
            "1 of 121 rows",
        ),
        (
            f"insert into {LINES} from {LINES} where {ONE}",
            "file_name, line_number",
            "2 of 122 rows, such as 2011-03-09.csv:7, 2011-03-09.csv:7",
        ),
        (
            f"update {LINES} set invoice_no = '' where {ONE}",
            "is_named",
            "1 of 121 rows, such as 2011-03-09.csv:7",
        ),
        (f"update {LINES} set invoice_kind = 'gift' where {ONE}", "invoice_kind", "1 of 121 rows"),
        (
            f"update {LINES} set quantity = 1000001 where {ONE}",
            "quantity",
            "1 of 121 rows, observed -1 to 1,000,001, such as 2011-03-09.csv:7",
        ),
        (f"update {LINES} set unit_price = 100001 where {ONE}", "unit_price", "1 of 121 rows"),
        (
            f"update {LINES} set unit_price = -1, invoice_kind = 'cancellation' where {ONE}",
            "price_sign_is_right",
            "1 of 121 rows",
        ),
        (f"update {LINES} set amount = 20000000 where {ONE}", "amount", "1 of 121 rows"),
        (f"update {LINES} set amount = null where {ONE}", "has_an_amount", "1 of 121 rows"),
        (
            f"update {LINES} set ordered_at = ordered_at + interval 1 day where {TODAY} and line_number < 10",
            "event_day_is_right",
            "8 of 121 rows, such as 2011-03-09.csv:2, 2011-03-09.csv:3, 2011-03-09.csv:4, "
            "2011-03-09.csv:5, 2011-03-09.csv:6. Nothing",
        ),
        (f"update intake.raw.files set lines = lines + 1 where {TODAY}", "lines_add_up", "1 of 1 rows"),
        (f"delete from {LINES} where {ONE}", "accepted_are_stored", "1 of 1 rows, on 2011-03-09"),
        (
            f"update intake.raw.files set lines = lines + 1, rejected = 1 where {TODAY}",
            "rejected_are_stored",
            "1 of 1 rows",
        ),
        (
            f"delete from {LINES} where {TODAY};"
            f"update intake.raw.files set rejected = lines, accepted = 0 where {TODAY}",
            "some_line_is_readable",
            "1 of 1 rows",
        ),
        (
            f"update intake.raw.files set lines = 130, rejected = 9 where {TODAY}",
            "rejected_share",
            "observed 0.069231",
        ),
        (
            f"update {LINES} set customer_id = null where {TODAY} and line_number > 5",
            "share_without_customer",
            "observed 0.966942",
        ),
        (
            f"delete from {LINES} where {TODAY} and line_number > 15; {RECOUNT}",
            "lines_of_usual",
            "observed 0.116667",
        ),
        (f"update {LINES} set amount = quantity * 0.1 where {TODAY}", "sales_of_usual", "observed 0.04"),
    ],
)
def test_one_fault_stops_the_day(stops, spoiling, column, message):
    stops("raw_orders", spoiling, column, message)


ACCOUNTS = """
insert into intake.raw.payments
select source, event_day, 'payments', 'hash', line_number, invoice_no, customer_id, 'card', 'e_payment', 1, 9,
    event_day + 5, null, null, true, false, null, 9, 100, null, null
from intake.raw.order_lines where event_day = '2011-03-09' and line_number between 2 and 6;
insert into intake.raw.returns
select source, event_day, 'returns', 'hash', line_number, invoice_no, customer_id, 'refusal', ordered_at,
    ordered_at_utc, 9, 'x'
from intake.raw.order_lines where event_day = '2011-03-09' and line_number between 2 and 4;
insert into intake.raw.deliveries
select source, event_day, 'deliveries', 'hash', line_number, invoice_no, customer_id, 'cod', 'on_delivery',
    ordered_at, ordered_at_utc
from intake.raw.order_lines where event_day = '2011-03-09' and line_number between 2 and 5;
insert into intake.raw.files
select source, event_day, file_name, 'hash', 1, count(*), count(*), 0, null, now()::timestamp, 'run', null
from (from intake.raw.payments select source, event_day, file_name union all
    from intake.raw.returns select source, event_day, file_name union all
    from intake.raw.deliveries select source, event_day, file_name)
group by all;
"""


def test_payments_returns_and_deliveries_are_judged_if_a_shop_has_them(warehouse, judge):
    without = judge("raw_orders")
    warehouse.execute(ACCOUNTS)
    result = judge("raw_orders")
    assert (result["rows"], result["expectations"]) == (without["rows"] + 12, without["expectations"] + 15)


@pytest.mark.parametrize(
    ("spoiling", "column", "message"),
    [
        (
            "insert into intake.raw.payments from intake.raw.payments where line_number = 2",
            "file_name, line_number",
            "2 of 6 rows, such as payments:2, payments:2",
        ),
        ("update intake.raw.payments set method_kind = 'gift'", "method_kind", "5 of 5 rows"),
        ("update intake.raw.payments set amount = 1e7 + 1", "amount", "5 of 5 rows"),
        ("update intake.raw.payments set due_day = '2051-03-09'", "days_until_due", "5 of 5 rows"),
        ("update intake.raw.payments set instalment_no = -1", "instalment_no", "5 of 5 rows"),
        ("update intake.raw.payments set paid_day = event_day + 1", "is_paid_by_then", "5 of 5 rows"),
        ("update intake.raw.payments set days_late = -1", "signs_are_right", "5 of 5 rows"),
        ("delete from intake.raw.payments where line_number = 2", "accepted_are_stored", "1 of 1 rows"),
        (
            "insert into intake.raw.rejected_payments values "
            "('shop', '2011-03-09', 'payments', 'hash', 9, '', 'x', null)",
            "rejected_are_stored",
            "1 of 1 rows",
        ),
        ("insert into intake.raw.returns from intake.raw.returns", "file_name, line_number", "6 of 6 rows"),
        ("update intake.raw.returns set return_kind = 'gift'", "return_kind", "3 of 3 rows"),
        ("update intake.raw.returns set returned_at = '2011-03-08'", "event_day_is_right", "3 of 3 rows"),
        ("update intake.raw.returns set amount = -1", "sign_is_right", "3 of 3 rows"),
        (
            "insert into intake.raw.deliveries from intake.raw.deliveries",
            "file_name, line_number",
            "8 of 8 rows",
        ),
        ("update intake.raw.deliveries set method_kind = 'gift'", "method_kind", "4 of 4 rows"),
        ("update intake.raw.deliveries set delivered_at = '2011-03-08'", "event_day_is_right", "4 of 4 rows"),
        ("delete from intake.raw.deliveries where line_number = 2", "accepted_are_stored", "1 of 1 rows"),
    ],
)
def test_one_fault_among_the_other_kinds_stops_the_day(stops, spoiling, column, message):
    stops("raw_orders", f"{ACCOUNTS}; {spoiling}", column, message)


def test_an_adjustment_may_have_a_price_below_zero(warehouse, judge):
    warehouse.execute(
        f"update {LINES} set unit_price = -1, invoice_kind = 'adjustment' where event_day = '2011-03-09' "
        "and line_number = 7"
    )
    assert judge("raw_orders")["passed"]


ASIDE = """
insert into intake.raw.rejected_order_lines
select 'shop', '2011-03-09', '2011-03-09.csv', 'hash', n + 200, '',
    format('ordered_at: a row of {} in the file of 2011-03-09', date '2011-01-31' + n::integer), null
from generate_series(1, 20) as _(n)
union all select 'shop', '2011-03-09', '2011-03-09.csv', 'hash', 199, '', 'price: is missing', null;
update intake.raw.files set lines = 142, rejected = 21 where event_day = '2011-03-09'
"""


def test_the_message_says_why_lines_were_set_aside_and_where(stops):
    stops(
        "raw_orders",
        ASIDE,
        "rejected_share",
        "21 of 142 lines set aside: ordered_at: a row of 2011-02-01 in the file of 2011-03-09 and the like "
        "(20, first 2011-03-09.csv:201), price: is missing (1, first 2011-03-09.csv:199)",
    )


def test_the_message_names_every_day(warehouse, judge):
    days = "event_day in ('2011-03-02', '2011-03-03', '2011-03-04', '2011-03-06', '2011-03-09')"
    warehouse.execute(f"update intake.raw.files set lines = 130, rejected = 9 where {days}")
    named = "2011-03-02 to 2011-03-04, 2011-03-06, 2011-03-09"
    found = rf"stops {named}: .* 5 of 9 rows, observed .*, on {named}"
    with pytest.raises(GateFailed, match=found) as stop:
        judge("raw_orders", Days.parse("2011-03-01", "2011-03-09"))
    assert [str(day) for day in stop.value.days] == [f"2011-03-0{n}" for n in (2, 3, 4, 6, 9)]


def test_a_file_without_lines_is_no_quiet_day(stops):
    stops(
        "raw_orders",
        f"delete from {LINES} where {TODAY};"
        f"update intake.raw.files set lines = 0, accepted = 0 where {TODAY}",
        "lines_of_usual",
        "observed 0, on 2011-03-09",
    )


def test_a_shop_whose_closed_days_have_a_file_without_lines_passes(warehouse, judge):
    for day in ("2011-03-02", "2011-03-09"):
        warehouse.execute(
            f"delete from {LINES} where event_day = '{day}';"
            f"update intake.raw.files set lines = 0, accepted = 0 where event_day = '{day}'"
        )
    assert judge("raw_orders")["passed"]


def test_one_rejected_line_among_a_few_is_no_broken_export(warehouse, judge):
    warehouse.execute(
        f"delete from {LINES} where event_day <> '2011-03-09' or line_number > 4;"
        "delete from intake.raw.files where event_day <> '2011-03-09';"
        "update intake.raw.files set lines = 4, accepted = 3, rejected = 1;"
        "insert into intake.raw.rejected_order_lines "
        "values ('shop', '2011-03-09', '2011-03-09.csv', 'hash', 5, '', 'quantity: no number', null)"
    )
    assert judge("raw_orders")["passed"]


def test_volume_is_not_judged_before_a_week_of_trading_days(warehouse, judge):
    warehouse.execute(
        f"delete from {LINES} where event_day < '2011-03-03'; delete from intake.raw.days "
        f"where event_day < '2011-03-03'; "
        f"update {LINES} set amount = quantity * 0.1 where event_day = '2011-03-09'"
    )
    assert judge("raw_orders")["passed"]


def test_the_same_few_lines_lost_each_day_are_told(warehouse, judge):
    for day in range(4, 10):
        warehouse.execute(
            "insert into intake.raw.rejected_order_lines values "
            f"('shop', '2011-03-0{day}', '2011-03-0{day}.csv', 'hash', 200, '', "
            f"'ordered_at: a row of 2012-03-{day + 1:02} in the file of 2011-03-0{day}', null);"
            f"update intake.raw.files set lines = lines + 1, rejected = 1 where event_day = '2011-03-0{day}'"
        )
    (told,) = judge("raw_orders")["notes"]
    assert told == (
        "lines are lost each day: on 6 of the last 7 days with lines, 6 of 847 were set aside: ordered_at: "
        "a row of 2012-03-10 in the file of 2011-03-09 (last 2011-03-09.csv:200)"
    )


def test_a_line_lost_on_one_day_alone_is_not_told(warehouse, judge):
    warehouse.execute(
        "insert into intake.raw.rejected_order_lines "
        "values ('shop', '2011-03-09', '2011-03-09.csv', 'hash', 200, '', 'quantity: no number', null);"
        "update intake.raw.files set lines = lines + 1, rejected = 1 where event_day = '2011-03-09'"
    )
    assert judge("raw_orders")["notes"] == []
