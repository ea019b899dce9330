-- One row per day and likely cause why cancellation lines of $first to $last find no purchase: how many, and a place.
-- It looks for what the line may mean among the sales of the 400 days before; the first cause that applies counts.
with

unmatched as (
    select
        *,
        lower(regexp_replace(stock_code, '[^\p{L}\p{N}]', '', 'g')) as plain_code
    from marts.order_lines
    where outcome = 'unmatched_cancellation' and event_day between $first and $last
),

sales as (
    select
        customer_id,
        stock_code,
        lower(regexp_replace(stock_code, '[^\p{L}\p{N}]', '', 'g')) as plain_code,
        quantity,
        unit_price
    from marts.order_lines
    where
        invoice_kind = 'sale' and quantity > 0 and exists (from unmatched)
        and event_day between cast($first as date) - 400 and $last
),

of_the_customer as (
    select
        unmatched.order_line_id,
        -- also with letters before it that one of the two lacks: SKU-1001 and 1001
        bool_or(
            sales.stock_code <> unmatched.stock_code
            and (
                sales.plain_code = unmatched.plain_code
                or regexp_replace(sales.plain_code, '^\p{L}+([0-9])', '\1') = unmatched.plain_code
                or sales.plain_code = regexp_replace(unmatched.plain_code, '^\p{L}+([0-9])', '\1')
            )
        ) as has_code_written_otherwise,
        bool_or(sales.stock_code = unmatched.stock_code) as has_code,
        bool_or(sales.quantity = -unmatched.quantity and sales.unit_price = unmatched.unit_price) as has_amount
    from unmatched
    inner join sales on unmatched.customer_id = sales.customer_id
    group by unmatched.order_line_id
),

of_others as (
    select distinct unmatched.order_line_id
    from unmatched
    inner join sales
        on
            unmatched.stock_code = sales.stock_code
            and unmatched.quantity = -sales.quantity
            and unmatched.unit_price = sales.unit_price
            and unmatched.customer_id <> sales.customer_id
),

caused as (
    select
        unmatched.event_day,
        unmatched.file_name || ':' || unmatched.line_number as place,
        case
            when unmatched.quantity >= 0 then 'a quantity that is not below zero'
            when of_the_customer.has_code_written_otherwise then 'a code that the customer bought is written otherwise'
            when of_the_customer.has_code then 'the customer bought the code, and has cancelled all or bought it later'
            when of_the_customer.has_amount then 'the customer bought as many of another code at that price'
            when of_the_customer.order_line_id is null and of_others.order_line_id is not null
                then 'the customer bought nothing, another one bought just that'
            else 'nothing like it was bought, or before the log begins'
        end as cause
    from unmatched
    left join of_the_customer on unmatched.order_line_id = of_the_customer.order_line_id
    left join of_others on unmatched.order_line_id = of_others.order_line_id
),

final as (
    select
        event_day,
        'cancellations that find no purchase: ' || cause as topic,
        count(*) as lines,
        min(place) as place
    from caused
    group by event_day, cause
)

select * from final
