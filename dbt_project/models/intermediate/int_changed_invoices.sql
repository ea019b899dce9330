{%- do scope_is('passing') -%}

with

order_lines as (

    select * from {{ ref('int_changed_order_lines') }}

),

changes as (

    select * from {{ ref('stg_changes') }}

),

-- the changes name an invoice that has no line any more, too
touched as (

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

),

-- Of numbers that lines of returns name, every invoice: such a line is of the latest invoice of that number by then, so a
-- changed line, and an invoice that comes or goes, may move it from one invoice to another; and none of them can be computed
-- without the others, also where a cancellation alone reaches it.
returned_numbers as (

    select
        customer_id,
        invoice_no
    from changes
    where kind = 'account' and invoice_no is not null

    union distinct

    select
        returns.customer_id,
        returns.invoice_no
    from {{ ref('stg_returns') }} as returns
    inner join touched
        on
            returns.customer_id = touched.customer_id
            and returns.invoice_no = touched.invoice_no

),

final as (

    select
        customer_id,
        invoice_no,
        event_day
    from touched

    union distinct

    select
        order_lines.customer_id,
        order_lines.invoice_no,
        order_lines.event_day
    from {{ ref('stg_order_lines') }} as order_lines
    inner join returned_numbers
        on
            order_lines.customer_id = returned_numbers.customer_id
            and order_lines.invoice_no = returned_numbers.invoice_no

)

select * from final
