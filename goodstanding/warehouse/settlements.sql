-- What the files tell of commitments by the variable `as_of`: one row for each of which they tell something. Run after
-- `orders_of_commitments.sql`.
create or replace temp table settlements as
with

known as (
    select * from orders_of_commitments
),

ruled as (
    select
        *,
        case
            when not is_kept then 'came back or was cancelled'
            when refused_day is not null then 'refused at the door'
            -- all instalments are stated, or what is left of them is
            when
                method = 'emi' and is_debt_of_buyer
                and (states_debt or stated_cents >= least(cents, round(net_amount * 100)))
                then 'told by payments'
            when method = 'cod' and delivered_day is not null then 'delivered'
            when method = 'cod' and paid_day is not null then 'paid'
            when method = 'cod' and invoice_day is not null and tells_deliveries then 'not delivered yet'
            when invoice_day is null and expires <= getvariable('as_of') then 'the order never came'
            when net_amount * 100 < cents then 'came back in part'
        end as because
    from known
),

-- a last day that lies before the event ends the commitment with it
final as (
    select
        receipt_id,
        case because
            when 'came back or was cancelled' then valid_from - 1
            when 'refused at the door' then refused_day - 1
            when 'told by payments' then day - 1
            when 'delivered' then delivered_day + return_days
            when 'paid' then paid_day + return_days
            when 'not delivered yet' then greatest(until, expires)
            when 'the order never came' then expires - 1
        end as until,
        case when net_amount > 0 then least(cents, cast(round(net_amount * 100) as bigint)) end as cents,
        because
    from ruled
    where because is not null
)

select * from final;
