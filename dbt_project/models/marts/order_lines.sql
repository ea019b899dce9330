{%- do scope_is('line') -%}

with

order_lines as (

    select * from {{ ref('int_changed_order_lines') }}

),

matches as (

    select * from {{ ref('int_cancellation_matches') }}

),

matched_lines as (

    select
        purchase_line_id as order_line_id,
        quantity,
        rule
    from matches
    union all
    select
        cancellation_line_id as order_line_id,
        quantity,
        rule
    from matches

),

matched as (

    select
        order_line_id,
        cast(sum(quantity) as bigint) as cancelled_quantity,
        -- a line that a mirror took, or that is one, has only this match
        min(rule) as cancellation_rule
    from matched_lines
    group by order_line_id

),

judged as (

    select
        order_lines.*,
        coalesce(matched.cancelled_quantity, 0) as cancelled_quantity,
        matched.cancellation_rule,
        case
            when order_lines.customer_id is null then 'no_customer'
            when order_lines.is_duplicate then 'duplicate'
            when order_lines.invoice_kind = 'adjustment' then 'adjustment'
            when order_lines.invoice_kind = 'cancellation' and matched.cancelled_quantity > 0 then 'cancellation'
            when order_lines.invoice_kind = 'cancellation' then 'unmatched_cancellation'
            when matched.cancelled_quantity = order_lines.quantity then 'cancelled'
            when matched.cancelled_quantity > 0 then 'partly_cancelled'
            else 'kept'
        end as outcome
    from order_lines
    left join matched
        on order_lines.order_line_id = matched.order_line_id

),

final as (

    select
        order_line_id,
        source,
        event_day,
        file_name,
        line_number,
        ordered_at,
        ordered_at_utc,
        invoice_no,
        invoice_kind,
        stock_code,
        trim(description) as description,
        is_product,
        quantity,
        unit_price,
        line_total,
        amount,
        customer_id,
        {{ order_attributes() }},
        outcome,
        cancelled_quantity,
        cancellation_rule,
        case
            when outcome = 'kept' then amount
            when outcome = 'partly_cancelled' then {{ amount_left('amount', 'quantity', 'cancelled_quantity') }} else 0
        end as kept_amount
    from judged

)

select * from final
