with

order_days as (

    select * from {{ ref('int_order_days').include(database=false) }}

),

orders as (

    select * from {{ ref('int_invoice_states').include(database=false) }}
    where valid_from = invoice_day

),

sales as (

    select * from {{ ref('invoices').include(database=false) }}
    where kind = 'sale'

),

final as (

    select
        orders.customer_id,
        orders.invoice_no,
        orders.invoice_day,
        order_days.as_of,
        cast(orders.gross_amount as double) as basket,
        sales.payment_type,
        sales.channel,
        cast(sales.weight as double) as weight
    from orders
    inner join order_days
        on orders.invoice_day = order_days.invoice_day
    left join sales
        on
            orders.customer_id = sales.customer_id
            and orders.invoice_no = sales.invoice_no
            and orders.invoice_day = sales.event_day

)

select * from final
