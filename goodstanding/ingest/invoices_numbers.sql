-- Notices about invoice numbers that come again on another day. `accepted_lines` is of `invoices_customers.sql`.

{% if tells_numbers %}
insert into staged_notices
with

-- of these days what is staged, of other days what is held
days_of_numbers as (
    select distinct
        invoice_no,
        event_day
    from accepted_lines
    where invoice_kind = 'sale'
    union all
    select
        held.invoice_no,
        held.event_day
    from raw.order_lines as held
    semi join accepted_lines using (invoice_no)
    where
        held.source = {{ source }}
        and held.invoice_kind = 'sale'
        and held.event_day not between {{ first }} and {{ last }}
),

numbers as (
    select
        invoice_no,
        min(event_day) as first_day,
        max(event_day) as last_day
    from days_of_numbers
    group by invoice_no
),

final as (
    select
        accepted_lines.event_day,
        accepted_lines.file_name,
        'number_again' as topic,
        count(*) as lines,
        accepted_lines.file_name || ':' || min(accepted_lines.line_number) as example,
        'an invoice number that another day has too: another invoice' as message
    from accepted_lines
    inner join numbers on accepted_lines.invoice_no = numbers.invoice_no
    where
        accepted_lines.invoice_kind = 'sale'
        -- of two days of one run the later tells it, and a day that comes late tells it of a later one
        and (numbers.first_day < accepted_lines.event_day or numbers.last_day > {{ last }})
    group by accepted_lines.event_day, accepted_lines.file_name
)

select * from final;
{% endif %}
