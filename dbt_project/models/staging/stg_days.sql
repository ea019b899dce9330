with

{% if var('known_before') -%}
days as (

    select
        versions.event_day,
        versions.known_from as loaded_at,
        versions.lines,
        verdicts.passed as admitted
    from {{ source('raw', 'day_versions') }} as versions
    inner join {{ source('ops', 'verdicts') }} as verdicts
        on versions.event_day = verdicts.event_day and versions.version = verdicts.version
    where
        verdicts.gate = 'raw_orders'
        and versions.event_day <= cast('{{ var("last_day") }}' as date)
        and {{ known_then('versions') }}

),
{%- else -%}
days as (

    select * from {{ source('raw', 'days') }}

),
{%- endif %}

final as (

    select
        event_day,
        loaded_at,
        lines as line_count
    from days
    where admitted

)

select * from final
