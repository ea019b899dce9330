with

{{ known_lines('returns') }},

final as (

    select
        ---------- ids
        file_name || ':' || line_number as return_line_id,
        customer_id,
        invoice_no,

        ---------- what it says
        return_kind,
        cause,
        amount,

        ---------- time
        event_day,
        returned_at
    from known_lines

)

select * from final
