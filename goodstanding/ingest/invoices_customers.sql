-- Notices about lines that lack a customer and about numbers of several customers: a row per file, with its first line
-- as the example. `torn_invoices` is of `invoices_whole.sql`.

create or replace temp table accepted_lines as
select
    event_day,
    file_name,
    line_number,
    invoice_no,
    invoice_kind,
    customer_id
from read_order_lines
where reason is null and event_day between {{ first }} and {{ last }};

insert into staged_notices
with

torn_lines as (
    select
        accepted_lines.*,
        case
            when torn_invoices.has_two_customers then 'two_customers'
            when accepted_lines.customer_id is null then 'missing_customer'
        end as topic
    from accepted_lines
    inner join torn_invoices
        on accepted_lines.event_day = torn_invoices.event_day and accepted_lines.invoice_no = torn_invoices.invoice_no
),

messages (topic, message) as (
    values
    {% if tells_customers %}
    (
        'two_customers',
        'an invoice number of several customers on one day: an invoice of each, and lines without a customer stay so'
    ),
    {% endif %}
    (
        'missing_customer',
        {% if carries_over %}
        'lines without a customer got the one whom all other lines of their invoice name'
        {% else %}
        'lines without a customer, whose invoice names one on its other lines: left so, as the mapping says'
        {% endif %}
    )
),

final as (
    select
        torn_lines.event_day,
        torn_lines.file_name,
        torn_lines.topic,
        count(*) as lines,
        torn_lines.file_name || ':' || min(torn_lines.line_number) as example,
        messages.message
    from torn_lines
    inner join messages on torn_lines.topic = messages.topic
    group by torn_lines.event_day, torn_lines.file_name, torn_lines.topic, messages.message
)

select * from final;
