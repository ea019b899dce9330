{%- set scope = scope_is('scores') -%}

with

scores as (

    select * from {{ ref('rfm_scores') }}

),

changed_days as (

    {{ days_in_scope(scope) }}

),

credit_scores as (

    select
        scores.as_of,
        cast(scores.r_score + scores.f_score + scores.m_score as double) as credit_score
    from scores
    inner join changed_days
        on scores.as_of = changed_days.as_of

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
