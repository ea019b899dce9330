with

{{ known_lines('order_lines') }},

final as (

    select
        ---------- ids
        file_name || ':' || line_number as order_line_id,
        invoice_no,
        stock_code,
        customer_id,

        ---------- where the line stands
        source,
        file_name,
        line_number,

        ---------- what it says
        invoice_kind,
        description,
        is_product,
        quantity,
        unit_price,
        country,

        ---------- time
        event_day,
        ordered_at
    from known_lines

)

select * from final
