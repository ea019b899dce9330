{#-
    The measures of a customer's payments, deliveries and refusals as of a day, defined once, like those of orders in
    behaviour.sql. The mart payment_behaviour computes them as of the kept days, feat_order_features as of the day before
    each order.
-#}

{#-
    The instalments of the customers and days in `moments`, in the state that was valid then; one row of nulls where there
    is none. How late one is follows from what the shop states, from the day on which all of it was paid or, where something
    is missing, from the days since it was due. Null: it is not due yet, nothing was to be paid, or it is not known. It is
    due once its outcome is known: it was paid, or how late it is is known. What is not known is neither late nor on time.
-#}
{% macro instalments_as_of(moments) -%}
    select
        stated.*,
        stated.is_paid and stated.amount > 0 or stated.days_late is not null as is_due,
        case
            when stated.is_paid or stated.amount <= 0 then false
            when not stated.is_paid then coalesce(stated.days_late > 0, false)
        end as is_overdue
    from (
        select
            moments.customer_id,
            moments.as_of,
            states.invoice_no,
            states.invoice_day,
            states.instalment_no,
            states.valid_from,
            states.recorded_at_utc,
            states.amount,
            states.due_day,
            states.outstanding,
            states.credit_limit,
            states.paid_amount,
            states.paid_amount >= states.amount as is_paid,
            case
                when states.days_late is not null then states.days_late
                when states.settled_day is not null
                    then greatest({{ dbt.datediff('states.due_day', 'states.settled_day', 'day') }}, 0)
                when states.paid_amount < states.amount and states.amount > 0 and states.due_day < moments.as_of
                    then {{ dbt.datediff('states.due_day', 'moments.as_of', 'day') }}
            end as days_late
        from {{ moments }} as moments
        left join {{ ref('int_instalment_states').include(database=false) }} as states
            on
                moments.customer_id = states.customer_id
                and moments.as_of >= states.valid_from
                and (states.valid_until is null or moments.as_of < states.valid_until)
    ) as stated
{%- endmacro %}

{#-
    What is left to pay of each order or account: as its newest lines state it, else what was due less what was paid, never
    below zero; null where neither is known. Of several lines of a day the one recorded last counts, as for instalments.
-#}
{% macro debts_of(instalments) -%}
    select
        customer_id,
        as_of,
        invoice_no,
        invoice_day,
        count(due_day) as instalments,
        case
            when max(case when outstanding is not null then valid_from end) = max(valid_from)
                then {{ latest_of('outstanding', latest_instalment()) }}
            when count(paid_amount) = count(due_day) then greatest(sum(amount - paid_amount), 0)
            else {{ latest_of('outstanding', latest_instalment()) }}
        end as outstanding
    from {{ instalments }}
    group by customer_id, as_of, invoice_no, invoice_day
{%- endmacro %}

{#- the order in which the instalments of a customer were stated; an instalment has one state as of a day, so it is total -#}
{% macro latest_instalment() -%}
    valid_from, coalesce(recorded_at_utc, cast('0001-01-01' as timestamp)), due_day, invoice_no,
    coalesce(invoice_day, cast('0001-01-01' as date)), instalment_no
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
    {%- set latest = latest_instalment() -%}
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
            cast(
                case
                    when count(is_overdue) > 0 or count(due_day) = 0 then count(case when is_overdue then due_day end)
                end as integer
            ) as overdue_instalments,
            count(case when days_late = 0 then due_day end)
            / cast(nullif(count(days_late), 0) as double) as on_time_share,
            cast(max(days_late) as integer) as worst_days_late,
            cast(sum(days_late) as double) / nullif(count(days_late), 0) as mean_days_late,
            cast({{ latest_of('days_late', latest) }} as integer) as last_days_late,
            cast(sum(case when is_due then paid_amount end) as double) / nullif(
                cast(greatest(sum(case when is_due and paid_amount is not null then amount end), 0) as double), 0
            ) as paid_share,
            cast({{ latest_of('credit_limit', latest) }} as decimal(28, 4)) as credit_limit
        from {{ instalments }}
        group by customer_id, as_of
    ) as paid
    inner join (
        select
            customer_id,
            as_of,
            -- known where it is known of all; who has no instalment owes nothing
            case
                when sum(instalments) = 0 then 0
                when count(outstanding) = count(*) then sum(outstanding)
            end as outstanding
        from {{ debts }}
        group by customer_id, as_of
    ) as owed
        on paid.customer_id = owed.customer_id and paid.as_of = owed.as_of
    left join {{ accounts }} as accounts
        on paid.customer_id = accounts.customer_id and paid.as_of = accounts.as_of
{%- endmacro %}

{#-
    The columns of payment_behaviour for every customer: counts and debts are 0 where the shop stated nothing, but null where
    it stated instalments and not how they are paid.
-#}
{% macro payments_of_master(payments) -%}
    {% for count in [
        'instalments', 'instalments_due',
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
    case when {{ payments }}.customer_id is null then 0 else {{ payments }}.overdue_instalments end
        as overdue_instalments,
    cast(case when {{ payments }}.customer_id is null then 0 else {{ payments }}.outstanding end as double)
        as outstanding
{%- endmacro %}

{#-
    The lines with `paid_by_then`, what was paid of their instalment by then: of an amount of its own, that of all payments
    told so far. A payment that is told again is no further one; which of its lines is the first decides nothing but the
    day from which it counts, so the id of the line only makes the order total.
-#}
{% macro with_paid_by_then(lines, instalment) -%}
    select
        *,
        case
            when is_one_payment then sum(case when telling = 1 then paid_by_line end) over (
                partition by {{ instalment }} order by event_day
            )
            else paid_by_line
        end as paid_by_then
    from (
        select
            *,
            row_number() over (
                partition by
                    {{ instalment }}, coalesce(recorded_at_utc, paid_day, event_day), paid_day, paid_by_line
                order by event_day, payment_line_id
            ) as telling
        from (
            select
                *,
                -- an amount beats a day: the day alone says that all was paid
                case
                    when paid_amount is not null then paid_amount
                    when paid_day is not null then amount
                    when tells_payment then 0
                end as paid_by_line
            from {{ lines }}
        )
    )
{%- endmacro %}

{#-
    Of several lines of a day about an instalment the one recorded last counts, which is the first in this order; where no
    time settles it, the one by which more is paid, less left, and then the larger of each other value. Lines equal in all
    of these say the same, so the order is total.
-#}
{% macro last_of_a_day() -%}
    recorded_at_utc desc nulls last,
    paid_by_then desc nulls last,
    paid_day desc nulls last,
    outstanding asc nulls last,
    due_day desc,
    amount desc,
    days_late desc nulls last,
    credit_limit desc nulls last
{%- endmacro %}
