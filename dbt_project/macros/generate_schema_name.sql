{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- schemas are named as in the design, without the target's name before them -#}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
