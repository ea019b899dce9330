{%- do scope_is('passing') -%}

with

order_lines as (

    select order_lines.*
    from {{ ref('stg_order_lines') }} as order_lines
    where
        order_lines.customer_id is not null
        and {{ in_scope('invoice', 'order_lines') }}

),

duplicates as (

    select * from {{ ref('int_duplicate_lines') }}

),

final as (

    select
        order_lines.order_line_id,
        order_lines.customer_id,
        order_lines.invoice_no,
        order_lines.invoice_kind,
        order_lines.event_day,
        order_lines.is_product,
        order_lines.quantity,
        order_lines.amount
    from order_lines
    left join duplicates
        on order_lines.order_line_id = duplicates.order_line_id
    where duplicates.order_line_id is null

)

select * from final
