-- One row per day that has a file, beside the up to 28 such days before it. A day that gate 1 has barred is no measure
-- of what is usual, and of the others only those with lines are. `waiting_lines` is put before it by
-- `expectations.raw_orders`: lines that are set aside until their own day is loaded.
with

recent_days as (
    select event_day
    from intake.raw.days
    where event_day < $first and files > 0 and admitted
    order by event_day desc
    limit 28
),

waiting as (
    select
        event_day,
        count(*) as lines
    from waiting_lines
    group by event_day
),

file_days as (
    select
        files.event_day,
        sum(files.lines) - any_value(coalesce(waiting.lines, 0)) as file_lines,
        sum(files.rejected) - any_value(coalesce(waiting.lines, 0)) as rejected
    from intake.raw.files as files
    left join waiting on files.event_day = waiting.event_day
    where
        files.event_day between $first and $last
        or files.event_day in (select recent_days.event_day from recent_days)
    group by files.event_day
),

order_lines as (
    select
        *,
        -- where the sign makes the cancellation ($rule_column), an export that turned its signs has hardly any sale
        invoice_kind <> 'cancellation'
        or coalesce(cast($rule_column as varchar) = 'quantity', false) as has_sign_to_judge
    from intake.raw.order_lines
),

line_days as (
    select
        event_day,
        count(*) as lines,
        coalesce(sum(amount) filter (where invoice_kind = 'sale' and quantity > 0), 0) as sales,
        count(distinct invoice_no) as orders,
        count(distinct invoice_no) filter (where customer_id is null) as orders_without_customer,
        -- after closed days most invoices may be cancellations, which is no fault of the export
        count(distinct invoice_no) filter (where has_sign_to_judge) as orders_but_cancellations,
        count(distinct invoice_no) filter (where has_sign_to_judge and quantity < 0) as orders_below_zero
    from order_lines
    where event_day in (select event_day from file_days)
    group by event_day
),

judged_days as (
    select
        file_days.event_day,
        file_days.file_lines,
        file_days.rejected,
        coalesce(line_days.lines, 0) as lines,
        coalesce(line_days.sales, 0) as sales,
        coalesce(line_days.orders, 0) as orders,
        coalesce(line_days.orders_without_customer, 0) as orders_without_customer,
        coalesce(line_days.orders_but_cancellations, 0) as orders_but_cancellations,
        coalesce(line_days.orders_below_zero, 0) as orders_below_zero
    from file_days
    left join line_days on file_days.event_day = line_days.event_day
),

against_usual as (
    select
        *,
        count(*) filter (where lines > 0) over before as days_before,
        count(*) filter (where lines = 0) over before as empty_days_before,
        median(nullif(lines, 0)) over before as usual_lines,
        median(sales) filter (where lines > 0) over before as usual_sales,
        quantile_cont(ln(nullif(lines, 0)), 0.9) over before
        - quantile_cont(ln(nullif(lines, 0)), 0.1) over before as spread_of_lines,
        quantile_cont(ln(cast(nullif(sales, 0) as double)), 0.9) over before
        - quantile_cont(ln(cast(nullif(sales, 0) as double)), 0.1) over before as spread_of_sales,
        coalesce(sum(orders_below_zero) over before, 0) as recent_orders_below_zero,
        coalesce(sum(orders) over before, 0) as recent_orders,
        coalesce(sum(orders_but_cancellations) over before, 0) as recent_orders_but_cancellations,
        coalesce(sum(orders_without_customer) over before, 0) as recent_orders_without_customer
    from judged_days
    window before as (order by event_day rows between 28 preceding and 1 preceding)
),

final as (
    select *
    from against_usual
    where event_day >= $first
)

select * from final
