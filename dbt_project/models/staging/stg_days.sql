with

days as (

    select * from {{ source('raw', 'days') }}

),

final as (

    select
        event_day,
        loaded_at,
        lines as line_count
    from days
    where admitted

)

select * from final
