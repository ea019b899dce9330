{{ config(meta={'scope': 'product'}) }}

with

order_lines as (

    select order_lines.*
    from {{ ref('order_lines') }} as order_lines
    where
        order_lines.customer_id is not null
        and {{ is_among(ref('int_changed_products'), 'order_lines', ['customer_id', 'stock_code']) }}

),

final as (

    select
        customer_id,
        stock_code,
        min(event_day) as first_day
    from order_lines
    where is_product and outcome in ('kept', 'partly_cancelled', 'cancelled')
    group by customer_id, stock_code

)

select * from final
