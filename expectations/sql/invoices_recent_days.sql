-- One row per day that references to purchases are looked at: the days judged, and the up to 28 days before with lines.
with

recent_days as (
    select event_day
    from intake.raw.days
    where event_day < $first and accepted > 0 and admitted
    order by event_day desc
    limit 28
),

judged_days as (
    select event_day
    from intake.raw.days
    where event_day between $first and $last
),

final as (
    select event_day from recent_days
    union all
    select event_day from judged_days
)

select * from final
