-- `staged_order_lines` with the customers that lines of an invoice lack, over the typed lines (`read_order_lines`).

create or replace temp view read_order_lines as
from {{ lines }};

-- numbers of a day with lines that lack a customer beside lines that name one, or with several customers
create or replace temp table torn_invoices as
with

read_lines as (
    select
        event_day,
        invoice_no,
        customer_id
    from read_order_lines
    where reason is null
),

final as (
    select
        event_day,
        invoice_no,
        min(customer_id) < max(customer_id) as has_two_customers,
        if(min(customer_id) = max(customer_id), min(customer_id), null) as customer_id
    from read_lines
    group by event_day, invoice_no
    having min(customer_id) < max(customer_id) or count(customer_id) between 1 and count(*) - 1
)

select * from final;

create or replace temp view staged_order_lines as
with

read_lines as (
    select * from read_order_lines
),

{% if carries_over %}
final as (
    select
        read_lines.* exclude (customer_id),
        coalesce(read_lines.customer_id, if(read_lines.reason is null, torn_invoices.customer_id, null)) as customer_id
    from read_lines
    left join torn_invoices
        on read_lines.event_day = torn_invoices.event_day and read_lines.invoice_no = torn_invoices.invoice_no
)
{% else %}
final as (
    select * from read_lines
)
{% endif %}

select * from final;
