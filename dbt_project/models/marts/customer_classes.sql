{{ config(materialized='versioned', meta={'counts_days': ['recency']}) }}
{%- set scope = scope_is('scores') -%}

with

scores as (

    select scores.*
    from {{ ref('rfm_scores') }} as scores
    where {{ of_days_in_scope(scope, 'scores') }}

),

borders as (

    select * from {{ ref('class_borders') }}

),

credit_scores as (

    select
        scores.*,
        scores.r_score + scores.f_score + scores.m_score as credit_score
    from scores

),

final as (

    select
        credit_scores.customer_id,
        credit_scores.as_of,
        credit_scores.recency,
        credit_scores.frequency,
        credit_scores.monetary,
        credit_scores.r_score,
        credit_scores.f_score,
        credit_scores.m_score,
        cast(credit_scores.credit_score as integer) as credit_score,
        case {{ quartile_score('credit_scores.credit_score', 'borders') }}
            when 1 then 'Worst'
            when 2 then 'Average'
            when 3 then 'Good'
            else 'Best'
        end as class
    from credit_scores
    inner join borders
        on credit_scores.as_of = borders.as_of

)

select * from final
