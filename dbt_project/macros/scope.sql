{#-
    A scope: the rows that a run recomputes. It is stated here once, and used by all who have to agree on it: the model
    selects what it needs for these rows, `replaced` deletes them, the tests `keeps` look at them.

    A model names its scope in its first line and asks for it where it reads:

        {%- set scope = scope_is('invoice') -%}
        ...
        where {{ in_scope(scope, 'order_lines') }}

    A model that reads only what another model has narrowed already names its scope and asks for nothing.

      customer, product  rows of a customer, or of a customer and product, with a changed line
      account            rows of a customer whose payments, returns, deliveries or order lines changed: an order that comes
                         late takes over the lines that name its number
      invoice            rows of a changed invoice (int_changed_invoices)
      order              the same where the row calls the day of the invoice `invoice_day`
      cancelled_product  rows of a customer and product that a change reaches on every day (int_changed_products)
      line               lines as far as a change reaches, and lines without customer of a changed day
      scores, features   rows of the as_of days of that purpose (int_as_of_days) that are changed, or not kept any more
      passing            all rows: the model holds only what this run needs
-#}
{% macro _rules_of(scope) -%}
    {#-
        A row is in the scope where, by one of the rules, its `keys` are those of a row of `changes`. The row calls a key as
        `named` says, where it does.
    -#}
    {%- set customer, product, day = 'customer_id', 'stock_code', 'event_day' -%}
    {%- set on_every_day = {
        'changes': 'int_changed_products', 'keys': [customer, product], 'if': 'changes.event_day is null'
    } -%}
    {%- set rules = {
        'customer': [{'changes': 'int_changed_products', 'keys': [customer]}],
        'product': [{'changes': 'int_changed_products', 'keys': [customer, product]}],
        'cancelled_product': [on_every_day],
        'line': [
            on_every_day,
            {'changes': 'int_changed_products', 'keys': [customer, product, day]},
            {'changes': 'stg_changes', 'keys': [day], 'if': "changes.kind = 'day'", 'without': customer},
        ],
        'invoice': [{'changes': 'int_changed_invoices', 'keys': [customer, 'invoice_no', day]}],
        'order': [{'changes': 'int_changed_invoices', 'keys': [customer, 'invoice_no', day], 'named': {day: 'invoice_day'}}],
        'account': [{'changes': 'stg_changes', 'keys': [customer], 'if': "changes.kind <> 'day'"}],
        'scores': [{'changes': 'int_as_of_days', 'purpose': 'scores'}],
        'features': [{'changes': 'int_as_of_days', 'purpose': 'features'}],
        'passing': [],
    } -%}
    {%- if scope not in rules -%}
        {{ exceptions.raise_compiler_error("there is no scope '" ~ scope ~ "'; see macros/scope.sql") }}
    {%- endif -%}
    {{ return(rules[scope]) }}
{%- endmacro %}

{#- the first line of a model: names its scope, and has dbt build what the scope is read from before the model -#}
{% macro scope_is(scope) -%}
    {%- do config(meta={'scope': scope}) -%}
    {%- if not execute -%}
        {%- for rule in _rules_of(scope) -%}{%- do ref(rule.changes) -%}{%- endfor -%}
    {%- endif -%}
    {{ return(scope) }}
{%- endmacro %}

{#- whether a row of the table or alias `row` is in the scope, as a condition -#}
{% macro in_scope(scope, row) -%}
    {%- set conditions = conditions_of(scope, row) -%}
    {{ return(conditions[0] if conditions | length == 1 else '((' ~ conditions | join(') or (') ~ '))') }}
{%- endmacro %}

{#-
    The same as several conditions, of which none or one holds for a row. Where there are lines in millions they are to be
    asked one after the other: joined by `or`, none of them can leave out the parts of a table in which it finds nothing.
-#}
{% macro conditions_of(scope, row) -%}
    {%- set conditions = [] -%}
    {%- for rule in _rules_of(scope) -%}
        {%- if rule.purpose -%}
            {%- do conditions.append(_is_of_a_day_to_replace(row, rule)) -%}
        {%- else -%}
            {%- set without = row ~ '.' ~ rule.without ~ ' is null and ' if rule.without else '' -%}
            {%- do conditions.append(without ~ _has_keys_of_a_change(row, rule)) -%}
        {%- endif -%}
    {%- endfor -%}
    {#- asked last, so that dbt sees every `ref` when it parses, for a build of everything too -#}
    {{ return(['true'] if builds_everything() or not conditions else conditions) }}
{%- endmacro %}

{#- the days as of which a model of the scopes `scores` and `features` computes rows, as a query -#}
{% macro days_in_scope(scope) -%}
    {#- `replaced` counts the customers, to do so many days at once (in_batches); dbt sees these refs when it parses -#}
    {%- if not execute -%}{%- do ref('int_customers') -%}{%- do ref('stg_payments') -%}{%- endif -%}
    select as_of from {{ ref('int_as_of_days') }}
    where {{ changed_days_of(scope) }}
{%- endmacro %}

{#-
    Whether a row of customers and as_of days is of the days in scope, as a condition. The limits are those of a batch
    (in_batches): a view of versions is unfolded for the days that a condition names as they are written, and for all days
    where it takes them from a query.
-#}
{% macro of_days_in_scope(scope, row) -%}
    {{ row }}.as_of between {{ any_day() }}
    and {{ row }}.as_of in ({{ days_in_scope(scope) }})
{%- endmacro %}

{#- the rows that a run wrote, as conditions like those of conditions_of; of days with their first as it is written -#}
{% macro written_rows(scope, row) -%}
    {%- set conditions = conditions_of(scope, row) -%}
    {%- if execute and _rules_of(scope) and _rules_of(scope)[0].purpose and not builds_everything() -%}
        {%- set first_day = run_query(
            "select cast(coalesce(min(as_of), '9999-12-31') as varchar) from " ~ ref('int_as_of_days') ~ " where " ~ changed_days_of(scope)
        ).rows[0][0] -%}
        {{ return([row ~ ".as_of >= cast('" ~ first_day ~ "' as date)"]) }}
    {%- endif -%}
    {{ return(conditions) }}
{%- endmacro %}

{#- the newest kept day as it is written, for the same reason -#}
{% macro newest_day() -%}
    {%- set newest = "select cast(max(as_of) as varchar) from " ~ ref('int_as_of_days') -%}
    cast('{{ (run_query(newest).rows[0][0] if execute) or '0001-01-01' }}' as date)
{%- endmacro %}

{% macro any_day() -%}
    cast('0001-01-01' as date) and cast('9999-12-31' as date)
{%- endmacro %}

{% macro changed_days_of(purpose) -%}
    purpose = '{{ purpose }}' and is_changed
{%- endmacro %}

{#-
    Whether this build recomputes everything, so that there is nothing older to keep. A unit test states what a daily
    run computes, also where it is part of such a build.
-#}
{% macro builds_everything() -%}
    {{ return((flags.FULL_REFRESH and model.resource_type != 'unit_test') or var('known_before') is not none) }}
{%- endmacro %}

{#- every day but those that stay as they are: so a day that is not kept any more goes, too -#}
{% macro _is_of_a_day_to_replace(row, rule) -%}
    {{ row }}.as_of not in (
        select days.as_of from {{ ref(rule.changes) }} as days
        where days.purpose = '{{ rule.purpose }}' and not days.is_changed
    )
{%- endmacro %}

{#-
    `exists`, because several columns `in` a query took 100 times as long. The first column once more by itself, because
    the engine looks into what is stored of a column only for the values of a join by that column alone: 5.2 million lines
    by customer and product took 2.6 times as long without it.
-#}
{% macro _has_keys_of_a_change(row, rule) -%}
    {%- set changes = ref(rule.changes) -%}
    {%- if rule['keys'] | length > 1 -%}
    {{ row }}.{{ rule['keys'][0] }} in (select changes.{{ rule['keys'][0] }} from {{ changes }} as changes)
    and {% endif -%}
    exists (
        select 1 from {{ changes }} as changes
        where
            {{ rule['if'] or 'true' }}
            {%- for key in rule['keys'] %}
            and changes.{{ key }} = {{ row }}.{{ (rule.named or {}).get(key, key) }}
            {%- endfor %}
    )
{%- endmacro %}
