-- One row per day of $first to $last with lines (`told_day`) and each of the up to 7 days with lines that end with it.
with

trading_days as (
    select
        event_day,
        row_number() over (order by event_day) as position
    from intake.raw.days
    where event_day <= $last and lines > 0
),

final as (
    select
        told_days.event_day as told_day,
        last_days.event_day
    from trading_days as told_days
    inner join trading_days as last_days
        on last_days.position between told_days.position - 6 and told_days.position
    where told_days.event_day >= $first
)

select * from final
