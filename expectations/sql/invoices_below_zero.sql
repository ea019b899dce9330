-- One row per invoice of the `asked_days` and of a customer whose quantities are all below zero: does it count as a sale, and would the mapping's
-- rule of cancellations ($rule on $rule_column) match it in another case or without punctuation?
with

lines as (
    select
        event_day,
        customer_id,
        invoice_no,
        invoice_kind,
        quantity,
        file_name || ':' || line_number as place,
        -- null where it is not needed: patterns are slow
        cast(
            case if(invoice_kind = 'sale' and quantity < 0, $rule_column, null)
                when 'invoice_no' then invoice_no
                when 'stock_code' then stock_code
                when 'description' then description
                when 'quantity' then cast(quantity as varchar)
            end as varchar
        ) as ruled
    from marts.order_lines
    where
        invoice_kind in ('sale', 'cancellation') and customer_id is not null
        and event_day in (select event_day from asked_days)
),

final as (
    select
        event_day,
        customer_id,
        invoice_no,
        min(place) as place,
        bool_and(invoice_kind = 'sale') as is_sale,
        bool_and(invoice_kind = 'sale') and coalesce(bool_or(
            regexp_matches(ruled, $rule, 'i')
            or regexp_matches(regexp_replace(ruled, '[^\p{L}\p{N}]', '', 'g'), $rule, 'i')
        ), false) as is_misread
    from lines
    group by event_day, customer_id, invoice_no
    having max(quantity) < 0
)

select * from final
