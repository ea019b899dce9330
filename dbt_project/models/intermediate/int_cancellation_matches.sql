{%- do scope_is('cancelled_product') -%}

with

-- the lines are named twice on purpose: as one import used twice, the engine would store all of them first
cancelled_products as (

    select distinct
        customer_id,
        stock_code
    from {{ ref('int_changed_order_lines') }}
    where customer_id is not null and not is_duplicate and invoice_kind = 'cancellation' and quantity < 0

),

-- of those products alone, for they are few: collecting the events of everything else took half of this model's time
events as (

    select order_lines.*
    from {{ ref('int_changed_order_lines') }} as order_lines
    inner join cancelled_products
        on
            order_lines.customer_id = cancelled_products.customer_id
            and order_lines.stock_code = cancelled_products.stock_code
    where
        not order_lines.is_duplicate
        and (
            (order_lines.invoice_kind = 'sale' and order_lines.quantity > 0)
            or (order_lines.invoice_kind = 'cancellation' and order_lines.quantity < 0)
        )

),

grouped as (

    select
        customer_id,
        stock_code,
        -- equal lines are duplicates and left out, so the order is total
        {{ collect_events(
            'order_line_id',
            'quantity',
            event_order()
        ) }} as line_events
    from events
    group by customer_id, stock_code
    having max(quantity) > 0

),

matched as (

    select
        customer_id,
        stock_code,
        {{ match_cancellations('line_events') }} as matches
    from grouped

),

matches as (

    select
        customer_id,
        stock_code,
        {{ unnest_matches('matches') }}
    from matched

),

final as (

    select
        matches.customer_id,
        matches.stock_code,
        matches.cancellation_line_id,
        matches.purchase_line_id,
        matches.quantity,
        matches.rule,
        events.event_day
    from matches
    inner join events
        on matches.cancellation_line_id = events.order_line_id

)

select * from final
