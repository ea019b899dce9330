{%- do scope_is('passing') -%}

with

order_lines as (

    select * from {{ ref('int_changed_order_lines') }}

),

changes as (

    select * from {{ ref('stg_changes') }}

),

-- the changes name an invoice that has no line any more, too
final as (

    select
        customer_id,
        invoice_no,
        event_day
    from order_lines
    where customer_id is not null

    union distinct

    select
        customer_id,
        invoice_no,
        event_day
    from changes
    where kind = 'order_line'

)

select * from final
