-- One row per day and reason that sets lines aside on most of its last 7 days with lines: each day passes its limit, and
-- together they are a loss. `expectations.raw_orders` puts the `asked_days` (those of each `told_day`) and their
-- `aside_lines` before it. Lines that wait for their own day are not lost, and of those of a neighbour day
-- `raw_orders_neighbours` tells.
with

all_lines as (
    select
        asked_days.told_day,
        sum(files.lines) as lines,
        count(distinct files.event_day) as days
    from intake.raw.files as files
    inner join asked_days on files.event_day = asked_days.event_day
    group by asked_days.told_day
),

lost_lines as (
    select
        *,
        regexp_replace(reason, '[0-9]+', '#', 'g') as topic
    from aside_lines
    where not is_waiting and days_off not in (-1, 1)
),

reasons as (
    select
        asked_days.told_day,
        lost_lines.topic,
        -- a line has one place, so the last one is total
        max_by(lost_lines.reason, (lost_lines.event_day, lost_lines.file_name, lost_lines.line_number)) as reason,
        count(*) as lines,
        count(distinct lost_lines.event_day) as days,
        max_by(
            lost_lines.place,
            (lost_lines.event_day, lost_lines.file_name, lost_lines.line_number)
        ) as place
    from asked_days
    inner join lost_lines on asked_days.event_day = lost_lines.event_day
    group by asked_days.told_day, lost_lines.topic
),

final as (
    select
        reasons.told_day as event_day,
        'lost each day: ' || reasons.topic as topic,
        cast(null as bigint) as lines,
        cast(null as varchar) as place,
        format(
            'lines are lost each day: on {} of the last {} days with lines, {} of {} were set aside: {} (last {})',
            reasons.days, all_lines.days, reasons.lines, all_lines.lines, reasons.reason, reasons.place
        ) as text
    from reasons
    inner join all_lines on reasons.told_day = all_lines.told_day
    where reasons.days >= 3 and reasons.days * 2 > all_lines.days
)

select * from final
