{#-
    The measures of a customer's payments, deliveries and refusals as of a day, defined once, like those of orders in
    behaviour.sql. The mart payment_behaviour computes them as of the kept days, feat_order_features as of the day before
    each order.
-#}

{#-
    The instalments of the customers and days in `moments`, in the state that was valid then; one row of nulls where there
    is none. An instalment is due once its outcome is known: it was paid, its day is over, or the shop states how late it is.
-#}
{% macro instalments_as_of(moments) -%}
    select
        moments.customer_id,
        moments.as_of,
        states.invoice_no,
        states.instalment_no,
        states.valid_from,
        states.amount,
        states.due_day,
        states.outstanding,
        states.credit_limit,
        coalesce(states.paid_amount, case when states.paid_day is null then 0 else states.amount end) as paid_amount,
        states.paid_day is not null as is_paid,
        states.paid_day is not null or states.days_late is not null or states.due_day < moments.as_of as is_due,
        case
            when states.days_late is not null then states.days_late
            when states.paid_day is null and states.due_day >= moments.as_of then null
            else greatest(
                {{ dbt.datediff('states.due_day', 'coalesce(states.paid_day, moments.as_of)', 'day') }}, 0
            )
        end as days_late
    from {{ moments }} as moments
    left join {{ ref('int_instalment_states').include(database=false) }} as states
        on
            moments.customer_id = states.customer_id
            and moments.as_of >= states.valid_from
            and (states.valid_until is null or moments.as_of < states.valid_until)
{%- endmacro %}

{#- what was left to pay of each order or account: as the shop stated it last, else what is unpaid of its instalments -#}
{% macro debts_of(instalments) -%}
    select
        customer_id,
        as_of,
        invoice_no,
        coalesce(
            {{ latest_of('outstanding', 'valid_from, due_day, instalment_no') }},
            sum(case when is_paid then 0 else amount - paid_amount end)
        ) as outstanding
    from {{ instalments }}
    group by customer_id, as_of, invoice_no
{%- endmacro %}

{#- of the orders by then: how those of the last six months are paid, and which were refused at the door -#}
{% macro accounts_as_of(moments) -%}
    {%- set six_months_ago = dbt.dateadd('month', -6, 'moments.as_of') -%}
    select
        moments.customer_id,
        moments.as_of,
        {% for kind in ['e_payment', 'auto_billed', 'on_delivery', 'on_account'] -%}
        count(
            case
                when
                    accounts.method_kind = '{{ kind }}'
                    and accounts.method_day <= moments.as_of
                    and accounts.method_day > {{ six_months_ago }}
                    then accounts.invoice_no
            end
        ) as orders_{{ kind }}_6m,
        {% endfor -%}
        count(accounts.method_day) as orders_with_method,
        count(case when accounts.refused_day <= moments.as_of then accounts.invoice_no end) as refused_orders,
        count(
            case
                when accounts.refused_day <= moments.as_of and accounts.refused_day > {{ six_months_ago }}
                    then accounts.invoice_no
            end
        ) as refused_orders_6m
    from {{ moments }} as moments
    inner join {{ ref('int_order_accounts').include(database=false) }} as accounts
        on
            moments.customer_id = accounts.customer_id
            and (accounts.method_day <= moments.as_of or accounts.refused_day <= moments.as_of)
    group by moments.customer_id, moments.as_of
{%- endmacro %}

{#- one row per customer and as_of of `instalments` (of instalments_as_of), with the columns of payment_behaviour -#}
{% macro payment_measures(instalments, debts, accounts) -%}
    {%- set latest = 'valid_from, due_day, invoice_no, instalment_no' -%}
    select
        paid.*,
        cast(owed.outstanding as decimal(28, 4)) as outstanding,
        cast(owed.outstanding as double) / nullif(cast(paid.credit_limit as double), 0) as utilisation,
        {% for kind in ['e_payment', 'auto_billed', 'on_delivery', 'on_account'] -%}
        cast(coalesce(accounts.orders_{{ kind }}_6m, 0) as integer) as orders_{{ kind }}_6m
        {%- if not loop.last %},{% endif %}
        {% endfor -%}
    from (
        select
            customer_id,
            as_of,
            cast(count(due_day) as integer) as instalments,
            cast(count(case when is_due then due_day end) as integer) as instalments_due,
            cast(count(case when is_due and days_late > 0 and not is_paid then due_day end) as integer)
                as overdue_instalments,
            count(case when is_due and days_late = 0 then due_day end)
            / cast(nullif(count(case when is_due then due_day end), 0) as double) as on_time_share,
            cast(max(case when is_due then days_late end) as integer) as worst_days_late,
            cast(sum(case when is_due then days_late end) as double)
            / nullif(count(case when is_due then due_day end), 0) as mean_days_late,
            cast({{ latest_of('case when is_due then days_late end', latest) }} as integer) as last_days_late,
            cast(sum(case when is_due then paid_amount end) as double)
            / nullif(cast(greatest(sum(case when is_due then amount end), 0) as double), 0) as paid_share,
            cast({{ latest_of('credit_limit', latest) }} as decimal(28, 4)) as credit_limit
        from {{ instalments }}
        group by customer_id, as_of
    ) as paid
    inner join (
        select
            customer_id,
            as_of,
            coalesce(sum(outstanding), 0) as outstanding
        from {{ debts }}
        group by customer_id, as_of
    ) as owed
        on paid.customer_id = owed.customer_id and paid.as_of = owed.as_of
    left join {{ accounts }} as accounts
        on paid.customer_id = accounts.customer_id and paid.as_of = accounts.as_of
{%- endmacro %}

{#- the columns of payment_behaviour for every customer: counts and debts are 0 where the shop stated nothing -#}
{% macro payments_of_master(payments) -%}
    {% for count in [
        'instalments', 'instalments_due', 'overdue_instalments',
        'orders_e_payment_6m', 'orders_auto_billed_6m', 'orders_on_delivery_6m', 'orders_on_account_6m'
    ] -%}
    coalesce({{ payments }}.{{ count }}, 0) as {{ count }},
    {% endfor -%}
    {% for measure in [
        'on_time_share', 'worst_days_late', 'mean_days_late', 'last_days_late', 'paid_share', 'utilisation'
    ] -%}
    {{ payments }}.{{ measure }},
    {% endfor -%}
    cast({{ payments }}.credit_limit as double) as credit_limit,
    cast(coalesce({{ payments }}.outstanding, 0) as double) as outstanding
{%- endmacro %}
