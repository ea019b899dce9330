{{ config(materialized='view') }}

with

customer_features as (

    select
        customer_id,
        as_of,
        {{ dbt.dateadd('day', 90, 'as_of') }} as window_end
    from {{ ref('customer_features') }}

),

newest as (

    select max(event_day) as newest_day from {{ ref('stg_days') }}

),

invoice_states as (

    select * from {{ ref('int_invoice_states') }}
    where is_kept

),

-- a month end whose 90 days are over; the window's own last day decides what still counts
labelled as (

    select
        customer_features.customer_id,
        customer_features.as_of,
        cast(customer_features.window_end as date) as window_end
    from customer_features
    cross join newest
    where
        customer_features.window_end <= newest.newest_day
        and customer_features.as_of = {{ dbt.last_day('customer_features.as_of', 'month') }}

),

final as (

    select
        labelled.customer_id,
        labelled.as_of,
        count(invoice_states.invoice_no) > 0 as buys_90d
    from labelled
    left join invoice_states
        on
            labelled.customer_id = invoice_states.customer_id
            and labelled.as_of < invoice_states.invoice_day
            and labelled.window_end >= invoice_states.invoice_day
            and labelled.window_end >= invoice_states.valid_from
            and (invoice_states.valid_until is null or labelled.window_end < invoice_states.valid_until)
    group by labelled.customer_id, labelled.as_of

)

select * from final
