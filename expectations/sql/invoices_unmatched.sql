-- One row per day and kind of line that refers to a purchase: of how many invoices the lines find none, beside the up
-- to 28 days before that have lines of the kind. Of payments, returns and deliveries those that name an order; a
-- shop without orders has none to find. An invoice of quantities below zero finds none if it counts as a sale; it is
-- misread if the rule of cancellations matches it written otherwise, and what was misread is no measure of what is
-- usual. `asked_days`, `accounts` and `below_zero` are put before it by `expectations.invoices`.
with

orders as (
    select
        customer_id,
        invoice_no,
        min(event_day) as first_day
    from marts.invoices
    where
        kind = 'sale'
        and customer_id in (
            select accounts.customer_id from accounts
            where accounts.event_day in (select event_day from asked_days)
        )
    group by customer_id, invoice_no
),

referring as (
    select
        event_day,
        'cancellations' as kind,
        invoice_no,
        bool_or(outcome = 'unmatched_cancellation') as is_unmatched,
        false as is_misread
    from marts.order_lines
    where
        invoice_kind = 'cancellation' and customer_id is not null
        and event_day in (select event_day from asked_days)
    group by event_day, customer_id, invoice_no
    union all
    select
        event_day,
        'invoices below zero' as kind,
        invoice_no,
        is_sale as is_unmatched,
        is_misread
    from below_zero
    union all
    select
        accounts.event_day,
        accounts.kind,
        accounts.invoice_no,
        bool_and(orders.first_day is null) as is_unmatched,
        false as is_misread
    from accounts
    left join orders
        on
            accounts.customer_id = orders.customer_id
            and accounts.invoice_no = orders.invoice_no
            and accounts.event_day >= orders.first_day
    where
        exists (
            from marts.invoices
            where kind = 'sale'
        )
        and accounts.event_day in (select event_day from asked_days)
    group by accounts.event_day, accounts.kind, accounts.customer_id, accounts.invoice_no
),

counts as (
    select
        event_day,
        kind,
        count(*) as referring,
        count(*) filter (where is_unmatched) as unmatched,
        count(*) filter (where is_misread) as misread
    from referring
    group by event_day, kind
),

final as (
    select
        *,
        count(*) over before as days_before,
        coalesce(sum(referring) over before, 0) as recent_referring,
        coalesce(sum(unmatched - misread) over before, 0) as recent_unmatched
    from counts
    window before as (partition by kind order by event_day rows between 28 preceding and 1 preceding)
    qualify event_day >= $first
)

select * from final
