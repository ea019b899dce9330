-- One row per day that has lines or files, beside the up to 28 trading days before it. `stored_lines` is put
-- before it by `expectations.raw_orders`: every line that is stored, accepted or not, of all kinds of sources.
with

recent_days as (
    select event_day
    from intake.raw.days
    where event_day < $first and accepted > 0
    order by event_day desc
    limit 28
),

day_lines as (
    select
        event_day,
        count(*) as lines,
        count(customer_id) as lines_with_customer,
        coalesce(sum(quantity * unit_price) filter (where invoice_kind = 'sale' and quantity > 0), 0) as sales
    from intake.raw.order_lines
    where
        event_day
        between coalesce((select min(recent_days.event_day) from recent_days), $first) and $last
    group by event_day
),

against_usual as (
    select
        event_day,
        lines,
        lines_with_customer,
        sales,
        median(lines) over before as usual_lines,
        median(sales) over before as usual_sales,
        count(*) over before >= 7 and median(lines) over before >= $enough as is_comparable
    from day_lines
    window before as (order by event_day rows between 28 preceding and 1 preceding)
),

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
        accounts.event_day,
        accounts.lines_add_up,
        accounts.accepted_are_stored,
        accounts.rejected_are_stored,
        accounts.lines = 0 or accounts.accepted > 0 as some_line_is_readable,
        case when accounts.lines >= $enough then accounts.rejected / accounts.lines end as rejected_share,
        case
            when against_usual.lines >= $enough
                then 1 - against_usual.lines_with_customer / against_usual.lines
        end as share_without_customer,
        case when against_usual.is_comparable then against_usual.lines / against_usual.usual_lines end
            as lines_of_usual,
        case
            when against_usual.is_comparable and against_usual.usual_sales > 0
                then against_usual.sales::double / against_usual.usual_sales::double
        end as sales_of_usual
    from accounts
    left join against_usual on accounts.event_day = against_usual.event_day
)

select * from final
