-- Notices about lines of an invoice in another currency.

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
