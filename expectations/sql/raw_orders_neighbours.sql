-- One row per `told_day`, kind of source and neighbour: lines that lie in the file of the day before or after, on at least
-- `least` of its `asked_days`. `expectations.raw_orders` puts these and `aside_lines` before it. The text of a line has
-- its columns in the order of the mapping; $invoice_column says which of an order line is the invoice's number.
with

asked_files as (
    select
        asked_days.told_day,
        count(distinct files.event_day) as days
    from intake.raw.files as files
    inner join asked_days on files.event_day = asked_days.event_day
    where files.lines > 0
    group by asked_days.told_day
),

neighbour_lines as (
    select
        kind,
        days_off,
        event_day,
        place,
        regexp_extract_all(raw_text || ',', '("(?:[^"]|"")*"|[^,]*),', 1)[$invoice_column] as invoice_no
    from aside_lines
    where days_off in (-1, 1) and not is_waiting
),

neighbours as (
    select
        asked_days.told_day,
        neighbour_lines.kind,
        neighbour_lines.days_off,
        count(*) as lines,
        count(distinct neighbour_lines.event_day) as days,
        count(distinct neighbour_lines.invoice_no) as orders,
        max_by(neighbour_lines.place, (neighbour_lines.event_day, neighbour_lines.place)) as place
    from asked_days
    inner join neighbour_lines on asked_days.event_day = neighbour_lines.event_day
    group by asked_days.told_day, neighbour_lines.kind, neighbour_lines.days_off
),

final as (
    select
        neighbours.told_day as event_day,
        format('{} {}', neighbours.kind, neighbours.days_off) as topic,
        cast(null as bigint) as lines,
        cast(null as varchar) as place,
        format(
            'on {} of {} days with lines, {} {} are set aside as of the day {} (last {}): if the files are cut at another '
            || 'hour, {}files.rows_of_other_days: take_in in the mapping counts them on their own day',
            neighbours.days,
            asked_files.days,
            neighbours.lines,
            if(
                neighbours.kind = 'orders',
                format('lines of {} orders', neighbours.orders),
                format('lines of {}', neighbours.kind)
            ),
            if(neighbours.days_off > 0, 'after that of their file', 'before that of their file'),
            neighbours.place,
            if(neighbours.kind = 'orders', '', neighbours.kind || '.')
        ) as text
    from neighbours
    inner join asked_files on neighbours.told_day = asked_files.told_day
    cross join least
    where neighbours.days >= least.days
)

select * from final
