{#-
    Which order a line of payments, deliveries or returns names: the customer's latest of that number on or before the day
    of the line. So a number that the shop uses again means the newer order from its day on, and no line ever means an
    order of a later day.
-#}

{#- the rows of `lines` of the scope with the `invoice_day` of the order that they name; null where there was none by then -#}
{% macro with_named_order(lines, scope) -%}
    select
        lines.*,
        named.invoice_day
    from {{ lines }} as lines
    left join (
        select
            orders.customer_id,
            orders.invoice_no,
            orders.invoice_day,
            lead(orders.invoice_day) over (
                partition by orders.customer_id, orders.invoice_no
                order by orders.invoice_day
            ) as next_day
        from {{ ref('int_orders') }} as orders
        where {{ in_scope(scope, 'orders') }}
    ) as named
        on
            lines.customer_id = named.customer_id
            and lines.invoice_no = named.invoice_no
            and lines.event_day >= named.invoice_day
            and (named.next_day is null or lines.event_day < named.next_day)
{%- endmacro %}
