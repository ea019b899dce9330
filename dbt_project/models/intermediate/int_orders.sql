{%- do scope_is('order') -%}

with

sale_lines as (

    select * from {{ ref('int_changed_invoice_lines') }}
    where invoice_kind = 'sale'

),

final as (

    select distinct
        customer_id,
        invoice_no,
        event_day as invoice_day
    from sale_lines

)

select * from final
