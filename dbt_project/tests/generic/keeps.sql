{#-
    What a table keeps: its grain (no two rows share the columns) and rules (expressions that hold for every
    row; null counts as broken). One query for all of it, because each dbt test costs 20 ms of a daily run.
    With a scope, only rows that this run wrote. The result names what was broken.
-#}
{% test keeps(model, grain, rules={}, scope=none) %}

{%- set conditions = written_rows(scope, model.identifier) if scope else ['true'] %}

with

written as (

    {% for condition in conditions -%}
    select * from {{ model }}
    where {{ condition }}
    {% if not loop.last %}
    union all

    {% endif %}
    {%- endfor %}

)

select 'one row per {{ grain | join(", ") }}' as broken_rule
from written
group by {{ grain | join(', ') }}
having count(*) > 1
{% for name, expression in rules.items() %}

union all

select '{{ name }}' as broken_rule
from written
where not coalesce({{ expression }}, false)
{% endfor %}

{% endtest %}
