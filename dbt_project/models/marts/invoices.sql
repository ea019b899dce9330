{{ config(meta={'scope': 'customer'}) }}

with

order_lines as (

    select * from {{ ref('order_lines') }}

),

changed_customers as (

    select distinct customer_id from {{ ref('stg_changes') }}
    where customer_id is not null

),

counted_lines as (

    select order_lines.*
    from order_lines
    inner join changed_customers
        on order_lines.customer_id = changed_customers.customer_id
    where order_lines.outcome not in ('duplicate', 'adjustment')

),

summed as (

    select
        customer_id,
        invoice_no,
        invoice_kind as kind,
        min(event_day) as event_day,
        min(ordered_at) as ordered_at,
        count(*) as line_count,
        sum(amount) as gross_amount,
        sum(case when invoice_kind = 'sale' then amount - kept_amount else 0 end) as cancelled_amount
    from counted_lines
    group by customer_id, invoice_no, invoice_kind

),

final as (

    select
        customer_id,
        invoice_no,
        kind,
        event_day,
        ordered_at,
        line_count as lines,
        cast(gross_amount as decimal(28, 4)) as gross_amount,
        cast(cancelled_amount as decimal(28, 4)) as cancelled_amount,
        cast(gross_amount - cancelled_amount as decimal(28, 4)) as net_amount,
        kind = 'sale' and gross_amount - cancelled_amount > 0 as is_kept
    from summed

)

select * from final
