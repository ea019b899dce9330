-- Conservation of the other kinds of lines: every line about an instalment is counted in a state of it, and every line
-- that names an order in the account of that order. The result names the hop.
{{ config(tags=['accounts']) }}

with

payments as (

    select
        count(*) as lines,
        coalesce(sum(case when invoice_no <> '' then 1 else 0 end), 0) as lines_of_orders
    from {{ ref('stg_payments') }}

),

others as (

    select count(*) as lines
    from (
        select delivery_line_id from {{ ref('stg_deliveries') }}
        union all
        select return_line_id from {{ ref('stg_returns') }}
    )

),

states as (

    select coalesce(sum(line_count), 0) as lines from {{ ref('int_instalment_states') }}

),

accounts as (

    select coalesce(sum(line_count), 0) as lines from {{ ref('int_order_accounts') }}

),

final as (

    select 'payments_to_instalment_states' as broken_rule
    from payments
    cross join states
    where payments.lines <> states.lines

    union all

    select 'lines_to_order_accounts' as broken_rule
    from payments
    cross join others
    cross join accounts
    where payments.lines_of_orders + others.lines <> accounts.lines

)

select * from final
