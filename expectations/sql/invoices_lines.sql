-- One row per line of a mart. Where another run has ingested the day again since this one's transform, that run compares
-- the line with raw.
with

order_lines as (
    select *
    from marts.order_lines
    where event_day between $first and $last
),

taken_in as (
    select
        raw_lines.*,
        true as is_in_raw
    from intake.raw.order_lines as raw_lines
    where raw_lines.event_day between $first and $last
),

contents as (
    select
        event_day,
        coalesce(version = transformed_version, false) as is_same_content
    from intake.raw.days
    where event_day between $first and $last
),

final as (
    select
        order_lines.event_day,
        order_lines.file_name,
        order_lines.line_number,
        order_lines.outcome,
        order_lines.cancellation_rule,
        abs(order_lines.quantity) as quantity_size,
        order_lines.cancelled_quantity,
        case
            when contents.is_same_content
                then not (
                    taken_in.is_in_raw is null
                    or (order_lines.customer_id is distinct from taken_in.customer_id)
                    or (order_lines.invoice_no is distinct from taken_in.invoice_no)
                    or (order_lines.invoice_kind is distinct from taken_in.invoice_kind)
                    or (order_lines.stock_code is distinct from taken_in.stock_code)
                    or (order_lines.quantity is distinct from taken_in.quantity)
                    or (order_lines.unit_price is distinct from taken_in.unit_price)
                    or (order_lines.amount is distinct from taken_in.amount)
                    or (order_lines.ordered_at is distinct from taken_in.ordered_at)
                )
        end as is_as_in_raw,
        coalesce((order_lines.outcome = 'no_customer') = (order_lines.customer_id is null), false) as customer_is_right,
        (
            order_lines.amount
            = coalesce(order_lines.line_total, round(order_lines.quantity * order_lines.unit_price, 4))
        ) is true as amount_is_right,
        case order_lines.outcome
            when 'cancelled' then order_lines.cancelled_quantity = order_lines.quantity
            when 'partly_cancelled'
                then order_lines.cancelled_quantity > 0 and order_lines.cancelled_quantity < order_lines.quantity
            when 'cancellation' then order_lines.cancelled_quantity > 0
            else order_lines.cancelled_quantity = 0
        end is true as outcome_is_right,
        case order_lines.outcome
            when 'kept' then order_lines.kept_amount = order_lines.amount
            -- in proportion to the units, and as near to it as 4 decimals come
            when 'partly_cancelled'
                then
                    abs(
                        order_lines.kept_amount * order_lines.quantity
                        - order_lines.amount * (order_lines.quantity - order_lines.cancelled_quantity)
                    ) * 20000 <= order_lines.quantity
            else order_lines.kept_amount = 0
        end is true as kept_amount_is_right
    from order_lines
    left join taken_in
        on
            order_lines.event_day = taken_in.event_day
            and order_lines.file_name = taken_in.file_name
            and order_lines.line_number = taken_in.line_number
    left join contents on order_lines.event_day = contents.event_day
)

select * from final
