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
        line_total,
        amount,
        {{ order_attributes() }},

        ---------- time
        event_day,
        ordered_at,
        -- a line that was read before instants were kept has none
        coalesce(ordered_at_utc, ordered_at) as ordered_at_utc
    from known_lines

)

select * from final
