"""Gate 2, after the transform: does every order line of the days end somewhere, and does the money add up?

dbt's tests hold the marts to their contracts as a whole; this gate looks at what the days of the run
brought, exactly (decimals, never floats), and against raw and recent days.
"""

import great_expectations.expectations as gxe

from expectations.suite import Batch, between, holds, one_of, present, unique

# the fewest on a real day: 11
ENOUGH_INVOICES = 10

OUTCOMES = (
    "no_customer",
    "duplicate",
    "adjustment",
    "cancellation",
    "unmatched_cancellation",
    "cancelled",
    "partly_cancelled",
    "kept",
)

LINES = """
select
    file_name,
    line_number,
    outcome,
    cancellation_rule,
    abs(quantity) as quantity_size,
    cancelled_quantity,
    (outcome = 'no_customer') is not distinct from (customer_id is null) as customer_is_right,
    (amount = quantity * unit_price) is true as amount_is_right,
    case outcome
        when 'cancelled' then cancelled_quantity = quantity
        when 'partly_cancelled' then cancelled_quantity > 0 and cancelled_quantity < quantity
        when 'cancellation' then cancelled_quantity > 0
        else cancelled_quantity = 0
    end is true as outcome_is_right,
    case
        when outcome in ('kept', 'partly_cancelled', 'cancelled')
            then kept_amount = (quantity - cancelled_quantity) * unit_price
        else kept_amount = 0
    end is true as kept_amount_is_right
from marts.order_lines
where event_day between $first and $last
"""

INVOICES = """
select
    invoice_no,
    kind,
    customer_id,
    left(customer_id, 8) as customer,
    lines,
    (net_amount = gross_amount - cancelled_amount) is true as net_is_right,
    (is_kept = (kind = 'sale' and net_amount > 0)) is true as is_kept_is_right
from marts.invoices
where event_day between $first and $last
"""

# One row per day that raw or the mart has lines of. Runs interleave: where another run has taken in the day
# anew since this one's transform, raw and the mart hold different contents, and that run compares them.
DAYS = f"""
with
taken_in as (
    select
        event_day,
        count(*) as lines,
        sum(quantity * unit_price) as amount
    from intake.raw.order_lines
    where event_day between $first and $last
    group by event_day
),
marted as (
    select
        event_day,
        count(*) as lines,
        sum(amount) as amount
    from marts.order_lines
    where event_day between $first and $last
    group by event_day
),
contents as (
    select
        event_day,
        version is not distinct from transformed_version as is_same_content
    from intake.raw.days
    where event_day between $first and $last
),
recent_days as (
    select event_day
    from intake.raw.days
    where event_day < $first and transformed_version is not null and accepted > 0
    order by event_day desc
    limit 28
),
trading_days as (
    select event_day from recent_days
    union
    select event_day from marted
),
sales as (
    select
        trading_days.event_day,
        count(invoices.invoice_no) as invoices
    from trading_days
    left join marts.invoices
        on
            invoices.event_day = trading_days.event_day
            and invoices.kind = 'sale'
            and invoices.event_day >= coalesce((select min(event_day) from recent_days), $first)
            and invoices.event_day <= $last
    group by trading_days.event_day
),
against_usual as (
    select
        *,
        median(invoices) over before as usual_invoices,
        count(*) over before as days_before
    from sales
    window before as (order by event_day rows between 28 preceding and 1 preceding)
)
select
    event_day,
    if(is_same_content, coalesce(taken_in.lines, 0) = coalesce(marted.lines, 0), null) as lines_are_conserved,
    if(is_same_content, coalesce(taken_in.amount, 0) = coalesce(marted.amount, 0), null)
        as amount_is_conserved,
    if(days_before >= 7 and usual_invoices >= {ENOUGH_INVOICES}, invoices / usual_invoices, null)
        as invoices_of_usual
from taken_in
full join marted using (event_day)
left join contents using (event_day)
left join against_usual using (event_day)
order by event_day
"""

BATCHES = (
    Batch(
        name="order lines",
        sql=LINES,
        key=("file_name", "line_number"),
        chunked_by="marts.order_lines",
        expectations=[
            unique(["file_name", "line_number"], "no order line appears twice"),
            present("outcome", "every line has an outcome"),
            one_of("outcome", OUTCOMES),
            one_of("cancellation_rule", ["mirror", "reach_back"]),
            holds("customer_is_right", "outcome is no_customer where there is none, and only there"),
            holds("amount_is_right", "amount = quantity x unit_price"),
            between("cancelled_quantity", 0, None),
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A="quantity_size",
                column_B="cancelled_quantity",
                or_equal=True,
                description="no more is cancelled than was bought",
            ),
            holds("outcome_is_right", "the outcome says how much of the line was cancelled"),
            holds("kept_amount_is_right", "kept_amount is what is left of a purchase, else nothing"),
        ],
    ),
    Batch(
        name="invoices",
        sql=INVOICES,
        key=("invoice_no", "kind", "customer"),
        chunked_by="marts.invoices",
        expectations=[
            unique(["customer_id", "invoice_no", "kind"], "one row per customer, invoice and kind"),
            present("customer_id", "every invoice has its customer"),
            one_of("kind", ["sale", "cancellation"]),
            between("lines", 1, None),
            holds("net_is_right", "net_amount = gross_amount - cancelled_amount"),
            holds("is_kept_is_right", "kept are the sales with a net_amount above 0, and only those"),
        ],
    ),
    Batch(
        name="days",
        sql=DAYS,
        key=("event_day",),
        expectations=[
            holds("lines_are_conserved", "as many order lines as raw has"),
            holds("amount_is_conserved", "the same sum of money as raw has"),
            # the real year: 0.196 (2010-12-22) to 1.76 (2011-09-22)
            between(
                "invoices_of_usual", 1 / 8, 8, "sales invoices are 1/8 to 8 times the median of recent days"
            ),
        ],
    ),
)
