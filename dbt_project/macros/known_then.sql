{#-
    What was known then: with the var `known_before`, staging shows raw as it was known at the end of the moment before
    that time (UTC), up to the event day `last_day`. Everything else is the same SQL. The marts of such a build are of
    their own kind, so they are never built over others: give dbt a home that holds nothing but a copy of the intake file.
-#}
{% macro known_then(versions) -%}
    {%- set marts = adapter.get_relation(
        database=target.database, schema='marts', identifier='customer_classes'
    ) if execute else none -%}
    {%- if marts -%}
        {{ exceptions.raise_compiler_error(
            "known_before: this working file holds marts already; copy intake.duckdb to <folder>/warehouse/"
            " of an empty folder and set GOODSTANDING_HOME to that folder"
        ) }}
    {%- endif -%}
    {{ versions }}.known_from < cast('{{ var("known_before") }}' as timestamp)
    and ({{ versions }}.known_until is null or {{ versions }}.known_until >= cast('{{ var("known_before") }}' as timestamp))
{%- endmacro %}
