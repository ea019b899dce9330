-- One row per day that raw or the mart has lines of. Runs interleave: where another run has ingested the day
-- again since this one's transform, raw and the mart hold different contents, and that run compares them.
with

taken_in as (
    select
        event_day,
        count(*) as lines,
        sum(amount) as amount
    from intake.raw.order_lines
    where event_day between $first and $last
    group by event_day
),

marted as (
    select
        event_day,
        count(*) as lines,
        sum(amount) as amount
    from marts.order_lines
    where event_day between $first and $last
    group by event_day
),

contents as (
    select
        event_day,
        coalesce(version = transformed_version, false) as is_same_content
    from intake.raw.days
    where event_day between $first and $last
),

recent_days as (
    select event_day
    from intake.raw.days
    where event_day < $first and transformed_version is not null and accepted > 0
    order by event_day desc
    limit 28
),

trading_days as (
    select event_day from recent_days
    union distinct
    select event_day from marted
),

sales as (
    select
        trading_days.event_day,
        count(invoices.invoice_no) as invoices
    from trading_days
    left join marts.invoices
        on
            trading_days.event_day = invoices.event_day
            and invoices.kind = 'sale'
            and invoices.event_day >= coalesce((select min(recent_days.event_day) from recent_days), $first)
            and invoices.event_day <= $last
    group by trading_days.event_day
),

against_usual as (
    select
        event_day,
        invoices,
        median(invoices) over before as usual_invoices,
        quantile_cont(ln(nullif(invoices, 0)), 0.9) over before
        - quantile_cont(ln(nullif(invoices, 0)), 0.1) over before as spread_of_invoices,
        count(*) over before as days_before
    from sales
    window before as (order by event_day rows between 28 preceding and 1 preceding)
),

both_sides as (
    select
        coalesce(taken_in.event_day, marted.event_day) as event_day,
        coalesce(taken_in.lines, 0) = coalesce(marted.lines, 0) as lines_agree,
        coalesce(taken_in.amount, 0) = coalesce(marted.amount, 0) as amounts_agree
    from taken_in
    full join marted on taken_in.event_day = marted.event_day
),

final as (
    select
        both_sides.event_day,
        case when contents.is_same_content then both_sides.lines_agree end as lines_are_conserved,
        case when contents.is_same_content then both_sides.amounts_agree end as amount_is_conserved,
        against_usual.invoices,
        against_usual.usual_invoices,
        against_usual.spread_of_invoices,
        coalesce(against_usual.days_before, 0) as days_before
    from both_sides
    left join contents on both_sides.event_day = contents.event_day
    left join against_usual on both_sides.event_day = against_usual.event_day
)

select * from final
order by event_day
