{%- do scope_is('passing') -%}

with

changes as (

    select * from {{ ref('stg_changes') }}
    where kind = 'order_line'

),

changed_products as (

    select
        customer_id,
        stock_code,
        min(event_day) as first_changed_day,
        max(case when invoice_kind = 'cancellation' then 1 else 0 end) = 1 as has_changed_cancellation
    from changes
    group by customer_id, stock_code

),

cancelled_products as (

    select distinct
        order_lines.customer_id,
        order_lines.stock_code
    from {{ ref('stg_order_lines') }} as order_lines
    inner join changed_products
        on
            order_lines.customer_id = changed_products.customer_id
            and order_lines.stock_code = changed_products.stock_code
            and order_lines.event_day >= changed_products.first_changed_day
    where order_lines.invoice_kind = 'cancellation'

),

final as (

    select distinct
        changes.customer_id,
        changes.stock_code,
        case
            when changed_products.has_changed_cancellation or cancelled_products.customer_id is not null then null
            else changes.event_day
        end as event_day
    from changes
    inner join changed_products
        on
            changes.customer_id = changed_products.customer_id
            and changes.stock_code = changed_products.stock_code
    left join cancelled_products
        on
            changes.customer_id = cancelled_products.customer_id
            and changes.stock_code = cancelled_products.stock_code

)

select * from final
