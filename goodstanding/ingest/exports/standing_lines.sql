-- Which lines of the exports stand, numbered by day, and which of the others say something else than those that stand.
-- `placed_lines` is of `placed_lines.sql`; `winners` is a frame: the export that counts from each instant on.

create or replace temp table judged_lines as
with

read_winners as (
    select
        cast(since as timestamp) as since,
        cast(file_name as varchar) as counting_file
    from winners
),

final as (
    select
        placed_lines.*,
        md5(cast(to_json([{{ texts }}]) as varchar)) as content,
        placed_lines.file_name = read_winners.counting_file as stands
    from placed_lines
    asof inner join read_winners on placed_lines.instant >= read_winners.since
)

select * from final;

create or replace temp table cut_lines as
with

standing as (
    select *
    from judged_lines
    where stands
),

final as (
    select
        event_day,
        {{ exports }} || '/' || event_day as file_name,
        -- the same wherever in a file an order stands, so that a line more above it is no change of it
        row_number() over (partition by event_day order by instant, {{ key }}, file_name, line_number) as line_number,
        {% for column in columns %}
        {{ column }},
        {% endfor %}
        fault,
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
        {{ key }} as statement_key,
        file_name,
        stands,
        count(*) as lines,
        min(line_number) as first_line,
        string_agg(content, '' order by line_number) as content
    from judged_lines
    group by event_day, statement_key, file_name, stands
),

standing as (
    select
        event_day,
        statement_key,
        string_agg(content, '' order by file_name) as content
    from statements
    where stands
    group by event_day, statement_key
),

others as (
    select
        statements.*,
        if(standing.content is null, 'withdrawn', 'restated') as topic
    from statements
    left join standing
        on
            statements.event_day = standing.event_day
            and statements.statement_key is not distinct from standing.statement_key
    where not statements.stands and statements.content is distinct from standing.content
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
