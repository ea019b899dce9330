{%- set scope = scope_is('scores') -%}

with

measures as (

    select measures.*
    from {{ ref('int_rfm_measures') }} as measures
    where {{ of_days_in_scope(scope, 'measures') }}

),

-- quantiles interpolate between customers, so the borders are no amounts of money but plain numbers
long as (

    {% for measure in ['recency', 'frequency', 'monetary'] -%}
    select
        as_of,
        '{{ measure }}' as measure,
        cast({{ measure }} as double) as value
    from measures
    {% if not loop.last %}
    union all

    {% endif %}
    {%- endfor %}

),

final as (

    select
        as_of,
        measure,
        percentile_cont(0.25) within group (order by value) as q25,
        percentile_cont(0.50) within group (order by value) as q50,
        percentile_cont(0.75) within group (order by value) as q75
    from long
    group by as_of, measure

)

select * from final
