-- One row per line of a sale, where `invoices.number_again` of the mapping says stop.
with

sale_lines as (
    select *
    from intake.raw.order_lines
    where invoice_kind = 'sale' and list_contains(cast($stopped as varchar[]), 'number_again')
),

days as (
    select * from intake.raw.days
),

judged_lines as (
    select
        sale_lines.*,
        days.admitted
    from sale_lines
    inner join days on sale_lines.event_day = days.event_day
    where sale_lines.event_day between $first and $last
),

numbers as (
    select
        sale_lines.invoice_no,
        min(sale_lines.event_day) as first_day,
        max(sale_lines.event_day) filter (where days.admitted) as last_admitted_day
    from sale_lines
    inner join days on sale_lines.event_day = days.event_day
    where sale_lines.invoice_no in (select judged_lines.invoice_no from judged_lines)
    group by sale_lines.invoice_no
),

final as (
    select
        judged_lines.event_day,
        judged_lines.file_name,
        judged_lines.line_number,
        -- a day that comes late meets a later one that has passed; one that has passed itself stays
        numbers.first_day = judged_lines.event_day
        and (judged_lines.admitted or coalesce(numbers.last_admitted_day, judged_lines.event_day) <= judged_lines.event_day)
            as number_is_new
    from judged_lines
    inner join numbers on judged_lines.invoice_no = numbers.invoice_no
)

select * from final
