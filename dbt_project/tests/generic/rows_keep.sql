{#-
    Bounds and identities that every row keeps: a dict of names and expressions; null counts as broken. One
    query for all of them, because each dbt test costs 20 ms of a daily run. With a scope, only rows that
    this run wrote. A broken rule is named in the result's first column.
-#}
{% test rows_keep(model, rules, scope=none) %}

{% for name, expression in rules.items() %}
select '{{ name }}' as broken_rule
from {{ model }}
where
    not coalesce({{ expression }}, false)
    {% if scope %}
    and ({{ changed_scope(scope) }})
    {% endif %}
{% if not loop.last %}
union all
{% endif %}
{% endfor %}

{% endtest %}
