{#- one number for several columns: rows that differ rarely have the same, and equal rows always -#}
{% macro quick_hash(columns) -%}
    {{ return(adapter.dispatch('quick_hash', 'goodstanding')(columns)) }}
{%- endmacro %}

{% macro duckdb__quick_hash(columns) -%}
    hash({{ columns }})
{%- endmacro %}
