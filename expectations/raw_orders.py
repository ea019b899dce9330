"""Gate 1, after ingest: are the days' raw lines whole, readable and, of orders, of the usual size?

Limits are set so that no day of a real year of a gift shop (305 trading days, 541,909 lines) fails; what
that year showed stands beside each.
"""

from great_expectations.expectations import Expectation

from expectations.suite import ENOUGH, Batch, between, holds, one_of, present, unique
from goodstanding.shops.kinds import OPTIONAL_KINDS

LINES = """
select
    file_name,
    line_number,
    invoice_kind,
    quantity,
    cast(unit_price as double) as unit_price,
    invoice_no <> '' and stock_code <> '' as is_named,
    unit_price >= 0 or invoice_kind = 'adjustment' as price_sign_is_right,
    event_day = cast(ordered_at as date) as event_day_is_right
from intake.raw.order_lines
where event_day between $first and $last
"""

PAYMENTS = """
select
    file_name,
    line_number,
    method_kind,
    cast(amount as double) as amount,
    date_diff('day', event_day, due_day) as days_until_due,
    instalment_no,
    coalesce(paid_day <= event_day, true) as is_paid_by_then,
    coalesce(credit_limit >= 0, true) and coalesce(days_late >= 0, true) as signs_are_right
from intake.raw.payments
where event_day between $first and $last
"""

RETURNS = """
select
    file_name,
    line_number,
    return_kind,
    event_day = cast(returned_at as date) as event_day_is_right,
    coalesce(amount >= 0, true) as sign_is_right
from intake.raw.returns
where event_day between $first and $last
"""

DELIVERIES = """
select
    file_name,
    line_number,
    method_kind,
    event_day = cast(delivered_at as date) as event_day_is_right
from intake.raw.deliveries
where event_day between $first and $last
"""

# the other kinds of lines, for the accounts of files
OTHER_KINDS = "".join(
    f"""
    union all
    select event_day, file_name, {is_accepted} from intake.raw.{table}
    where event_day between $first and $last
    """
    for kind in OPTIONAL_KINDS
    for table, is_accepted in ((kind.table, "true"), (f"rejected_{kind.table}", "false"))
)

# One row per day that has lines or files. A day is held against the up to 28 trading days before it.
DAYS = f"""
with
recent_days as (
    select event_day
    from intake.raw.days
    where event_day < $first and accepted > 0
    order by event_day desc
    limit 28
),
day_lines as (
    select
        event_day,
        count(*) as lines,
        count(customer_id) as lines_with_customer,
        coalesce(sum(quantity * unit_price) filter (where invoice_kind = 'sale' and quantity > 0), 0) as sales
    from intake.raw.order_lines
    where event_day between coalesce((select min(event_day) from recent_days), $first) and $last
    group by event_day
),
against_usual as (
    select
        *,
        median(lines) over before as usual_lines,
        median(sales) over before as usual_sales,
        count(*) over before >= 7 and median(lines) over before >= {ENOUGH} as is_comparable
    from day_lines
    window before as (order by event_day rows between 28 preceding and 1 preceding)
),
stored as (
    select
        event_day,
        file_name,
        count(*) filter (where is_accepted) as accepted,
        count(*) filter (where not is_accepted) as rejected
    from (
        select event_day, file_name, true as is_accepted from intake.raw.order_lines
        where event_day between $first and $last
        union all
        select event_day, file_name, false from intake.raw.rejected_order_lines
        where event_day between $first and $last
        {OTHER_KINDS}
    )
    group by event_day, file_name
),
accounts as (
    select
        event_day,
        coalesce(sum(files.lines), 0) as lines,
        coalesce(sum(files.accepted), 0) as accepted,
        coalesce(sum(files.rejected), 0) as rejected,
        coalesce(bool_and(files.lines = files.accepted + files.rejected), false) as lines_add_up,
        bool_and(coalesce(files.accepted, 0) = coalesce(stored.accepted, 0)) as accepted_are_stored,
        bool_and(coalesce(files.rejected, 0) = coalesce(stored.rejected, 0)) as rejected_are_stored
    from (from intake.raw.files where event_day between $first and $last) as files
    full join stored using (event_day, file_name)
    group by event_day
)
select
    event_day,
    accounts.lines_add_up,
    accounts.accepted_are_stored,
    accounts.rejected_are_stored,
    accounts.lines = 0 or accounts.accepted > 0 as some_line_is_readable,
    if(accounts.lines >= {ENOUGH}, accounts.rejected / accounts.lines, null) as rejected_share,
    if(against_usual.lines >= {ENOUGH}, 1 - lines_with_customer / against_usual.lines, null)
        as share_without_customer,
    if(is_comparable, against_usual.lines / usual_lines, null) as lines_of_usual,
    if(is_comparable and usual_sales > 0, cast(sales as double) / cast(usual_sales as double), null)
        as sales_of_usual
from accounts
left join against_usual using (event_day)
order by event_day
"""


