-- A row for each whole day, and for each half of its files, as a file may change its columns in the middle: how many of
-- the sales lines lie beyond the lowest and the highest tenth of what that part had on the up to 28 trading days before.
with

recent_days as (
    select event_day
    from intake.raw.days
    where event_day < $first and accepted > 0 and admitted
    order by event_day desc
    limit 28
),

sales as (
    select
        event_day,
        invoice_no,
        quantity,
        unit_price,
        [
            'whole day',
            if(
                line_number * 2
                > min(line_number) over (partition by event_day, file_name)
                + max(line_number) over (partition by event_day, file_name),
                'second half', 'first half'
            )
        ] as parts,
        row_number() over (partition by event_day order by file_name, line_number) as position,
        count(*) over (partition by event_day) as lines
    from intake.raw.order_lines
    where
        invoice_kind = 'sale' and quantity > 0 and unit_price > 0
        and (event_day between $first and $last or event_day in (select event_day from recent_days))
),

trading_days as (
    select
        event_day,
        row_number() over (order by event_day) as position
    from sales
    group by event_day
),

-- some 200 lines of a day say as much as all
samples as (
    select
        trading_days.position,
        unnest(sales.parts) as part,
        sales.quantity,
        sales.unit_price
    from sales
    inner join trading_days on sales.event_day = trading_days.event_day
    where sales.position % greatest(1, sales.lines // 200) = 0
),

usual as (
    select
        trading_days.event_day,
        samples.part,
        count(*) as sampled,
        count(distinct samples.position) as days_before,
        quantile_cont(cast(samples.unit_price as double), [0.1, 0.9]) as prices,
        quantile_cont(cast(samples.quantity as double), [0.1, 0.9]) as quantities
    from trading_days
    inner join samples on samples.position between trading_days.position - 28 and trading_days.position - 1
    where trading_days.event_day >= $first
    group by trading_days.event_day, samples.part
),

lines as (
    select
        * exclude (parts),
        unnest(parts) as part
    from sales
    where event_day >= $first
),

final as (
    select
        lines.event_day,
        lines.part,
        count(*) as lines,
        count(distinct lines.invoice_no) as orders,
        any_value(usual.days_before) as days_before,
        any_value(usual.sampled) as sampled,
        count(*) filter (where lines.unit_price > usual.prices[2]) as prices_above,
        count(*) filter (where lines.unit_price < usual.prices[1]) as prices_below,
        count(*) filter (where lines.quantity > usual.quantities[2]) as quantities_above,
        count(*) filter (where lines.quantity < usual.quantities[1]) as quantities_below
    from lines
    left join usual on lines.event_day = usual.event_day and lines.part = usual.part
    group by lines.event_day, lines.part
)

select * from final
order by event_day, part
