-- One row per invoice (customer, number, event day) and kind, as the lines of raw make it up beside how marts.invoices has
-- it. Lines of a day that say the same are one line; adjustments, and lines without customer, are of no invoice. What
-- was cancelled is the matter of the lines of the mart, since their matches are. `raw_lines`, `mart_lines` and
-- `mart_invoices` are put before it by `expectations.invoices`.
with

said_lines as (
    select distinct
        event_day,
        customer_id,
        invoice_no,
        invoice_kind,
        stock_code,
        description,
        quantity,
        ordered_at,
        coalesce(ordered_at_utc, ordered_at) as ordered_at_utc,
        unit_price,
        line_total,
        amount,
        country,
        payment_type,
        channel,
        weight
    from raw_lines
    where customer_id is not null and invoice_kind <> 'adjustment'
),

said as (
    select
        event_day,
        customer_id,
        invoice_no,
        invoice_kind as kind,
        count(*) as lines,
        sum(amount) as amount
    from said_lines
    group by event_day, customer_id, invoice_no, invoice_kind
),

cancelled as (
    select
        event_day,
        customer_id,
        invoice_no,
        invoice_kind as kind,
        sum(amount - kept_amount) as amount
    from mart_lines
    where invoice_kind = 'sale' and outcome in ('kept', 'partly_cancelled', 'cancelled')
    group by event_day, customer_id, invoice_no, invoice_kind
),

expected as (
    select
        said.*,
        coalesce(cancelled.amount, 0) as cancelled_amount
    from said
    left join cancelled
        on
            said.event_day = cancelled.event_day
            and said.customer_id = cancelled.customer_id
            and said.invoice_no = cancelled.invoice_no
            and said.kind = cancelled.kind
),

final as (
    select
        coalesce(expected.event_day, mart_invoices.event_day) as event_day,
        coalesce(expected.customer_id, mart_invoices.customer_id) as customer_id,
        coalesce(expected.invoice_no, mart_invoices.invoice_no) as invoice_no,
        coalesce(expected.kind, mart_invoices.kind) as kind,
        expected.lines as said_lines,
        expected.amount as said_amount,
        expected.cancelled_amount as said_cancelled,
        mart_invoices.lines,
        mart_invoices.gross_amount,
        mart_invoices.cancelled_amount,
        expected.event_day is null as is_too_much,
        mart_invoices.event_day is null as is_lost,
        not is_lost and not is_too_much and (mart_invoices.lines is distinct from expected.lines) as has_other_lines,
        not is_lost and not is_too_much and (
            (mart_invoices.gross_amount is distinct from expected.amount)
            or (mart_invoices.cancelled_amount is distinct from expected.cancelled_amount)
        ) as has_other_amounts
    from expected
    full join mart_invoices
        on
            expected.event_day = mart_invoices.event_day
            and expected.customer_id = mart_invoices.customer_id
            and expected.invoice_no = mart_invoices.invoice_no
            and expected.kind = mart_invoices.kind
)

select * from final
