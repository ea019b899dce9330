with

changed_invoices as (

    select * from {{ ref('int_changed_invoices') }}

),

changed_customers as (

    select distinct customer_id from changed_invoices

),

-- by customer first: the engine then looks only for them in what is stored (see macros/replaced.sql)
of_changed_customers as (

    select order_lines.*
    from {{ ref('order_lines') }} as order_lines
    inner join changed_customers
        on order_lines.customer_id = changed_customers.customer_id

),

final as (

    select
        of_changed_customers.order_line_id,
        of_changed_customers.customer_id,
        of_changed_customers.invoice_no,
        of_changed_customers.invoice_kind,
        of_changed_customers.event_day,
        of_changed_customers.ordered_at,
        of_changed_customers.outcome,
        of_changed_customers.unit_price,
        of_changed_customers.amount,
        of_changed_customers.kept_amount
    from of_changed_customers
    inner join changed_invoices
        on
            of_changed_customers.customer_id = changed_invoices.customer_id
            and of_changed_customers.invoice_no = changed_invoices.invoice_no

)

select * from final
