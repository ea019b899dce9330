{{ config(meta={'scope': 'product'}) }}

with

changed_products as (

    select distinct
        customer_id,
        stock_code
    from {{ ref('int_changed_products') }}

),

changed_customers as (

    select distinct customer_id from changed_products

),

-- by customer first: the engine then looks only for them in what is stored (see macros/replaced.sql)
of_changed_customers as (

    select order_lines.*
    from {{ ref('order_lines') }} as order_lines
    inner join changed_customers
        on order_lines.customer_id = changed_customers.customer_id

),

order_lines as (

    select of_changed_customers.*
    from of_changed_customers
    inner join changed_products
        on
            of_changed_customers.customer_id = changed_products.customer_id
            and of_changed_customers.stock_code = changed_products.stock_code

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
