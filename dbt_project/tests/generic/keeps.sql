{#-
    What a table keeps: its grain (no two rows share the columns) and rules (expressions that hold for every
    row; null counts as broken). One query for all of it, because each dbt test costs 20 ms of a daily run.
    With a scope, only rows that this run wrote. The result names what was broken.
-#}
{% test keeps(model, grain, rules={}, scope=none) %}

with

written as (

    select * from {{ model }}
    {% if scope %}
    where {{ changed_scope(scope, model) }}
    {% endif %}

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
