-- One row per line of an order, where `invoices.two_customers` of the mapping says stop.
with

order_lines as (
    select *
    from intake.raw.order_lines
    where event_day between $first and $last and list_contains(cast($stopped as varchar[]), 'two_customers')
),

final as (
    select
        event_day,
        file_name,
        line_number,
        coalesce(min(customer_id) over same_number = max(customer_id) over same_number, true) as customer_is_one
    from order_lines
    window same_number as (partition by event_day, invoice_no)
)

select * from final
