{{ config(meta={'scope': 'product'}) }}

with

changed_products as (

    select distinct
        customer_id,
        stock_code
    from {{ ref('int_changed_products') }}

),

order_lines as (

    select order_lines.*
    from {{ ref('order_lines') }} as order_lines
    inner join changed_products
        on
            order_lines.customer_id = changed_products.customer_id
            and order_lines.stock_code = changed_products.stock_code

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
