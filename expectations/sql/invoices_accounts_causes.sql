-- One row per day, kind and likely cause why payments, returns and deliveries of $first to $last find no order: how
-- many lines, and a place. `accounts` is put before it by `expectations.invoices`. The first cause that applies counts.
with

lines as (
    select
        *,
        file_name || ':' || line_number as place,
        ltrim(lower(regexp_replace(invoice_no, '[^\p{L}\p{N}]', '', 'g')), '0') as plain_no,
        ltrim(regexp_replace(lower(regexp_replace(invoice_no, '[^\p{L}\p{N}]', '', 'g')), '^0*\p{L}*0*([1-9])', '\1'), '0') as bare_no
    from accounts
    where event_day between $first and $last
),

orders as (
    select
        customer_id,
        invoice_no,
        ltrim(lower(regexp_replace(invoice_no, '[^\p{L}\p{N}]', '', 'g')), '0') as plain_no,
        ltrim(regexp_replace(lower(regexp_replace(invoice_no, '[^\p{L}\p{N}]', '', 'g')), '^0*\p{L}*0*([1-9])', '\1'), '0') as bare_no,
        min(event_day) as first_day
    from marts.invoices
    where
        kind = 'sale'
        and (
            customer_id in (select lines.customer_id from lines)
            or invoice_no in (select lines.invoice_no from lines)
        )
    group by customer_id, invoice_no
),

compared as (
    select
        lines.event_day,
        lines.kind,
        lines.place,
        bool_or(orders.invoice_no = lines.invoice_no and orders.first_day <= lines.event_day) as is_found,
        -- also with letters before it that one of the two lacks: INV-1001 and 1001, but not A1 and B1
        bool_or(
            orders.invoice_no <> lines.invoice_no
            and (
                orders.plain_no = lines.plain_no
                or regexp_full_match(lines.plain_no, '\p{L}+0*' || orders.plain_no)
                or regexp_full_match(orders.plain_no, '\p{L}+0*' || lines.plain_no)
            )
        ) as is_written_otherwise,
        bool_or(orders.invoice_no = lines.invoice_no) as comes_later
    from lines
    left join orders on lines.customer_id = orders.customer_id and lines.bare_no = orders.bare_no
    group by lines.event_day, lines.kind, lines.place, lines.customer_id, lines.invoice_no
),

of_others as (
    select distinct lines.place
    from lines
    inner join orders on lines.invoice_no = orders.invoice_no and lines.customer_id <> orders.customer_id
),

caused as (
    select
        compared.event_day,
        compared.kind,
        compared.place,
        case
            when compared.is_written_otherwise then 'the number of an order of the customer is written otherwise'
            when compared.comes_later then 'the order comes later'
            when of_others.place is not null then 'the number is that of an order of another customer'
            else 'there is no such order, or from before the log begins'
        end as cause
    from compared
    left join of_others on compared.place = of_others.place
    where compared.is_found is not true and exists (
        from marts.invoices
        where kind = 'sale'
    )
),

final as (
    select
        event_day,
        format('{} that find no order: {}', kind, cause) as topic,
        count(*) as lines,
        min(place) as place
    from caused
    group by event_day, kind, cause
)

select * from final
