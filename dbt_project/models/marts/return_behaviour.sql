{%- set scope = scope_is('features') -%}

with

customers as (

    select distinct customer_id from {{ ref('int_invoice_states') }}

),

as_of_days as (

    {{ days_in_scope(scope) }}

),

moments as (

    select
        customers.customer_id,
        as_of_days.as_of
    from customers
    cross join as_of_days

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

measured as (

    {{ return_measures('orders', 'cancellations', 'accounts') }}

),

final as (

    -- customers without an order by then have no row
    select * from measured
    where orders > 0

)

select * from final
