-- Lines without a day of their own count on the last day of the export that first has their amount. `ranks` is a frame
-- with the exports, the one that counts before all others last.

create or replace temp table judged_lines as
with

ends as (
    select
        file_name,
        max(event_day) as last_day,
        max(instant) as last_instant
    from judged_lines
    group by file_name
),

first_statements as (
    select
        judged_lines.statement_key,
        judged_lines.amount,
        min_by(ends.last_day, cast(ranks.place as integer)) as first_day,
        min_by(ends.last_instant, cast(ranks.place as integer)) as first_instant
    from judged_lines
    inner join ranks on judged_lines.file_name = ranks.file_name
    inner join ends on judged_lines.file_name = ends.file_name
    where not judged_lines.is_nothing
    group by judged_lines.statement_key, judged_lines.amount
),

final as (
    select
        judged_lines.* replace (
            coalesce(first_statements.first_day, judged_lines.event_day) as event_day,
            coalesce(first_statements.first_instant, judged_lines.instant) as instant,
            coalesce(
                strftime(first_statements.first_instant, {{ time_format }}), judged_lines.{{ happened }}
            ) as {{ happened }}
        )
    from judged_lines
    left join first_statements
        on
            judged_lines.statement_key = first_statements.statement_key
            and judged_lines.amount is not distinct from first_statements.amount
            and not judged_lines.is_nothing
)

select * from final;
