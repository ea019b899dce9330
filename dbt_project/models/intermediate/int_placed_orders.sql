{{ config(materialized='view') }}

with

days as (

    select
        event_day as as_of,
        lead(event_day) over (order by event_day) as next_day
    from {{ ref('stg_days') }}

),

score_days as (

    select as_of from {{ ref('int_as_of_days') }}
    where purpose = 'scores'

),

final as (

    select
        orders.customer_id,
        orders.invoice_no,
        orders.invoice_day,
        days.as_of,
        cast(orders.gross_amount as double) as basket
    from {{ ref('int_invoice_states') }} as orders
    inner join days
        on orders.invoice_day = days.next_day
    -- where the scores of the day before are not kept, nobody can say what had been known
    inner join score_days on days.as_of = score_days.as_of
    where orders.valid_from = orders.invoice_day

)

select * from final
