-- One row per line of a sale, where `invoices.number_again` of the mapping says stop: of the days judged, and of later days
-- with a number of theirs, since an invoice number is that of the first day that has it, whichever of them was loaded first.
with

sale_lines as (
    select *
    from intake.raw.order_lines
    where invoice_kind = 'sale' and list_contains(cast($stopped as varchar[]), 'number_again')
),

judged_numbers as (
    select distinct invoice_no
    from sale_lines
    where event_day between $first and $last
),

lines_of_numbers as (
    select
        event_day,
        file_name,
        line_number,
        event_day = min(event_day) over (partition by invoice_no) as number_is_new
    from sale_lines
    where invoice_no in (select judged_numbers.invoice_no from judged_numbers)
),

final as (
    select *
    from lines_of_numbers
    -- what later days have is judged again where it is new no more
    where event_day between $first and $last or (event_day > $last and not number_is_new)
)

select * from final
