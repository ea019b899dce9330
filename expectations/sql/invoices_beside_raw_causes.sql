-- One row of text per day of the first three whose invoices are not those of its lines in raw: how many differ, and the
-- first three. `compared` is put before it by `expectations.invoices`.
with

day_counts as (
    select
        event_day,
        count(*) as invoices
    from compared
    group by event_day
),

differing as (
    select
        *,
        format('{}{} of customer {}', if(kind = 'sale', '', kind || ' '), invoice_no, left(customer_id, 8)) as invoice,
        row_number() over (
            partition by event_day
            order by invoice_no, kind, customer_id  -- the key of an invoice of a day, so the order is total
        ) as position
    from compared
    where is_lost or is_too_much or has_other_lines or has_other_amounts
),

described as (
    select
        event_day,
        position,
        case
            when is_lost then format('{} is missing ({} lines, {})', invoice, said_lines, said_amount)
            when is_too_much then format('{} has no line in raw', invoice)
            when has_other_lines then format('{} has {} lines instead of {}', invoice, lines, said_lines)
            when coalesce(gross_amount <> said_amount, true)
                then format('{} sums to {} instead of {}', invoice, gross_amount, said_amount)
            else format('{} has {} cancelled instead of {}', invoice, cancelled_amount, said_cancelled)
        end as difference
    from differing
),

final as (
    select
        format(
            '{} of {} invoices of {} differ from their lines in raw: {}',
            count(*),
            any_value(day_counts.invoices),
            described.event_day,
            string_agg(described.difference, ', ' order by described.position) filter (where described.position <= 3)
        ) as cause
    from described
    inner join day_counts on described.event_day = day_counts.event_day
    group by described.event_day
    order by described.event_day
    limit 3
)

select * from final