def _of_some_shops(kind: str, sql: str, *expectations: Expectation) -> Batch:
    """The lines of a kind that not every shop tells."""
    return Batch(
        name=kind,
        sql=sql,
        key=("file_name", "line_number"),
        chunked_by=f"intake.raw.{kind}",
        optional=True,
        expectations=[
            unique(["file_name", "line_number"], "no line of a file is stored twice"),
            *expectations,
        ],
    )


BATCHES = (
    Batch(
        name="raw order lines",
        sql=LINES,
        key=("file_name", "line_number"),
        chunked_by="intake.raw.order_lines",
        expectations=[
            present("file_name"),
            present("line_number"),
            unique(["file_name", "line_number"], "no line of a file is stored twice"),
            holds("is_named", "a line names its invoice and its stock code"),
            one_of("invoice_kind", ["sale", "cancellation", "adjustment"]),
            # the real year: -80,995 to 80,995
            between("quantity", -1_000_000, 1_000_000),
            # the real year: -11,062.06 to 38,970
            between("unit_price", -100_000, 100_000),
            holds("price_sign_is_right", "only an adjustment has a price below zero"),
            holds("event_day_is_right", "the event day is the date of the order"),
        ],
    ),
    Batch(
        name="days",
        sql=DAYS,
        key=("event_day",),
        expectations=[
            holds("lines_add_up", "lines of a file = accepted + rejected"),
            holds("accepted_are_stored", "every accepted line is stored"),
            holds("rejected_are_stored", "every rejected line is stored with its reason"),
            holds("some_line_is_readable", "a day with lines has at least one that can be read"),
            between("rejected_share", None, 0.05, f"of {ENOUGH} lines and more at most 5 % are rejected"),
            # the real year: 0 to 0.874 (2011-08-30), median 0.20; an export that lost the column has 1
            between("share_without_customer", None, 0.95, "at most 95 % of the lines lack their customer"),
            # the real year: 0.130 (2010-12-22) to 2.54 (2011-08-30)
            between("lines_of_usual", 1 / 8, 8, "lines are 1/8 to 8 times the median of recent days"),
            # the real year: 0.134 (2010-12-22) to 3.69 (2011-09-20)
            between("sales_of_usual", 1 / 8, 8, "sales are 1/8 to 8 times the median of recent days"),
        ],
    ),
    _of_some_shops(
        "payments",
        PAYMENTS,
        one_of("method_kind", ["e_payment", "auto_billed", "on_delivery", "on_account"]),
        between("amount", -10_000_000, 10_000_000),
        # 30 years of instalments, and debts as old as that
        between("days_until_due", -11_000, 11_000, "an instalment is due within 30 years"),
        between("instalment_no", 0, 1_000),
        holds("is_paid_by_then", "nothing was paid after the day on which it is told"),
        holds("signs_are_right", "no credit limit and no delay is below zero"),
    ),
    _of_some_shops(
        "returns",
        RETURNS,
        one_of("return_kind", ["return", "refusal"]),
        holds("event_day_is_right", "the event day is the date of the return"),
        holds("sign_is_right", "no amount is below zero"),
    ),
    _of_some_shops(
        "deliveries",
        DELIVERIES,
        one_of("method_kind", ["prepaid", "on_delivery"]),
        holds("event_day_is_right", "the event day is the date of the delivery"),
    ),
)
