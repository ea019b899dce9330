{{ config(meta={'scope': 'cancelled_product'}) }}

with

order_lines as (

    select * from {{ ref('int_changed_order_lines') }}
    where customer_id is not null and not is_duplicate

),

-- first, because few are: collecting the events of everything else took half of this model's time
cancelled_products as (

    select distinct
        customer_id,
        stock_code
    from order_lines
    where invoice_kind = 'cancellation' and quantity < 0

),

events as (

    select order_lines.*
    from order_lines
    inner join cancelled_products
        on
            order_lines.customer_id = cancelled_products.customer_id
            and order_lines.stock_code = cancelled_products.stock_code
    where
        (invoice_kind = 'sale' and quantity > 0)
        or (invoice_kind = 'cancellation' and quantity < 0)

),

grouped as (

    select
        customer_id,
        stock_code,
        -- at equal times a purchase comes before its cancellation; the file and its line settle the rest
        {{ collect_events(
            'order_line_id',
            'quantity',
            "ordered_at, case when invoice_kind = 'sale' then 0 else 1 end, invoice_no, file_name, line_number"
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
