select
    event_day,
    file_name,
    line_number,
    outcome,
    cancellation_rule,
    abs(quantity) as quantity_size,
    cancelled_quantity,
    coalesce((outcome = 'no_customer') = (customer_id is null), false) as customer_is_right,
    (amount = coalesce(line_total, round(quantity * unit_price, 4))) is true as amount_is_right,
    case outcome
        when 'cancelled' then cancelled_quantity = quantity
        when 'partly_cancelled' then cancelled_quantity > 0 and cancelled_quantity < quantity
        when 'cancellation' then cancelled_quantity > 0
        else cancelled_quantity = 0
    end is true as outcome_is_right,
    case
        when outcome = 'kept' then kept_amount = amount
        -- in proportion to the units, and as near to it as 4 decimals come
        when outcome = 'partly_cancelled'
            then abs(kept_amount * quantity - amount * (quantity - cancelled_quantity)) * 20000 <= quantity
        else kept_amount = 0
    end is true as kept_amount_is_right
from marts.order_lines
where event_day between $first and $last
