-- The order that each commitment (frame `commitments`) has become: one row for each commitment. Run in the working files.
create or replace temp table matched_orders as
with

orders as (
    select
        customer_id,
        invoice_no,
        invoice_day,
        valid_from,
        net_amount,
        is_kept
    from features.invoice_states
    where valid_until is null
),

order_lines as (
    select * from marts.order_lines
),

-- orders of buyers without an id: that they came in is all that is told of them
orders_of_nobody as (
    select
        cast(null as varchar) as customer_id,
        invoice_no,
        event_day as invoice_day,
        event_day as valid_from,
        null as net_amount,
        true as is_kept
    from order_lines
    where
        customer_id is null and invoice_kind = 'sale'
        and invoice_no in (select order_id from commitments)
    group by invoice_no, event_day
),

all_orders as (
    select * from orders
    union all
    select * from orders_of_nobody
),

-- The first order of the id: the buyer's own, or one of nobody, or of whoever it is where the buyer asked without an
-- id. Orders may be entered before midnight.
final as (
    select
        commitments.* exclude (day, until, expires, return_days),
        cast(commitments.return_days as integer) as return_days,
        cast(commitments.day as date) as day,
        cast(commitments.until as date) as until,
        cast(commitments.expires as date) as expires,
        all_orders.* exclude (invoice_no)
    from commitments
    left join all_orders
        on
            commitments.order_id = all_orders.invoice_no
            and (
                commitments.buyer = all_orders.customer_id
                or all_orders.customer_id is null
                or commitments.is_customer = 0
            )
            and all_orders.invoice_day >= cast(commitments.day as date) - 1
    -- two customers may have orders of one id on one day
    qualify row_number() over (
        partition by commitments.receipt_id
        order by
            coalesce(commitments.buyer = all_orders.customer_id, false) desc,
            all_orders.customer_id is null desc,
            all_orders.invoice_day asc, all_orders.customer_id asc
    ) = 1
)

select * from final;
