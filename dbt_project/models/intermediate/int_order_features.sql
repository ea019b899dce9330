{{ config(materialized='view') }}

with

days as (

    select
        event_day as as_of,
        lead(event_day) over (order by event_day) as next_day
    from {{ ref('stg_days') }}

),

score_days as (

    select as_of from {{ ref('int_as_of_days') }}
    where purpose = 'scores'

),

classes as (

    select * from {{ ref('customer_classes') }}

),

placed as (

    select
        orders.customer_id,
        orders.invoice_no,
        orders.invoice_day,
        days.as_of,
        orders.gross_amount as basket
    from {{ ref('int_invoice_states') }} as orders
    inner join days
        on orders.invoice_day = days.next_day
    -- where the scores of the day before are not kept, nobody can say what had been known
    inner join score_days on days.as_of = score_days.as_of
    where orders.valid_from = orders.invoice_day

),

moments as (

    select distinct
        customer_id,
        as_of
    from placed

),

orders as (

    {{ orders_as_of('moments') }}

),

cancellations as (

    {{ cancellations_as_of('moments') }}

),

return_behaviour as (

    {{ return_measures('orders', 'cancellations') }}

),

order_behaviour as (

    {{ order_measures('orders') }}

),

final as (

    select
        placed.invoice_no,
        placed.invoice_day,
        cast(placed.basket as double) as basket,
        return_behaviour.*,
        order_behaviour.* exclude (customer_id, as_of),
        classes.r_score,
        classes.f_score,
        classes.m_score,
        classes.credit_score
    from placed
    inner join return_behaviour
        on placed.customer_id = return_behaviour.customer_id and placed.as_of = return_behaviour.as_of
    inner join order_behaviour
        on placed.customer_id = order_behaviour.customer_id and placed.as_of = order_behaviour.as_of
    left join classes
        on placed.customer_id = classes.customer_id and placed.as_of = classes.as_of

)

select * from final
