{{ config(meta={'scope': 'customer'}) }}

with

changed_customers as (

    select distinct customer_id from {{ ref('stg_changes') }}
    where customer_id is not null

),

order_lines as (

    select order_lines.*
    from {{ ref('order_lines') }} as order_lines
    inner join changed_customers
        on order_lines.customer_id = changed_customers.customer_id

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
