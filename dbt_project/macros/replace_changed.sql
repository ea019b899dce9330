{#-
    The one incremental strategy of this project: delete what the changes make untrue, insert what is true now.
    A model names its scope in `meta.scope`:
      customer         rows of customers with a changed line
      customer_or_day  as above, and lines without customer of a changed day
      scores, features rows of the as_of days of that purpose (see int_as_of_days) that are changed or dropped
    Delete and insert run in one transaction, so a crash leaves the old rows; repeating it gives the same rows.
-#}
{% macro get_incremental_replace_changed_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name') | list) -%}
    delete from {{ arg_dict['target_relation'] }}
    where {{ changed_scope(config.require('meta')['scope']) }};

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{%- endmacro %}

{% macro changed_scope(scope) -%}
    {%- set changes = api.Relation.create(database=target.database, schema='staging', identifier='stg_changes') -%}
    {%- set days = api.Relation.create(
        database=target.database, schema='intermediate', identifier='int_as_of_days'
    ) -%}
    {%- if scope in ('customer', 'customer_or_day') -%}
        customer_id in (select customer_id from {{ changes }} where customer_id is not null)
        {%- if scope == 'customer_or_day' %}
        or (
            customer_id is null
            and event_day in (select event_day from {{ changes }} where customer_id is null)
        )
        {%- endif -%}
    {%- else -%}
        as_of not in (
            select as_of from {{ days }} where purpose = '{{ scope }}' and not is_changed
        )
    {%- endif -%}
{%- endmacro %}
