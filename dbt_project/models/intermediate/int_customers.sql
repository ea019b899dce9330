{{ config(materialized='incremental', incremental_strategy='replace_changed', meta={'scope': 'customer'}) }}

with

order_lines as (

    select * from {{ ref('int_changed_order_lines') }}
    where customer_id is not null

),

ranked as (

    select
        *,
        -- the file and its line settle equal times
        row_number() over (
            partition by customer_id order by ordered_at desc, file_name desc, line_number desc
        ) as from_latest
    from order_lines

),

final as (

    select
        customer_id,
        min(case when invoice_kind = 'sale' then event_day end) as first_day,
        max(case when invoice_kind = 'sale' then event_day end) as last_day,
        max(case when from_latest = 1 then country end) as country
    from ranked
    group by customer_id

)

select * from final
