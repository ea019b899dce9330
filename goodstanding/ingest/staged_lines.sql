-- The lines of one kind, typed: the columns of the kind's table and, of a line that cannot be used, its `reason` and
-- `raw_text`. `text_lines` has the mapped columns as text; `file_days`, `customers` and
-- `<column>_forms` are frames.

with

known_customers as (
    select
        text,
        fault,
        case
            when pseudonym is not null
                then struct_pack({{ of_customer }})
        end as customer
    from customers
),

{% if number %}
-- the customers, or two of them, of numbers on lines that lack one
customers_of_numbers as (
    select
        file_days.day,
        {{ number }} as invoice_no,
        min(known_customers.customer) as first_customer,
        max(known_customers.customer) as last_customer
    from text_lines
    inner join file_days on text_lines.file_name = file_days.file_name
    left join known_customers on text_lines.customer_id = known_customers.text
    {{ joined_numbers }}
    where text_lines.fault is null
    group by all
    having count(known_customers.customer) between 1 and count(*) - 1
),

{% endif %}
cast_lines as (
    select
        text_lines.*,
        {% for name, value in texts_and_values %}
        {{ value }} as {{ name }},
        {% endfor %}
        known_customers.customer,
        known_customers.customer.customer as customer_id_value,
        known_customers.customer.pseudonym,
        known_customers.fault as customer_id_fault,
        {{ sort_value }} as {{ sort }}
    from text_lines
    left join known_customers on text_lines.customer_id = known_customers.text
    {{ joined_texts }}
),

instants as (
    select
        {% for name, instant, _ in times %}
        {{ instant }} as {{ name }}_utc_value,
        {% endfor %}
        *
    from cast_lines
),

clocks as (
    select
        {% for name, _, clock in times %}
        {{ clock }} as {{ name }}_value,
        {% endfor %}
        *
    from instants
),

read_lines as (
    select
        *,
        coalesce(fault, {{ unreadable }}) as unreadable
    from clocks
),

placed as (
    select
        read_lines.*,
        cast(file_days.day as date) as file_day,
        {{ event_day }} as event_day,
        file_days.file_hash,
        read_lines.unreadable is not null as is_unreadable
    from read_lines
    inner join file_days on read_lines.file_name = file_days.file_name
),

{% if number %}
owned as (
    select
        placed.*,
        coalesce(placed.customer, customers_of_numbers.first_customer) as owner,
        if(placed.customer is null, customers_of_numbers.last_customer, null) as other_owner
    from placed
    left join customers_of_numbers
        on
            placed.customer is null
            and cast(placed.file_day as varchar) = customers_of_numbers.day
            and placed.invoice_no_value = customers_of_numbers.invoice_no
),
{% else %}
owned as (
    select
        *,
        customer as owner
    from placed
),
{% endif %}

judged as (
    select
        * exclude (unreadable),
        case
            when unreadable is not null then unreadable
            {% for condition, reason in faults %}
            when {{ condition }} then {{ reason }}
            {% endfor %}
        end as reason
    from owned
),

masked_lines as (
    select
        *,
        {% for name, mask in texts_and_masks %}
        hidden({{ name }}_value, owner, {{ mask }}) as {{ name }}_masked,
        {% endfor %}
        -- a line whose values cannot be read may have its columns shifted: where then is the customer?
        case
            when is_unreadable then masked(coalesce(record, {{ record }}))
            when reason is not null then {{ readable }}
        end as raw_text
    from judged
),

final as (
    select
        {{ source }} as source,
        case when reason is null then event_day else file_day end as event_day,
        file_name,
        file_hash,
        line_number,
        {% for name, value in stored %}
        {{ value }} as {{ name }},
        {% endfor %}
        reason,
        raw_text,
        {{ place }} as place
    from masked_lines
)

select * from final
