-- One row of text: why lines were set aside, the commonest reasons first, each with a place. `expectations.raw_orders`
-- puts the `asked_days` and their `aside_lines` before it. Reasons that differ by numbers alone, such as dates, count as one.
with

all_lines as (
    select coalesce(sum(lines), 0) as lines
    from intake.raw.files
    where event_day in (select event_day from asked_days)
),

reasons as (
    select
        min_by(reason, (event_day, file_name, line_number)) as reason,
        count(distinct reason) as wordings,
        count(*) as lines,
        min_by(place, (event_day, file_name, line_number)) as place
    from aside_lines
    group by regexp_replace(reason, '[0-9]+', '#', 'g')
),

ranked as (
    select
        *,
        row_number() over (order by lines desc, place asc, reason asc) as position,
        sum(lines) over () as all_aside
    from reasons
),

final as (
    select
        format(
            '{} of {} lines set aside: {}{}',
            any_value(ranked.all_aside),
            any_value(all_lines.lines),
            string_agg(
                format(
                    '{}{} ({}, first {})',
                    ranked.reason,
                    if(ranked.wordings > 1, ' and the like', ''),
                    ranked.lines,
                    ranked.place
                ),
                ', ' order by ranked.position
            ) filter (where ranked.position <= 3),
            if(max(ranked.position) > 3, format(' and {} more reasons', max(ranked.position) - 3), '')
        ) as cause
    from ranked
    cross join all_lines
    having count(*) > 0
)

select * from final
