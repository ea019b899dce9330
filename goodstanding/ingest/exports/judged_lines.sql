-- Which export counts for each line. `placed_lines` is of the file of this name; `winners` is a frame: the export that
-- counts from each instant on.

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
        {{ key }} as statement_key,
        read_winners.counting_file,
        placed_lines.file_name = read_winners.counting_file as counts
    from placed_lines
    asof inner join read_winners on placed_lines.instant >= read_winners.since
)

select * from final;
