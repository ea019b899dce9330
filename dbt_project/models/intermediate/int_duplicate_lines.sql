{%- do scope_is('line') -%}

{%- set content = 'event_day, invoice_no, stock_code, description, quantity, ordered_at, ordered_at_utc' -%}
{%- set content = content ~ ', unit_price, line_total, customer_id, country' -%}
{%- set content = content ~ ', payment_type, channel, weight' -%}

with

changed as (

    {{ changed_order_lines() }}

),

order_lines as (

    select
        *,
        {{ quick_hash(content) }} as content_hash
    from changed
    where customer_id is not null

),

-- candidates, found by one hash: grouping 10.8 million lines by the columns themselves took 118 s
candidates as (

    select content_hash from order_lines
    group by content_hash
    having count(*) > 1

),

copies as (

    select
        order_line_id,
        customer_id,
        stock_code,
        event_day,
        -- The first of equal lines of a day, in one file or several, is no duplicate: the one that stands first in its file,
        -- so that a file's name decides nothing. A file and its line are unique, so the order is total.
        row_number() over (
            partition by {{ content }}
            order by line_number, file_name
        ) as copy_number
    from order_lines
    where content_hash in (select content_hash from candidates)

),

final as (

    select
        order_line_id,
        customer_id,
        stock_code,
        event_day
    from copies
    where copy_number > 1

)

select * from final
