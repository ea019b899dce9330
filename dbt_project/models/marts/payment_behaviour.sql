{%- set scope = scope_is('features') -%}

with

customers as (

    select customer_id from {{ ref('int_instalment_states') }}

    union distinct

    select customer_id from {{ ref('int_order_accounts') }}

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

instalments as (

    {{ instalments_as_of('moments') }}

),

debts as (

    {{ debts_of('instalments') }}

),

accounts as (

    {{ accounts_as_of('moments') }}

),

measured as (

    {{ payment_measures('instalments', 'debts', 'accounts') }}

),

final as (

    select measured.*
    from measured
    left join accounts
        on measured.customer_id = accounts.customer_id and measured.as_of = accounts.as_of
    -- of whom nothing had been told yet, nothing is said
    where measured.instalments > 0 or accounts.told_orders > 0

)

select * from final
