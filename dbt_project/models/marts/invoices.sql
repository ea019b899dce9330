{%- set scope = scope_is('invoice') -%}

with

counted_lines as (

    select order_lines.*
    from {{ ref('order_lines') }} as order_lines
    where
        order_lines.outcome not in ('no_customer', 'duplicate', 'adjustment')
        and {{ in_scope(scope, 'order_lines') }}

),

states as (

    select * from {{ ref('int_invoice_states') }}
    where valid_until is null

),

summed as (

    select
        customer_id,
        invoice_no,
        invoice_kind as kind,
        event_day,
        {{ earliest_of('ordered_at', 'ordered_at_utc, ordered_at') }} as ordered_at,
        -- of the first line that states it; of two at once, as files of a day may have, the lesser
        {{ earliest_of('payment_type', 'ordered_at_utc, line_number, payment_type') }} as payment_type,
        {{ earliest_of('channel', 'ordered_at_utc, line_number, channel') }} as channel,
        {{ earliest_of('weight', 'ordered_at_utc, line_number, weight') }} as weight,
        count(*) as line_count,
        sum(amount) as gross_amount,
        sum(case when invoice_kind = 'sale' then amount - kept_amount else 0 end) as cancelled_amount
    from counted_lines
    group by customer_id, invoice_no, event_day, invoice_kind

),

with_returns as (

    select
        summed.*,
        coalesce(states.uncancelled_amount, 0) as returned_amount
    from summed
    left join states
        on
            summed.kind = 'sale'
            and summed.customer_id = states.customer_id
            and summed.invoice_no = states.invoice_no
            and summed.event_day = states.invoice_day

),

final as (

    select
        customer_id,
        invoice_no,
        kind,
        event_day,
        ordered_at,
        line_count as lines,
        cast(gross_amount as decimal(28, 4)) as gross_amount,
        cast(cancelled_amount as decimal(28, 4)) as cancelled_amount,
        cast(returned_amount as decimal(28, 4)) as returned_amount,
        cast(gross_amount - cancelled_amount - returned_amount as decimal(28, 4)) as net_amount,
        kind = 'sale' and gross_amount - cancelled_amount - returned_amount > 0 as is_kept,
        payment_type,
        channel,
        weight
    from with_returns

)

select * from final
