-- The lines of one kind, typed: the columns of the kind's table and, of a line that cannot be used, its `reason` and
-- `raw_text`. `text_lines` has the mapped columns as text; `file_days`, `customers` and
-- `<column>_forms` are frames.

with

cast_lines as (
    select
        text_lines.*,
        {% for name, value in texts_and_values %}
        {{ value }} as {{ name }},
        {% endfor %}
        customers.customer as customer_id_value,
        customers.written as customer_written,
        customers.pseudonym,
        customers.fault as customer_id_fault,
        {{ sort_value }} as {{ sort }}
    from text_lines
    left join customers on text_lines.customer_id = customers.text
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

judged as (
    select
        * exclude (unreadable),
        case
            when unreadable is not null then unreadable
            {% for condition, reason in faults %}
            when {{ condition }} then {{ reason }}
            {% endfor %}
        end as reason
    from placed
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
        -- a line whose values cannot be read may have its columns shifted: where then is the customer?
        case
            when is_unreadable then coalesce(shape, masked({{ shape }}))
            when reason is not null then {{ readable }}
        end as raw_text
    from judged
)

select * from final
