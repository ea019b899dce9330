with

{{ known_lines('payments') }},

final as (

    select
        ---------- ids
        file_name || ':' || line_number as payment_line_id,
        customer_id,
        coalesce(invoice_no, '') as invoice_no,
        coalesce(instalment_no, 0) as instalment_no,

        ---------- what it says
        method_kind,
        amount,
        due_day,
        paid_day,
        paid_amount,
        tells_payment,
        is_one_payment,
        days_late,
        outstanding,
        credit_limit,

        ---------- time
        event_day,
        recorded_at_utc
    from known_lines

)

select * from final
