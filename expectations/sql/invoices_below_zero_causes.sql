-- One row of text per cause why invoices below zero of $first to $last count as sales. `below_zero` is put before it by
-- `expectations.invoices`. A shop whose mapping has no rule of cancellations means its sales below zero.
with

caused as (
    select
        place,
        if(
            is_misread,
            'invoice_kinds.cancellation of the mapping would match them in another case or without punctuation',
            'invoice_kinds.cancellation of the mapping does not match them'
        ) as cause
    from below_zero
    where is_sale and $rule is not null and event_day between $first and $last
),

final as (
    select format('sales with quantities below zero: {} ({}, first {})', cause, count(*), min(place)) as cause
    from caused
    group by cause
    order by count(*) desc, cause asc
)

select * from final
