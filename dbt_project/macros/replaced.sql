{#-
    The one way in which this project writes tables: delete the rows that the changes make untrue, insert what is true
    now. The scope that the model names says which rows these are (macros/scope.sql); a model that names none is replaced
    whole. Delete and insert are one transaction, so a crash leaves the old rows; repeating it gives the same rows.

    dbt's own incremental materialization asks the database for a table's columns four times, compares them, and
    goes through a temporary table: 0.4 s of a daily run. None of it is needed here: a run rebuilds everything,
    contracts checked, as soon as a model, macro or seed is another (pipeline/transform.py), so between
    two such builds the columns cannot differ. Columns are still matched by name.

    In such a build nothing is narrowed to what changed, and a model of the scope `passing` is no table but a view: joining
    every line to the changes took most of the time, and tables of all lines, dropped by the next run, half of the file.
-#}
{% materialization replaced, default %}

    {%- set existing = load_cached_relation(this) -%}
    {%- set scope = config.get('meta', {}).get('scope') -%}
    {%- set is_view = scope == 'passing' and builds_everything() -%}
    {%- set target = this.incorporate(type='view' if is_view else 'table') -%}
    {%- set keeps_rows = existing is not none and scope not in (none, 'passing') and not should_full_refresh() -%}

    {%- if keeps_rows and var('check_scope') -%}{%- do require_in_scope(scope, compiled_code) -%}{%- endif -%}
    {%- set queries = [compiled_code] if is_view else in_batches(compiled_code) -%}
    {%- call statement('main') -%}
        {%- if keeps_rows -%}
            {%- for condition in conditions_of(scope, target.identifier) %}
            delete from {{ target }}
            where {{ condition }};
            {% endfor %}

            {{ inserted(target, queries) }}
        {%- else -%}
            {%- if existing is not none -%}
            drop {{ existing.type }} {{ existing }};

            {% endif -%}
            {%- if is_view -%}
            create view {{ target }} as ({{ compiled_code }});
            {%- else -%}
            {{ create_table_as(false, target, queries[0]) }};

            {{ inserted(target, queries[1:]) }}
            {%- endif -%}
        {%- endif -%}
    {%- endcall -%}
    {%- do adapter.commit() -%}

    {{ return({'relations': [target]}) }}

{% endmaterialization %}

{% macro inserted(target, queries) -%}
    {%- for query in queries %}
    insert into {{ target }} by name (
        {{ query }}
    );
    {% endfor -%}
{%- endmacro %}

{#-
    The query of a model as several that give the same rows together, each of some as_of days: then the memory that it takes
    depends on the rows of a batch, not on customers times days. What reads days_in_scope is computed day by day, so that no
    row depends on another day; the batches name their days where days_in_scope names all of them.
-#}
{% macro in_batches(query) -%}
    {%- for purpose in ['scores', 'features'] if changed_days_of(purpose) in query -%}
        {%- set listed = run_query(
            "select as_of from " ~ ref('int_as_of_days') ~ " where " ~ changed_days_of(purpose) ~ " order by as_of"
        ).columns[0].values() -%}
        {%- set days_at_once = listed | length if listed | length < 2 else [var('batch_rows') // customers_counted(), 1] | max -%}
        {%- set queries = [] -%}
        {%- for days in listed | batch([days_at_once, 1] | max) -%}
            {%- set limits = "cast('" ~ days[0] ~ "' as date) and cast('" ~ days[-1] ~ "' as date)" -%}
            {%- do queries.append(
                query
                | replace(any_day(), limits)
                | replace(changed_days_of(purpose), changed_days_of(purpose) ~ " and as_of between " ~ limits)
            ) -%}
        {%- endfor -%}
        {{ return(queries or [query]) }}
    {%- endfor -%}
    {{ return([query]) }}
{%- endmacro %}

{#- how many rows a day of a model of customers has at most -#}
{% macro customers_counted() -%}
    {%- set counted -%}
        select
            (select count(*) from {{ ref('int_customers') }})
            + (select count(distinct customer_id) from {{ ref('stg_payments') }})
    {%- endset -%}
    {{ return([run_query(counted).rows[0][0], 1] | max) }}
{%- endmacro %}

{#-
    Fail where a model is about to insert rows that `replaced` does not delete, for the next run would insert them again.
    With the var `check_scope`: it computes the model twice, so the tests set it, and an ordinary day does not pay for it.
-#}
{% macro require_in_scope(scope, query) -%}
    {%- set counted -%}
        select
            count(*) as rows,
            count(case when not coalesce({{ in_scope(scope, 'written') }}, false) then 1 end) as rows_outside
        from ({{ query }}) as written
    {%- endset -%}
    {%- set rows, outside = run_query(counted).rows[0].values() -%}
    {%- if outside -%}
        {{ exceptions.raise_compiler_error(
            outside ~ " of the " ~ rows ~ " rows that " ~ this.identifier ~ " writes lie outside of its scope '" ~ scope
            ~ "': narrow what it reads with in_scope or days_in_scope (macros/scope.sql), or name a scope that covers them"
        ) }}
    {%- endif -%}
{%- endmacro %}
