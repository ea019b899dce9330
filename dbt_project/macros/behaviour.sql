{#-
    The measures of a customer's orders as of a day, defined once. The marts compute them for every customer as of the
    kept days, feat_order_features for the customer of each order as of the day before it. So a scorecard scores the
    same measures that it was fitted on.

    An order is a sale invoice, whether or not anything came back. It is cancelled once nothing is left of its amount.
-#}

{#- the orders of the customers and days in `moments`, in the state valid then; one row of nulls where there was none -#}
{% macro orders_as_of(moments) -%}
    select
        moments.customer_id,
        moments.as_of,
        orders.invoice_no,
        orders.invoice_day,
        orders.valid_from,
        orders.lines,
        orders.gross_amount,
        orders.net_amount,
        orders.returned_amount,
        orders.is_kept,
        orders.is_returned,
        not orders.is_kept and orders.net_amount < orders.gross_amount as is_cancelled,
        orders.invoice_day > {{ dbt.dateadd('month', -6, 'moments.as_of') }} as is_of_6m
    from {{ moments }} as moments
    left join {{ ref('int_invoice_states').include(database=false) }} as orders
        on
            moments.customer_id = orders.customer_id
            and moments.as_of >= orders.valid_from
            and (orders.valid_until is null or moments.as_of < orders.valid_until)
{%- endmacro %}

{#- the cancellations by then, also those whose purchase was not found -#}
{% macro cancellations_as_of(moments) -%}
    select
        moments.customer_id,
        moments.as_of,
        count(*) as cancellations,
        sum(cancellations.lines) as cancelled_lines,
        max(cancellations.event_day) as last_day
    from {{ moments }} as moments
    inner join {{ ref('int_product_cancellations').include(database=false) }} as cancellations
        on moments.customer_id = cancellations.customer_id and moments.as_of >= cancellations.event_day
    group by moments.customer_id, moments.as_of
{%- endmacro %}

{#- what came back of an order is never more than it came to, for a discount lowers its amount and not those of its products -#}
{% macro back_of_order(amount, gross_amount) -%}
    greatest(least({{ amount }}, {{ gross_amount }}), 0)
{%- endmacro %}

{#-
    A rate shrunk towards 1/6, as (n + 1/2) / (orders + 3): else one return of a customer's only order would be a rate
    of 1. Whoever has ordered and never had anything has a rate of 0, a value of its own that no other count has: what
    did not happen must not cost a customer points. The counts themselves are columns beside the rate.
-#}
{% macro shrunk_rate(count, orders) -%}
    case when {{ count }} = 0 and count(orders.invoice_no) > 0 then 0e0 else ({{ count }} + 0.5e0) / ({{ orders }} + 3) end
{%- endmacro %}

{#-
    One row per customer and as_of of `orders` (of orders_as_of), with the columns of return_behaviour. Refusals are those
    of `accounts` (of accounts_as_of).
-#}
{% macro return_measures(orders, cancellations, accounts) -%}
    {%- set windows = {'': 'orders.invoice_no', '_6m': 'case when orders.is_of_6m then orders.invoice_no end'} -%}
    {%- set back = 'coalesce(max(cancellations.%s), 0)' -%}
    select
        orders.customer_id,
        orders.as_of,
        {% for window, order in windows.items() -%}
        cast(count({{ order }}) as integer) as orders{{ window }},
        cast(count(case when orders.is_returned then {{ order }} end) as integer) as returned_orders{{ window }},
        cast(count(case when orders.is_cancelled then {{ order }} end) as integer) as cancelled_orders{{ window }},
        {{ shrunk_rate('count(case when orders.is_returned then ' ~ order ~ ' end)', 'count(' ~ order ~ ')') }}
            as return_rate{{ window }},
        {% endfor -%}
        coalesce(
            cast(sum({{ back_of_order('orders.returned_amount', 'orders.gross_amount') }}) as double)
            / nullif(cast(sum(greatest(orders.gross_amount, 0)) as double), 0),
            0
        ) as returned_share,
        cast({{ back % 'cancellations' }} as integer) as cancellations,
        cast({{ back % 'cancelled_lines' }} as integer) as cancelled_lines,
        {{ shrunk_rate(back % 'cancellations', 'count(orders.invoice_no)') }} as cancellation_rate,
        {{ shrunk_rate(back % 'cancelled_lines', 'count(orders.invoice_no)') }} as cancelled_lines_rate,
        cast({{ dbt.datediff('max(cancellations.last_day)', 'orders.as_of', 'day') }} as integer)
            as days_since_cancellation,
        cast(coalesce(max(accounts.refused_orders), 0) as integer) as refused_orders,
        cast(coalesce(max(accounts.refused_orders_6m), 0) as integer) as refused_orders_6m,
        {{ shrunk_rate('coalesce(max(accounts.refused_orders), 0)', 'count(orders.invoice_no)') }} as refusal_rate
    from {{ orders }} as orders
    left join {{ cancellations }} as cancellations
        on orders.customer_id = cancellations.customer_id and orders.as_of = cancellations.as_of
    left join {{ accounts }} as accounts
        on orders.customer_id = accounts.customer_id and orders.as_of = accounts.as_of
    group by orders.customer_id, orders.as_of
{%- endmacro %}

{#- one row per customer and as_of of `orders`, with the columns that master_data adds to return_behaviour -#}
{% macro order_measures(orders) -%}
    {%- set age_days = dbt.datediff('invoice_day', 'as_of', 'day') -%}
    select
        customer_id,
        as_of,
        cast(min(case when is_kept then {{ age_days }} end) as integer) as recency_days,
        cast(max(case when is_kept then {{ age_days }} end) as integer) as tenure_days,
        cast(count(case when is_kept then invoice_no end) as integer) as frequency,
        cast(coalesce(sum(case when is_kept then net_amount end), 0) as double) as monetary,
        cast(coalesce(sum(case when is_kept and is_of_6m then net_amount end), 0) as double) as monetary_6m,
        cast(max({{ age_days }}) - min({{ age_days }}) as double) / nullif(count(invoice_no) - 1, 0) as mean_gap_days,
        cast(sum(lines) as double) / nullif(count(invoice_no), 0) as mean_lines,
        cast(sum(gross_amount) as double) / nullif(count(invoice_no), 0) as mean_basket,
        cast(max(gross_amount) as double) as largest_basket,
        cast({{ latest_of('gross_amount', 'invoice_day, invoice_no') }} as double) as last_basket
    from {{ orders }}
    group by customer_id, as_of
{%- endmacro %}
