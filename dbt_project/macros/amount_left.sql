{#-
    What is left of the amount of a purchase of which units are cancelled: in proportion to the units, rounded to 4 decimals,
    half away from zero. `quantity` is above zero. Where the amount is a price times the quantity this is exact.

    In whole numbers, because a division of decimals would go through floating point.
-#}
{% macro amount_left(amount, quantity, cancelled) -%}
    {{ return(adapter.dispatch('amount_left', 'goodstanding')(amount, quantity, cancelled)) }}
{%- endmacro %}

{% macro duckdb__amount_left(amount, quantity, cancelled) -%}
    cast(
        sign({{ amount }}) * cast(
            (
                cast(abs({{ amount }}) * 10000 as hugeint) * ({{ quantity }} - ({{ cancelled }})) * 2 + {{ quantity }}
            ) // (2 * {{ quantity }})
            as decimal(28, 0)
        ) * cast(0.0001 as decimal(5, 4)) as decimal(28, 4)
    )
{%- endmacro %}

{#-
    What the cancellations of each day take of each purchase in `sale_lines`: the difference of what was left before and
    after them, each rounded, so that all days together sum to what is lost in the end.
-#}
{% macro lost_amounts(matches, sale_lines) -%}
    {%- set lines = ['lines.amount', 'lines.quantity'] -%}
    select
        lines.customer_id,
        lines.invoice_no,
        lines.event_day as invoice_day,
        lines.is_product,
        cancelled.event_day,
        {{ amount_left(lines[0], lines[1], 'cancelled.by_then - cancelled.quantity') }}
        - {{ amount_left(lines[0], lines[1], 'cancelled.by_then') }} as lost_amount
    from (
        select
            purchase_line_id,
            event_day,
            cast(sum(quantity) as bigint) as quantity,
            cast(sum(sum(quantity)) over (partition by purchase_line_id order by event_day) as bigint) as by_then
        from {{ matches }}
        group by purchase_line_id, event_day
    ) as cancelled
    inner join {{ sale_lines }} as lines
        on cancelled.purchase_line_id = lines.order_line_id
{%- endmacro %}
