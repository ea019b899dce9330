{%- set scope = scope_is('account') -%}
{%- set instalment = 'customer_id, invoice_no, invoice_day, instalment_no, unnumbered_due_day' -%}

with

payments as (

    select payments.*
    from {{ ref('stg_payments') }} as payments
    where {{ in_scope(scope, 'payments') }}

),

keyed as (

    select
        *,
        -- instalments without a number are distinguished by the day on which they are due
        case when instalment_no = 0 then due_day end as unnumbered_due_day
    from ({{ with_named_order('payments', scope) }}) as of_orders

),

numbered as (

    select
        *,
        row_number() over (
            partition by {{ instalment }}, event_day
            order by {{ last_of_a_day() }}
        ) as place,
        count(*) over (partition by {{ instalment }}, event_day) as line_count
    from ({{ with_paid_by_then('keyed', instalment) }}) as paid

),

states as (

    select
        *,
        amount > 0 and paid_by_then >= amount as is_paid,
        lead(event_day) over (partition by {{ instalment }} order by event_day) as valid_until
    from numbered
    where place = 1

),

known_before as (

    select
        *,
        min(event_day) over earlier as first_known_day,
        -- when the present state of being paid began, where an earlier line says that it was not
        max(case when not is_paid then valid_until end) over earlier as shown_paid_day
    from states
    window earlier as (partition by {{ instalment }} order by event_day rows unbounded preceding)

),

final as (

    select
        customer_id,
        invoice_no,
        invoice_day,
        instalment_no,
        event_day as valid_from,
        valid_until,
        amount,
        due_day,
        paid_by_then as paid_amount,
        case
            when is_paid then coalesce(
                paid_day, shown_paid_day, case when first_known_day <= due_day then first_known_day end
            )
        end as settled_day,
        -- that nothing is late before it is due says nothing of what comes after
        case when days_late > 0 or event_day >= due_day then days_late end as days_late,
        outstanding,
        credit_limit,
        recorded_at_utc,
        line_count
    from known_before

)

select * from final
