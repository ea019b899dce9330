with

placed as (

    select * from {{ ref('feat_placed_orders').include(database=false) }}

),

classes as (

    select * from {{ ref('customer_classes').include(database=false) }}

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

accounts as (

    {{ accounts_as_of('moments') }}

),

return_behaviour as (

    {{ return_measures('orders', 'cancellations', 'accounts') }}

),

order_behaviour as (

    {{ order_measures('orders') }}

),

instalments as (

    {{ instalments_as_of('moments') }}

),

debts as (

    {{ debts_of('instalments') }}

),

payment_behaviour as (

    {{ payment_measures('instalments', 'debts', 'accounts') }}

),

final as (

    select
        placed.* exclude (customer_id, as_of),
        return_behaviour.*,
        order_behaviour.* exclude (customer_id, as_of),
        classes.r_score,
        classes.f_score,
        classes.m_score,
        classes.credit_score,
        {{ payments_of_master('payment_behaviour') }}
    from placed
    inner join return_behaviour
        on placed.customer_id = return_behaviour.customer_id and placed.as_of = return_behaviour.as_of
    inner join order_behaviour
        on placed.customer_id = order_behaviour.customer_id and placed.as_of = order_behaviour.as_of
    inner join payment_behaviour
        on placed.customer_id = payment_behaviour.customer_id and placed.as_of = payment_behaviour.as_of
    left join classes
        on placed.customer_id = classes.customer_id and placed.as_of = classes.as_of

)

select * from final
