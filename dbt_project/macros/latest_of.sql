{#- the value on the latest row of a group that has one; `order_by` must be total -#}
{% macro latest_of(value, order_by) -%}
    {{ return(adapter.dispatch('latest_of', 'goodstanding')(value, order_by)) }}
{%- endmacro %}

{#- the value on the earliest row of a group, likewise -#}
{% macro earliest_of(value, order_by) -%}
    {{ return(adapter.dispatch('earliest_of', 'goodstanding')(value, order_by)) }}
{%- endmacro %}

{% macro duckdb__earliest_of(value, order_by) -%}
    min_by({{ value }}, ({{ order_by }}))
{%- endmacro %}

{% macro duckdb__latest_of(value, order_by) -%}
    max_by({{ value }}, ({{ order_by }}))
{%- endmacro %}
