-- Lines without a day of their own count on the last day of the export that first has their amount. `ranks` is a frame
-- with the exports, the one that counts before all others last.

create or replace temp table judged_lines as
with

amounts as (
    select
        *,
        {{ amount }} as own_amount
    from judged_lines
),

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
        amounts.statement_key,
        amounts.own_amount,
        min_by(ends.last_day, cast(ranks.place as integer)) as first_day,
        min_by(ends.last_instant, cast(ranks.place as integer)) as first_instant
    from amounts
    inner join ranks on amounts.file_name = ranks.file_name
    inner join ends on amounts.file_name = ends.file_name
    where not amounts.is_nothing
    group by amounts.statement_key, amounts.own_amount
),

final as (
    select
        amounts.* exclude (own_amount) replace (
            coalesce(first_statements.first_day, amounts.event_day) as event_day,
            coalesce(first_statements.first_instant, amounts.instant) as instant,
            coalesce(
                strftime(first_statements.first_instant, {{ time_format }}), amounts.{{ happened }}
            ) as {{ happened }}
        )
    from amounts
    left join first_statements
        on
            amounts.statement_key = first_statements.statement_key
            and amounts.own_amount is not distinct from first_statements.own_amount
            and not amounts.is_nothing
)

select * from final;
