-- The lines of all exports (`text_lines`) with the instant at which each happened and its event day.

create or replace temp table placed_lines as
with

read_times as (
    select
        *,
        {{ written }} as {{ happened }}_read
    from text_lines
),

instants as (
    select
        *,
        {{ instant }} as {{ happened }}_utc_value
    from read_times
),

clocks as (
    select
        *,
        {{ clock }} as {{ happened }}_value
    from instants
),

bounded as (
    select
        * replace (
            case
                when fault is not null then fault
                when {{ happened }}_utc_value >= {{ last }} then '{{ happened }}: after the year {{ last_year }}'
                when {{ happened }}_utc_value < {{ first }} then '{{ happened }}: before the year {{ first_year }}'
            end as fault
        )
    from clocks
),

times as (
    select
        *,
        -- the columns of a line that cannot be split rightly may be shifted
        if(fault is null, {{ happened }}_utc_value, null) as own_instant,
        if(fault is null, cast({{ happened }}_value as date), null) as own_day
    from bounded
),

final as (
    select
        file_name,
        line_number,
        {% for column in columns %}
        {{ column }},
        {% endfor %}
        fault,
        record,
        part,
        order_fault,
        {{ left_out }} as left_out_as,
        {{ nothing }} as is_nothing,
        -- a line that does not say its time stands with the line above it, and above all that do with the first of them
        coalesce(
            own_instant,
            last_value(own_instant ignore nulls) over above,
            first_value(own_instant ignore nulls) over below
        ) as instant,
        coalesce(
            own_day,
            last_value(own_day ignore nulls) over above,
            first_value(own_day ignore nulls) over below
        ) as event_day
    from times
    window
        above as (partition by file_name order by line_number, part rows between unbounded preceding and current row),
        below as (partition by file_name order by line_number, part rows between current row and unbounded following)
)

select * from final;
