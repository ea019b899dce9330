{%- set scope = scope_is('product') -%}

with

order_lines as (

    select order_lines.*
    from {{ ref('stg_order_lines') }} as order_lines
    where
        order_lines.customer_id is not null
        and {{ in_scope(scope, 'order_lines') }}

),

final as (

    select
        customer_id,
        stock_code,
        min(event_day) as first_day
    from order_lines
    -- a duplicate has the day of the line that it repeats, so it need not be left out
    where is_product and invoice_kind = 'sale'
    group by customer_id, stock_code

)

select * from final
