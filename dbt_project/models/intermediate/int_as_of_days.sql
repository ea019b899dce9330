with

days as (

    select event_day from {{ ref('stg_days') }}

),

changes as (

    select min(event_day) as first_changed_day from {{ ref('stg_changes') }}

),

newest as (

    select max(event_day) as newest_day from days

),

judged as (

    select
        days.event_day as as_of,
        days.event_day = {{ dbt.last_day('days.event_day', 'month') }} as is_month_end,
        days.event_day = newest.newest_day as is_newest,
        {{ dbt.datediff('days.event_day', 'newest.newest_day', 'day') }} < {{ var('as_of_days') }} as is_recent,
        coalesce(days.event_day >= changes.first_changed_day, false) as is_changed
    from days
    cross join newest
    cross join changes

),

final as (

    select
        as_of,
        'scores' as purpose,
        is_changed
    from judged
    where is_recent or is_month_end

    union all

    select
        as_of,
        'features' as purpose,
        is_changed
    from judged
    where is_newest or is_month_end

)

select * from final
