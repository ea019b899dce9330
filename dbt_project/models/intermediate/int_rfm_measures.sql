{{ config(materialized='versioned', meta={'counts_days': ['recency']}) }}
{%- set scope = scope_is('scores') -%}

with

invoice_states as (

    select * from {{ ref('int_invoice_states') }}
    where is_kept

),

as_of_days as (

    {{ days_in_scope(scope) }}

),

as_of_each_day as (

    select
        invoice_states.customer_id,
        as_of_days.as_of,
        invoice_states.invoice_day,
        invoice_states.net_amount
    from invoice_states
    inner join as_of_days
        on
            invoice_states.valid_from <= as_of_days.as_of
            and (invoice_states.valid_until is null or invoice_states.valid_until > as_of_days.as_of)

),

summed as (

    select
        customer_id,
        as_of,
        max(invoice_day) as last_day,
        count(*) as frequency,
        sum(net_amount) as monetary
    from as_of_each_day
    group by customer_id, as_of

),

final as (

    select
        customer_id,
        as_of,
        cast({{ dbt.datediff('last_day', 'as_of', 'day') }} as integer) as recency,
        cast(frequency as integer) as frequency,
        cast(monetary as decimal(28, 4)) as monetary
    from summed

)

select * from final
