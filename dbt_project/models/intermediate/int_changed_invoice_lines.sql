{{ config(meta={'scope': 'passing'}) }}

with

order_lines as (

    select order_lines.*
    from {{ ref('order_lines') }} as order_lines
    where
        order_lines.customer_id is not null
        and {{ is_among(ref('int_changed_invoices'), 'order_lines', ['customer_id', 'invoice_no']) }}

),

final as (

    select
        order_line_id,
        customer_id,
        invoice_no,
        invoice_kind,
        event_day,
        ordered_at,
        outcome,
        is_product,
        unit_price,
        amount,
        kept_amount
    from order_lines

)

select * from final
