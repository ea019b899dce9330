with

{{ known_lines('deliveries') }},

final as (

    select
        ---------- ids
        file_name || ':' || line_number as delivery_line_id,
        customer_id,
        invoice_no,

        ---------- what it says
        method_kind,

        ---------- time
        event_day
    from known_lines

)

select * from final
