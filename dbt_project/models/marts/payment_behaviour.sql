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
    -- customers about whom the shop had stated nothing by then have no row
    where measured.instalments > 0 or accounts.orders_with_method > 0

)

select * from final
