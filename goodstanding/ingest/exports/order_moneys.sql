-- The amount of each line of the exports (`line_amounts`), and of each order what it has beside its lines, such as a
-- discount or shipping (`order_moneys`). `text_lines` has a text for each column.

create or replace temp table line_amounts as
select
    *,
    {{ order_key }} as order_key,
    {{ base }} as base,
    {{ total }} as total
from text_lines;

create or replace temp table order_moneys as
with

{% for money in moneys %}
{{ money.name }}_moneys as (
    select
        file_name,
        order_key,
        '{{ money.name }}' as name,
        {{ money.becomes_line }} as becomes_line,
        {{ money.is_conditional }} as is_conditional,
        coalesce(arg_min({{ money.value }}, line_number), 0) as amount,
        bool_or({{ money.is_wrong }}) as is_wrong
    from line_amounts
    where fault is null and order_key is not null
    group by file_name, order_key
),

{% endfor %}
final as (
    {% for money in moneys %}
    select * from {{ money.name }}_moneys
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select * from final;
