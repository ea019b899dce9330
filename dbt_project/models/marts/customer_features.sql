{%- set scope = scope_is('features') -%}

with

invoice_states as (

    select * from {{ ref('int_invoice_states') }}

),

as_of_days as (

    {{ days_in_scope(scope) }}

),

first_purchases as (

    select * from {{ ref('int_first_purchases') }}

),

products as (

    select
        first_purchases.customer_id,
        as_of_days.as_of,
        count(*) as distinct_products
    from first_purchases
    inner join as_of_days
        on first_purchases.first_day <= as_of_days.as_of
    group by first_purchases.customer_id, as_of_days.as_of

),

as_of_each_day as (

    select
        invoice_states.*,
        as_of_days.as_of,
        {{ dbt.datediff('invoice_states.invoice_day', 'as_of_days.as_of', 'day') }} as age_days
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
        min(case when is_kept then age_days end) as recency_days,
        max(case when is_kept then age_days end) as tenure_days,
        sum(case when is_kept then 1 else 0 end) as frequency,
        sum(case when is_kept then net_amount else 0 end) as monetary,
        {% for window in [30, 90, 180] -%}
        sum(case when is_kept and age_days < {{ window }} then 1 else 0 end) as orders_{{ window }}d,
        sum(case when is_kept and age_days < {{ window }} then net_amount else 0 end) as spend_{{ window }}d,
        {% endfor -%}
        sum(greatest(gross_amount, 0)) as gross_amount,
        sum({{ back_of_order('gross_amount - net_amount', 'gross_amount') }}) as cancelled_amount
    from as_of_each_day
    group by customer_id, as_of

),

final as (

    select
        summed.customer_id,
        summed.as_of,
        cast(recency_days as integer) as recency_days,
        cast(tenure_days as integer) as tenure_days,
        cast(frequency as integer) as frequency,
        cast(monetary as double) as monetary,
        cast(monetary as double) / frequency as mean_order_value,
        {% for window in [30, 90, 180] -%}
        cast(orders_{{ window }}d as integer) as orders_{{ window }}d,
        {% endfor -%}
        {% for window in [30, 90, 180] -%}
        cast(spend_{{ window }}d as double) as spend_{{ window }}d,
        {% endfor -%}
        cast(coalesce(products.distinct_products, 0) as integer) as distinct_products,
        cast(tenure_days - recency_days as double) / nullif(frequency - 1, 0) as mean_gap_days,
        coalesce(cast(cancelled_amount as double) / nullif(cast(gross_amount as double), 0), 0) as cancelled_share
    from summed
    left join products
        on summed.customer_id = products.customer_id and summed.as_of = products.as_of
    where frequency > 0

)

select * from final
