{%- set scope = scope_is('customer') -%}

with

order_lines as (

    select order_lines.*
    from {{ ref('stg_order_lines') }} as order_lines
    where
        order_lines.customer_id is not null
        and {{ in_scope(scope, 'order_lines') }}

),

final as (

    select
        customer_id,
        min(case when invoice_kind = 'sale' then event_day end) as first_day,
        max(case when invoice_kind = 'sale' then event_day end) as last_day,
        -- at equal instants that of the greater invoice number, and within it of the greater name: so no file matters
        {{ latest_of('country', 'ordered_at_utc, invoice_no, country') }} as country
    from order_lines
    group by customer_id

)

select * from final
