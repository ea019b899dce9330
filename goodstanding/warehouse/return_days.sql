-- The days on which each customer cancelled a product, also one whose purchase was not found, or on which something
-- of an order came back otherwise, free goods too.
with

product_cancellations as (
    select * from features.product_cancellations
),

invoice_states as (
    select * from features.invoice_states
),

came_back as (
    select
        customer_id,
        valid_from as event_day
    from invoice_states
    window by_day as (partition by customer_id, invoice_no, invoice_day order by valid_from)
    qualify
        returned_amount > coalesce(lag(returned_amount) over by_day, 0)
        or is_returned > coalesce(lag(is_returned) over by_day, false)
),

final as (
    select
        customer_id,
        event_day
    from product_cancellations
    union
    select
        customer_id,
        event_day
    from came_back
)

select * from final
