{#- what a line says of its whole order; each null where the shop does not say it -#}
{% macro order_attributes() -%}
    country,
        payment_type,
        channel,
        weight
{%- endmacro %}
