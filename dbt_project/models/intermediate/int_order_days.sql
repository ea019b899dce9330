with

days as (

    select
        event_day as as_of,
        lead(event_day) over (order by event_day) as invoice_day
    from {{ ref('stg_days') }}

),

score_days as (

    select as_of from {{ ref('int_as_of_days') }}
    where purpose = 'scores'

),

final as (

    select
        days.invoice_day,
        days.as_of
    from days
    -- without the scores of the day before, what was known of the customer cannot be computed
    inner join score_days
        on days.as_of = score_days.as_of
    where days.invoice_day is not null

)

select * from final
