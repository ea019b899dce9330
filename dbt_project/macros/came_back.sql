{#-
    The states of invoices from their `movements`, as the CTEs up to `final`: what was ordered, what cancellations matched,
    and what lines of returns state, each by the end of a day.

    What came back of an order is the larger of what cancellations matched by then and what return lines state by then,
    since both may tell of the same goods; return lines never give back more than the order. One without an amount gives
    back all that was left.
-#}
{% macro came_back_by_day(movements) -%}
daily as (

    select
        customer_id,
        invoice_no,
        invoice_day,
        event_day,
        sum(line_count) as line_count,
        sum(gross_amount) as gross_amount,
        sum(cancelled_amount) as cancelled_amount,
        sum(cancelled_products) as cancelled_products,
        sum(stated_amount) as stated_amount,
        max(gives_back_all) as gives_back_all,
        sum(return_count) as return_count
    from {{ movements }}
    group by customer_id, invoice_no, invoice_day, event_day

),

by_then as (

    select
        customer_id,
        invoice_no,
        invoice_day,
        event_day as valid_from,
        lead(event_day) over by_day as valid_until,
        sum(line_count) over by_day as lines,
        sum(gross_amount) over by_day as gross_amount,
        sum(cancelled_amount) over by_day as cancelled_amount,
        sum(cancelled_products) over by_day as cancelled_products,
        case
            when max(gives_back_all) over by_day = 1 then sum(gross_amount) over by_day
            else least(sum(stated_amount) over by_day, sum(gross_amount) over by_day)
        end as stated_amount,
        sum(return_count) over by_day as return_count
    from daily
    -- daily has one row per invoice and day, so the order by day is total
    window by_day as (partition by customer_id, invoice_no, invoice_day order by event_day)

),

final as (

    select
        customer_id,
        invoice_no,
        invoice_day,
        valid_from,
        valid_until,
        cast(lines as bigint) as lines,
        cast(gross_amount as decimal(28, 4)) as gross_amount,
        cast(cancelled_amount as decimal(28, 4)) as cancelled_amount,
        cast(greatest(stated_amount - cancelled_amount, 0) as decimal(28, 4)) as uncancelled_amount,
        cast(gross_amount - greatest(cancelled_amount, stated_amount) as decimal(28, 4)) as net_amount,
        cast(greatest(cancelled_products, stated_amount) as decimal(28, 4)) as returned_amount,
        gross_amount > greatest(cancelled_amount, stated_amount) as is_kept,
        cancelled_products > 0 or return_count > 0 as is_returned
    from by_then

)
{%- endmacro %}
