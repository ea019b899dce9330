{%- do scope_is('order') -%}

with

matches as (

    select * from {{ ref('int_cancellation_matches') }}

),

sale_lines as (

    select * from {{ ref('int_changed_invoice_lines') }}
    where invoice_kind = 'sale'

),

losses as (

    {{ lost_amounts('matches', 'sale_lines') }}

),

movements as (

    select
        customer_id,
        invoice_no,
        event_day as invoice_day,
        event_day,
        1 as line_count,
        amount as gross_amount,
        amount as net_amount,
        0 as returned_amount
    from sale_lines

    union all

    select
        customer_id,
        invoice_no,
        invoice_day,
        event_day,
        0 as line_count,
        0 as gross_amount,
        -lost_amount as net_amount,
        case when is_product then lost_amount else 0 end as returned_amount
    from losses

),

daily as (

    select
        customer_id,
        invoice_no,
        invoice_day,
        event_day,
        sum(line_count) as line_count,
        sum(gross_amount) as gross_amount,
        sum(net_amount) as net_amount,
        sum(returned_amount) as returned_amount
    from movements
    group by customer_id, invoice_no, invoice_day, event_day

),

final as (

    select
        customer_id,
        invoice_no,
        invoice_day,
        event_day as valid_from,
        lead(event_day) over by_day as valid_until,
        cast(sum(line_count) over by_day as bigint) as lines,
        cast(sum(gross_amount) over by_day as decimal(28, 4)) as gross_amount,
        cast(sum(net_amount) over by_day as decimal(28, 4)) as net_amount,
        cast(sum(returned_amount) over by_day as decimal(28, 4)) as returned_amount,
        sum(net_amount) over by_day > 0 as is_kept
    from daily
    -- daily has one row per invoice and day, so the order by day is total
    window by_day as (partition by customer_id, invoice_no, invoice_day order by event_day)

)

select * from final
