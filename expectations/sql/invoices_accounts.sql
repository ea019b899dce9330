-- One row per line of a payment, return or delivery that names an order.
with

lines as (
    select
        event_day,
        'returns' as kind,
        customer_id,
        invoice_no,
        file_name,
        line_number
    from intake.raw.returns
    union all
    select
        event_day,
        'payments' as kind,
        customer_id,
        invoice_no,
        file_name,
        line_number
    from intake.raw.payments
    union all
    select
        event_day,
        'deliveries' as kind,
        customer_id,
        invoice_no,
        file_name,
        line_number
    from intake.raw.deliveries
),

final as (
    select *
    from lines
    where invoice_no <> ''
)

select * from final
