{{ config(materialized='versioned', meta={'counts_days': ['recency']}) }}
{%- set scope = scope_is('scores') -%}

with

measures as (

    select measures.*
    from {{ ref('int_rfm_measures') }} as measures
    where {{ of_days_in_scope(scope, 'measures') }}

),

borders as (

    select * from {{ ref('rfm_borders') }}

),

-- equal values always get equal scores: only the value and the day's borders count
scored as (

    select
        measures.*,
        5 - {{ quartile_score('measures.recency', 'recency') }} as r_score,
        {{ quartile_score('measures.frequency', 'frequency') }} as f_score,
        {{ quartile_score('measures.monetary', 'monetary') }} as m_score
    from measures
    inner join borders as recency
        on measures.as_of = recency.as_of and recency.measure = 'recency'
    inner join borders as frequency
        on measures.as_of = frequency.as_of and frequency.measure = 'frequency'
    inner join borders as monetary
        on measures.as_of = monetary.as_of and monetary.measure = 'monetary'

),

final as (

    select
        customer_id,
        as_of,
        recency,
        frequency,
        monetary,
        cast(r_score as integer) as r_score,
        cast(f_score as integer) as f_score,
        cast(m_score as integer) as m_score
    from scored

)

select * from final
