{#-
    The lines of a table of raw as a CTE `known_lines`, those of admitted days alone: as they are now or, with the var
    `known_before`, as they were known then, with those of file versions that have ended since (see known_then.sql).
-#}
{% macro known_lines(table) -%}
{% if var('known_before') -%}
every_line as (

    select
        lines.*,
        versions.known_from,
        versions.known_until
    from {{ source('raw', table) }} as lines
    inner join {{ source('raw', 'file_versions') }} as versions
        on
            lines.event_day = versions.event_day
            and lines.file_name = versions.file_name
            and versions.known_until is null

    -- by name, for a home of an older version has columns that came later at the end
    union all by name

    select * from {{ source('raw', 'superseded_' ~ table) }}

),

lines_then as (

    select * from every_line
    where {{ known_then('every_line') }}

),
{%- else -%}
lines_then as (

    select * from {{ source('raw', table) }}

),
{%- endif %}

admitted_days as (

    select event_day from {{ ref('stg_days') }}

),

known_lines as (

    select lines_then.*
    from lines_then
    inner join admitted_days
        on lines_then.event_day = admitted_days.event_day

)
{%- endmacro %}
