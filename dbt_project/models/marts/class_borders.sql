{%- set scope = scope_is('scores') -%}

with

scores as (

    select scores.*
    from {{ ref('rfm_scores') }} as scores
    where {{ of_days_in_scope(scope, 'scores') }}

),

credit_scores as (

    select
        scores.as_of,
        cast(scores.r_score + scores.f_score + scores.m_score as double) as credit_score
    from scores

),

final as (

    select
        as_of,
        percentile_cont(0.25) within group (order by credit_score) as q25,
        percentile_cont(0.50) within group (order by credit_score) as q50,
        percentile_cont(0.75) within group (order by credit_score) as q75
    from credit_scores
    group by as_of

)

select * from final
