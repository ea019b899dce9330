{%- set scope = scope_is('account') -%}

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
    from payments

),

-- of several lines of a day about one instalment the last one counts
numbered as (

    select
        *,
        row_number() over (
            partition by customer_id, invoice_no, instalment_no, unnumbered_due_day, event_day
            order by file_name desc, line_number desc
        ) as place,
        count(*) over (
            partition by customer_id, invoice_no, instalment_no, unnumbered_due_day, event_day
        ) as line_count
    from keyed

),

final as (

    select
        customer_id,
        invoice_no,
        instalment_no,
        event_day as valid_from,
        lead(event_day) over (
            partition by customer_id, invoice_no, instalment_no, unnumbered_due_day
            order by event_day
        ) as valid_until,
        amount,
        due_day,
        paid_day,
        paid_amount,
        days_late,
        outstanding,
        credit_limit,
        line_count
    from numbered
    where place = 1

)

select * from final
