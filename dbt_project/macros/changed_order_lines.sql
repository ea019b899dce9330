{#- The staged lines that this run computes anew, as a query: as far as a change reaches, all in a build of everything. -#}
{% macro changed_order_lines() -%}
    {% for condition in changed_scope('line', 'order_lines', {
        'int_changed_products': ref('int_changed_products'),
        'stg_changes': ref('stg_changes'),
    }) -%}
    select order_lines.*
    from {{ ref('stg_order_lines') }} as order_lines
    where {{ condition }}
    {% if not loop.last %}
    union all

    {% endif %}
    {%- endfor %}
{%- endmacro %}
