select
    event_day,
    file_name,
    line_number,
    outcome,
    cancellation_rule,
    abs(quantity) as quantity_size,
    cancelled_quantity,
    coalesce((outcome = 'no_customer') = (customer_id is null), false) as customer_is_right,
    (amount = quantity * unit_price) is true as amount_is_right,
    case outcome
        when 'cancelled' then cancelled_quantity = quantity
        when 'partly_cancelled' then cancelled_quantity > 0 and cancelled_quantity < quantity
        when 'cancellation' then cancelled_quantity > 0
        else cancelled_quantity = 0
    end is true as outcome_is_right,
    case
        when outcome in ('kept', 'partly_cancelled', 'cancelled')
            then kept_amount = (quantity - cancelled_quantity) * unit_price
        else kept_amount = 0
    end is true as kept_amount_is_right
from marts.order_lines
where event_day between $first and $last
