{#- The staged lines that this run recomputes, as a query: as far as a change reaches, or all in a build of everything. -#}
{% macro changed_order_lines() -%}
    {% for condition in conditions_of('line', 'order_lines') -%}
    select order_lines.*
    from {{ ref('stg_order_lines') }} as order_lines
    where {{ condition }}
    {% if not loop.last %}
    union all

    {% endif %}
    {%- endfor %}
{%- endmacro %}
