{%- do scope_is('invoice') -%}

with

cancelled_lines as (

    select * from {{ ref('int_changed_invoice_lines') }}
    where is_product and invoice_kind = 'cancellation'

),

final as (

    select
        customer_id,
        invoice_no,
        event_day,
        count(*) as lines
    from cancelled_lines
    group by customer_id, invoice_no, event_day

)

select * from final
