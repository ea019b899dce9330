-- One row per day that has lines or files. `stored_lines` is put before it by `expectations.raw_orders`: every line that
-- is stored, accepted or not, of all kinds of sources.
with

stored as (
    select
        event_day,
        file_name,
        count(*) filter (where is_accepted) as accepted,
        count(*) filter (where not is_accepted) as rejected
    from stored_lines
    group by event_day, file_name
),

files as (
    select *
    from intake.raw.files
    where event_day between $first and $last
),

accounts as (
    select
        coalesce(files.event_day, stored.event_day) as event_day,
        coalesce(sum(files.lines), 0) as lines,
        coalesce(sum(files.accepted), 0) as accepted,
        coalesce(sum(files.rejected), 0) as rejected,
        coalesce(bool_and(files.lines = files.accepted + files.rejected), false) as lines_add_up,
        bool_and(coalesce(files.accepted, 0) = coalesce(stored.accepted, 0)) as accepted_are_stored,
        bool_and(coalesce(files.rejected, 0) = coalesce(stored.rejected, 0)) as rejected_are_stored
    from files
    full join stored on files.event_day = stored.event_day and files.file_name = stored.file_name
    group by coalesce(files.event_day, stored.event_day)
),

final as (
    select
        event_day,
        lines_add_up,
        accepted_are_stored,
        rejected_are_stored,
        lines = 0 or accepted > 0 as some_line_is_readable
    from accounts
)

select * from final
