-- The lines of the exports that stand, numbered by day, and which of the others say something else than those.

create or replace temp table cut_lines as
with

standing as (
    select *
    from judged_lines
    where counts and left_out_as is null and not is_nothing
),

final as (
    select
        event_day,
        {{ exports }} || '/' || event_day as file_name,
        -- the same wherever in a file an order stands, so that a line more above it is no change of it
        row_number() over (
            partition by event_day
            order by instant, statement_key, file_name, line_number, part
        ) as line_number,
        {% for column in columns %}
        {{ column }},
        {% endfor %}
        coalesce(fault, order_fault) as fault,
        record,
        content,
        file_name || ':' || line_number as place
    from standing
)

select * from final;

-- the lines that do not stand, where what stands says another thing: with an example of each day and file
create or replace temp table told_lines as
with

statements as (
    select
        event_day,
        statement_key,
        file_name,
        counts,
        left_out_as,
        count(*) as lines,
        min(line_number) as first_line,
        string_agg(content, '' order by line_number, part) as content
    from judged_lines
    where not is_nothing
    group by event_day, statement_key, file_name, counts, left_out_as
),

standing as (
    select
        event_day,
        statement_key,
        string_agg(content, '' order by file_name) as content
    from statements
    where counts
    group by event_day, statement_key
),

others as (
    select
        statements.*,
        case
            when statements.counts then statements.left_out_as
            when standing.content is null then 'withdrawn'
            else 'restated'
        end as topic
    from statements
    left join standing
        on
            statements.event_day = standing.event_day
            and statements.statement_key is not distinct from standing.statement_key
    where
        (statements.counts and statements.left_out_as is not null)
        or (not statements.counts and statements.content is distinct from standing.content)
),

final as (
    select
        event_day,
        topic,
        cast(sum(lines) as bigint) as lines,
        min(file_name || ':' || first_line) as example
    from others
    group by event_day, topic
)

select * from final
order by event_day, topic;
