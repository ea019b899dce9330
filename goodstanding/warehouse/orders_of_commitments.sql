-- What the files tell of the order of each commitment by the variable `as_of`: one row for each commitment. Run after
-- `matched_orders.sql`; `settlements.sql` rules by it.
create or replace temp table orders_of_commitments as
with

matched as (
    select * from matched_orders
),

accounts as (
    select * from features.order_accounts
),

instalments as (
    select
        customer_id,
        invoice_no,
        invoice_day,
        max(settled_day) as paid_day,
        count(*) = count(settled_day) as is_paid,
        sum(amount) * 100 as stated_cents,
        count(outstanding) > 0 as states_debt
    from features.instalment_states
    where valid_until is null
    group by customer_id, invoice_no, invoice_day
),

debtors as (
    select customer_id from marts.payment_behaviour
    where as_of = getvariable('as_of') and outstanding is not null
),

deliveries as (
    select * from intake.raw.deliveries
),

final as (
    select
        matched.*,
        accounts.refused_day,
        case when instalments.is_paid then instalments.paid_day end as paid_day,
        instalments.stated_cents,
        instalments.states_debt,
        debtors.customer_id is not null and matched.customer_id = matched.buyer as is_debt_of_buyer,
        (
            select min(deliveries.event_day) from deliveries
            where
                deliveries.customer_id is not distinct from matched.customer_id
                and deliveries.invoice_no = matched.order_id
                and deliveries.event_day >= matched.invoice_day
        ) as delivered_day,
        exists(select 1 from deliveries) as tells_deliveries
    from matched
    left join accounts
        on
            matched.customer_id = accounts.customer_id
            and matched.order_id = accounts.invoice_no
            and matched.invoice_day = accounts.invoice_day
    left join instalments
        on
            matched.customer_id = instalments.customer_id
            and matched.order_id = instalments.invoice_no
            and matched.invoice_day = instalments.invoice_day
    left join debtors on matched.customer_id = debtors.customer_id
)

select * from final;
