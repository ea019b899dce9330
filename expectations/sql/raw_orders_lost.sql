-- One row of text per reason that sets lines aside on most of the last 7 days with lines: each day passes its limit, and
-- together they are a loss. `aside_lines` is put before it by `expectations.raw_orders`. Lines that wait for their own day
-- are not lost, and of those of a neighbour day `raw_orders_neighbours` tells.
with

last_days as (
    select event_day
    from intake.raw.days
    where event_day <= $last and lines > 0
    order by event_day desc
    limit 7
),

all_lines as (
    select
        sum(files.lines) as lines,
        count(distinct files.event_day) as days
    from intake.raw.files as files
    inner join last_days on files.event_day = last_days.event_day
),

reasons as (
    select
        max_by(aside_lines.reason, aside_lines.event_day) as reason,
        count(*) as lines,
        count(distinct aside_lines.event_day) as days,
        max_by(aside_lines.file_name || ':' || aside_lines.line_number, aside_lines.event_day) as place
    from aside_lines
    inner join last_days on aside_lines.event_day = last_days.event_day
    where not aside_lines.is_waiting and aside_lines.days_off not in (-1, 1)
    group by regexp_replace(aside_lines.reason, '[0-9]+', '#', 'g')
),

final as (
    select
        format(
            'lines are lost each day: on {} of the last {} days with lines, {} of {} were set aside: {} (last {})',
            reasons.days, all_lines.days, reasons.lines, all_lines.lines, reasons.reason, reasons.place
        ) as told
    from reasons
    cross join all_lines
    where reasons.days >= 3 and reasons.days * 2 > all_lines.days
    order by reasons.lines desc, reasons.place asc
)

select * from final
