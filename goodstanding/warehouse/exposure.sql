-- Every commitment of which something is open on the variable `as_of`, by the frames `commitments` and `parts` and by `settlements`.
with

open_parts as (
    select
        commitments.receipt_id,
        sum(parts.cents) as cents,
        max(coalesce(settlements.until, cast(parts.until as date))) as until
    from commitments
    inner join parts using (receipt_id)
    left join settlements using (receipt_id)
    where coalesce(settlements.until, cast(parts.until as date)) >= getvariable('as_of')
    group by commitments.receipt_id
),

final as (
    select
        commitments.receipt_id,
        commitments.method,
        commitments.buyer as customer_id,
        commitments.order_id,
        commitments.day as committed_day,
        commitments.cents / 100 as granted,
        least(open_parts.cents, coalesce(settlements.cents, open_parts.cents)) / 100 as open,
        open_parts.until
    from commitments
    inner join open_parts using (receipt_id)
    left join settlements using (receipt_id)
)

select * from final
order by committed_day, receipt_id
