{#- A bound or an identity that every row keeps; null counts as broken. With a scope, only rows of this run. -#}
{% test always_true(model, expression, scope=none) %}

select *
from {{ model }}
where
    not coalesce({{ expression }}, false)
    {% if scope %}
    and ({{ changed_scope(scope) }})
    {% endif %}

{% endtest %}
