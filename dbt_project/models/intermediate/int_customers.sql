{{ config(meta={'scope': 'customer'}) }}

with

order_lines as (

    select order_lines.*
    from {{ ref('stg_order_lines') }} as order_lines
    where
        order_lines.customer_id is not null
        and {{ is_among(ref('int_changed_products'), 'order_lines', ['customer_id']) }}

),

final as (

    select
        customer_id,
        min(case when invoice_kind = 'sale' then event_day end) as first_day,
        max(case when invoice_kind = 'sale' then event_day end) as last_day,
        -- the file and its line settle equal times
        {{ latest_of('country', 'ordered_at, file_name, line_number') }} as country
    from order_lines
    group by customer_id

)

select * from final
