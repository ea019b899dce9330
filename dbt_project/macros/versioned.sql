{#-
    How a model of customers and as_of days is stored where little changes from one day to the next: not a row of every
    customer and day, but a version where the customer's row differs from that of the kept day before. The SQL of the model
    gives rows of days as any other does, and under its name stands a view that unfolds the versions to these rows.

    `<schema>_versions.<model>` has a version per customer and valid_from: it holds for the kept days from then until the day
    before valid_until. That of a version which still holds is 9999-12-31 and not null, by which the engine could leave out
    nothing of the others where it reads a day. `<schema>_versions.<model>_days` has the kept days. What counts
    the days up to as_of, such as recency, is another each day; the model's meta `counts_days` names these columns, and
    stored is the day from which they count.

    A run replaces the days that the scope (macros/scope.sql) says, as `replaced` does: all after the last day that stays as
    it is. The versions are those of a build of everything, whatever runs made them. Delete and insert are one transaction.
-#}
{% materialization versioned, default %}

    {%- set existing = load_cached_relation(this) -%}
    {%- set scope = config.get('meta').scope -%}
    {%- set keeps_rows = existing is not none and not should_full_refresh() -%}
    {%- set versions = this.schema ~ '_versions.' ~ this.identifier -%}

    {%- if keeps_rows and var('check_scope') -%}{%- do require_in_scope(scope, compiled_code) -%}{%- endif -%}
    {%- set listed = in_batches(days_in_scope(scope)) -%}
    {%- call statement('main') -%}
        {%- if keeps_rows -%}
            {{ without_changed_days(versions, scope) }}
        {%- else -%}
            {%- if existing is not none -%}
            drop {{ existing.type }} {{ existing }};
            {% endif -%}
            {{ empty_versions(versions, compiled_code) }}
            create view {{ this }} as ({{ unfolded(versions) }});
        {%- endif -%}
        {%- for query in in_batches(compiled_code) -%}
            {{ with_days(versions, query, listed[loop.index0]) }}
        {%- endfor -%}
    {%- endcall -%}
    {%- do adapter.commit() -%}

    {{ return({'relations': [this.incorporate(type='view')]}) }}

{% endmaterialization %}

{% macro no_end() -%}
    cast('9999-12-31' as date)
{%- endmacro %}

{#- the columns besides customer_id and as_of, each with its value as it is stored -#}
{% macro stored_columns() -%}
    {%- set stored = {} -%}
    {%- for column in model.columns if column not in ('customer_id', 'as_of') -%}
        {%- set day = dbt.dateadd('day', '-' ~ column, 'as_of') -%}
        {%- do stored.update({column: 'cast(' ~ day ~ ' as date)' if column in config.get('meta').counts_days else column}) -%}
    {%- endfor -%}
    {{ return(stored) }}
{%- endmacro %}

{#- the view: names no file, because the published copy has another name -#}
{% macro unfolded(versions) -%}
    select
        {% for column in model.columns -%}
        {%- if column in config.get('meta').counts_days -%}
        cast({{ dbt.datediff('versions.' ~ column, 'days.as_of', 'day') }} as integer) as {{ column }}
        {%- else -%}
        {{ 'days' if column == 'as_of' else 'versions' }}.{{ column }}
        {%- endif -%}{{ ',' if not loop.last }}
        {% endfor -%}
    from {{ versions }}_days as days
    inner join {{ versions }} as versions
        on
            versions.valid_from <= days.as_of
            and versions.valid_until > days.as_of
{%- endmacro %}

{% macro empty_versions(versions, query) -%}
    {{ get_assert_columns_equivalent(query) }}
    create schema if not exists {{ this.schema }}_versions;
    create or replace table {{ versions }}_days (as_of date not null);
    create or replace table {{ versions }} as
    select
        customer_id,
        as_of as valid_from,
        as_of as valid_until
        {%- for column, value in stored_columns().items() %},
        {{ value }} as {{ column }}
        {%- endfor %}
    from ({{ query }}) as of_a_day
    where false;
    alter table {{ versions }} alter column valid_until set not null;
    {% for column in model.columns.values() if column.name != 'as_of' and column.constraints | selectattr('type', 'eq', 'not_null') | list %}
    alter table {{ versions }} alter column {{ column.name }} set not null;
    {% endfor %}
{%- endmacro %}

{#-
    Versions as they were on the last day that stays, without days that are not kept any more: what began on such a day
    begins on the next kept one, what held on such days alone goes, and what stands on both sides of it may be one now.
-#}
{% macro without_changed_days(versions, scope) -%}
    {%- set stays -%}
        select as_of from {{ ref('int_as_of_days') }} where purpose = '{{ scope }}' and not is_changed
    {%- endset -%}
    {%- set last_day -%}
        (select coalesce(max(as_of), cast('0001-01-01' as date)) from ({{ stays }}) as stays)
    {%- endset -%}
    delete from {{ versions }} where valid_from > {{ last_day }};
    update {{ versions }} set valid_until = {{ no_end() }} where valid_until > {{ last_day }};
    create or replace temp table lost_days as
    select as_of from {{ versions }}_days where as_of not in ({{ stays }});
    delete from {{ versions }}_days where as_of in (select as_of from lost_days);
    create or replace temp table pieces as
    select
        versions.* exclude (valid_from, valid_until),
        (select min(days.as_of) from {{ versions }}_days as days where days.as_of >= versions.valid_from) as valid_from,
        coalesce(
            (select min(days.as_of) from {{ versions }}_days as days where days.as_of >= versions.valid_until),
            {{ no_end() }}
        ) as valid_until
    from {{ versions }} as versions
    where customer_id in (
        select customer_id from {{ versions }}
        where valid_from in (select as_of from lost_days) or valid_until in (select as_of from lost_days)
    );
    delete from {{ versions }} where customer_id in (select customer_id from pieces);
    delete from pieces where valid_until = valid_from;
    insert into {{ versions }} by name ({{ folded_pieces() }});
{%- endmacro %}

{#- the versions with those of further days, of which `query` gives the rows and `listed` the days -#}
{% macro with_days(versions, query, listed) -%}
    create or replace temp table new_days as
    select as_of, coalesce(lead(as_of) over (order by as_of), {{ no_end() }}) as next_day from ({{ listed }}) as listed;
    create or replace temp table pieces as
    select * replace ((select min(as_of) from new_days) as valid_until) from {{ versions }}
    where valid_until = {{ no_end() }}
    union all by name
    select
        customer_id,
        as_of as valid_from,
        next_day as valid_until
        {%- for column, value in stored_columns().items() %},
        {{ value }} as {{ column }}
        {%- endfor %}
    from ({{ query }}) as of_a_day
    inner join new_days using (as_of);
    create or replace temp table new_versions as ({{ folded_pieces() }});
    update {{ versions }} as versions set valid_until = new_versions.valid_until
    from new_versions
    where
        versions.customer_id = new_versions.customer_id
        and versions.valid_from = new_versions.valid_from
        and new_versions.valid_until <> {{ no_end() }};
    insert into {{ versions }} by name
    select * from new_versions
    where valid_from >= (select min(as_of) from new_days);
    insert into {{ versions }}_days select as_of from new_days;
    drop table pieces;
    drop table new_versions;
{%- endmacro %}

{#- the temporary table `pieces`, each with the days from valid_from on and before valid_until: equal ones that touch as one -#}
{% macro folded_pieces() -%}
    with

    -- where a piece follows an equal one, neither the end of that nor its own begin is an edge
    edges as (

        select
            coalesce(later.customer_id, earlier.customer_id) as customer_id,
            case when later.customer_id is null then earlier.valid_until else later.valid_from end as edge_day,
            later.customer_id is not null as is_begin
            {%- for column in stored_columns() %},
            later.{{ column }}
            {%- endfor %}
        from pieces as earlier
        full join pieces as later
            on
                earlier.customer_id = later.customer_id
                and earlier.valid_until = later.valid_from
                {%- for column in stored_columns() %}
                and earlier.{{ column }} is not distinct from later.{{ column }}
                {%- endfor %}
        where earlier.customer_id is null or later.customer_id is null

    ),

    -- pieces of a customer do not overlap, so after a begin comes its own end; one ends on the day on which another begins
    ended as (

        select
            * exclude (edge_day),
            edge_day as valid_from,
            lead(edge_day) over (partition by customer_id order by edge_day, is_begin) as valid_until
        from edges

    )

    select * exclude (is_begin) from ended
    where is_begin
{%- endmacro %}
