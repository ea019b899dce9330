-- Notices about lines of an invoice in another currency, and about lines that stand in two files of a day.

{% if has_currency %}
insert into staged_notices
with

order_lines as (
    select
        *,
        -- of a line that lacks its customer: of whomever the number is
        case
            when customer_id is null then bool_or(reason is null) over (partition by event_day, invoice_no)
            else bool_or(reason is null) over (partition by event_day, invoice_no, customer_id)
        end as has_accepted
    from read_order_lines
    where event_day between {{ first }} and {{ last }}
),

final as (
    select
        event_day,
        file_name,
        'two_currencies' as topic,
        count(*) as lines,
        file_name || ':' || min(line_number) as example,
        'lines in another currency than the other lines of their invoice: set aside, the others taken in' as message
    from order_lines
    where has_accepted and starts_with(reason, {{ other_currency }})
    group by event_day, file_name
)

select * from final;

{% endif %}
insert into staged_notices
with

days_of_files as (
    select event_day
    from read_order_lines
    where reason is null and event_day between {{ first }} and {{ last }}
    group by event_day
    having min(file_name) < max(file_name)
),

order_lines as (
    select
        *,
        min(file_name) over (partition by {{ content }}) as first_file
    from staged_order_lines
    semi join days_of_files using (event_day)
    -- a line without a customer counts nowhere, once or twice
    where reason is null and customer_id is not null
),

final as (
    select
        event_day,
        file_name,
        'equal_lines' as topic,
        count(*) as lines,
        file_name || ':' || min(line_number) as example,
        'lines that another file of the day has too: they count once' as message
    from order_lines
    where file_name > first_file
    group by event_day, file_name
)

select * from final;
