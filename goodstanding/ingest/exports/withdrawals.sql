-- How many orders (or other statements) of earlier exports each export counts instead of, and how many of them no export
-- that counts has. `judged_lines` is of the file of this name.

with

earlier_statements as (
    select
        counting_file,
        statement_key,
        min(file_name || ':' || line_number) as example
    from judged_lines
    where not counts and not is_nothing
    group by counting_file, statement_key
),

standing as (
    select distinct statement_key
    from judged_lines
    where counts
),

final as (
    select
        earlier_statements.counting_file,
        count(*) as statements,
        count(*) filter (where standing.statement_key is null) as withdrawn,
        min(earlier_statements.example) filter (where standing.statement_key is null) as example
    from earlier_statements
    left join standing on earlier_statements.statement_key is not distinct from standing.statement_key
    group by earlier_statements.counting_file
)

select * from final
order by counting_file;
