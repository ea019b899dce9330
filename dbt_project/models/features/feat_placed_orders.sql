with

order_days as (

    select * from {{ ref('int_order_days').include(database=false) }}

),

orders as (

    select * from {{ ref('int_invoice_states').include(database=false) }}
    where valid_from = invoice_day

),

final as (

    select
        orders.customer_id,
        orders.invoice_no,
        orders.invoice_day,
        order_days.as_of,
        cast(orders.gross_amount as double) as basket
    from orders
    inner join order_days
        on orders.invoice_day = order_days.invoice_day

)

select * from final
