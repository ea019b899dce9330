{%- set scope = scope_is('features') -%}

with

as_of_days as (

    {{ days_in_scope(scope) }}

),

return_behaviour as (

    select return_behaviour.*
    from {{ ref('return_behaviour') }} as return_behaviour
    inner join as_of_days
        on return_behaviour.as_of = as_of_days.as_of

),

orders as (

    {{ orders_as_of('return_behaviour') }}

),

order_behaviour as (

    {{ order_measures('orders') }}

),

payment_behaviour as (

    select * from {{ ref('payment_behaviour') }}

),

classes as (

    select classes.*
    from {{ ref('customer_classes') }} as classes
    where {{ of_days_in_scope(scope, 'classes') }}

),

final as (

    select
        return_behaviour.*,
        order_behaviour.recency_days,
        order_behaviour.tenure_days,
        order_behaviour.frequency,
        order_behaviour.monetary,
        order_behaviour.monetary_6m,
        order_behaviour.mean_gap_days,
        order_behaviour.mean_lines,
        order_behaviour.mean_basket,
        order_behaviour.largest_basket,
        order_behaviour.last_basket,
        classes.r_score,
        classes.f_score,
        classes.m_score,
        classes.credit_score,
        {{ payments_of_master('payment_behaviour') }}
    from return_behaviour
    inner join order_behaviour
        on
            return_behaviour.customer_id = order_behaviour.customer_id
            and return_behaviour.as_of = order_behaviour.as_of
    left join payment_behaviour
        on
            return_behaviour.customer_id = payment_behaviour.customer_id
            and return_behaviour.as_of = payment_behaviour.as_of
    left join classes
        on return_behaviour.customer_id = classes.customer_id and return_behaviour.as_of = classes.as_of

)

select * from final
