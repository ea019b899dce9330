{#- The grain: no two rows share the columns. With a scope, only among rows that this run wrote. -#}
{% test one_row_per(model, columns, scope=none) %}

select {{ columns | join(', ') }}
from {{ model }}
{% if scope %}
where {{ changed_scope(scope) }}
{% endif %}
group by {{ columns | join(', ') }}
having count(*) > 1

{% endtest %}
