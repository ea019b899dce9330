-- One row of text per reason that sets lines aside on most of the last 7 days with lines: each day passes its limit, and
-- together they are a loss. `expectations.raw_orders` puts these `asked_days` and their `aside_lines` before it. Lines that
-- wait for their own day are not lost, and of those of a neighbour day `raw_orders_neighbours` tells.
with

all_lines as (
    select
        sum(files.lines) as lines,
        count(distinct files.event_day) as days
    from intake.raw.files as files
    inner join asked_days on files.event_day = asked_days.event_day
),

reasons as (
    select
        -- a line has one place, so the last one is total
        max_by(reason, (event_day, file_name, line_number)) as reason,
        count(*) as lines,
        count(distinct event_day) as days,
        max_by(file_name || ':' || line_number, (event_day, file_name, line_number)) as place
    from aside_lines
    where not is_waiting and days_off not in (-1, 1)
    group by regexp_replace(reason, '[0-9]+', '#', 'g')
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
