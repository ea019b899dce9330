-- One row per day and cause why invoices below zero of $first to $last count as sales. `below_zero` is put before it by
-- `expectations.invoices`. A shop whose mapping has no rule of cancellations means its sales below zero.
with

caused as (
    select
        event_day,
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
    select
        event_day,
        'sales with quantities below zero: ' || cause as topic,
        count(*) as lines,
        min(place) as place
    from caused
    group by event_day, cause
)

select * from final
