-- Notices about lines of a kind that stand in two files of a day.

insert into staged_notices
with

days_of_files as (
    select event_day
    from staged_{{ table }}
    where reason is null and event_day between {{ first }} and {{ last }}
    group by event_day
    having min(file_name) < max(file_name)
),

lines as (
    select
        *,
        min(file_name) over (partition by {{ content }}) as first_file
    from staged_{{ table }}
    semi join days_of_files using (event_day)
    -- a line without a customer counts nowhere, once or twice
    where reason is null and customer_id is not null
),

final as (
    select
        event_day,
        file_name,
        'equal_lines' as topic,
        count(*) as lines,
        file_name || ':' || min(line_number) as example,
        'lines that another file of the day has too: they count once' as message
    from lines
    where file_name > first_file
    group by event_day, file_name
)

select * from final;
