{%- set scope = scope_is('order') -%}

with

matches as (

    select * from {{ ref('int_cancellation_matches') }}

),

sale_lines as (

    select * from {{ ref('int_changed_invoice_lines') }}
    where invoice_kind = 'sale'

),

losses as (

    {{ lost_amounts('matches', 'sale_lines') }}

),

-- lines that say the same are one, as of order lines
return_lines as (

    select distinct
        customer_id,
        invoice_no,
        event_day,
        returned_at,
        return_kind,
        cause,
        amount
    from {{ ref('stg_returns') }}

),

returns as (

    {{ with_named_order('return_lines', scope) }}

),

movements as (

    select
        customer_id,
        invoice_no,
        event_day as invoice_day,
        event_day,
        1 as line_count,
        amount as gross_amount,
        0 as cancelled_amount,
        0 as cancelled_products,
        0 as stated_amount,
        0 as gives_back_all,
        0 as return_count
    from sale_lines

    union all

    select
        customer_id,
        invoice_no,
        invoice_day,
        event_day,
        0 as line_count,
        0 as gross_amount,
        lost_amount as cancelled_amount,
        case when is_product then lost_amount else 0 end as cancelled_products,
        0 as stated_amount,
        0 as gives_back_all,
        0 as return_count
    from losses

    union all

    select
        customer_id,
        invoice_no,
        invoice_day,
        event_day,
        0 as line_count,
        0 as gross_amount,
        0 as cancelled_amount,
        0 as cancelled_products,
        coalesce(amount, 0) as stated_amount,
        case when amount is null then 1 else 0 end as gives_back_all,
        1 as return_count
    from returns
    where invoice_day is not null

),

{{ came_back_by_day('movements') }}

select * from final
