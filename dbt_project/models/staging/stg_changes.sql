with

{% if var('known_before') -%}
-- everything is computed anew; naming more than was known then costs nothing, for nothing comes of it
changes as (

    select
        event_day,
        customer_id,
        stock_code,
        invoice_no,
        invoice_kind
    from {{ source('raw', 'order_lines') }}
    where customer_id is not null

    union all

    select
        event_day,
        customer_id,
        stock_code,
        invoice_no,
        invoice_kind
    from {{ source('raw', 'superseded_order_lines') }}
    where customer_id is not null

    union all

    select
        event_day,
        null as customer_id,
        null as stock_code,
        null as invoice_no,
        null as invoice_kind
    from {{ source('raw', 'day_versions') }}

),
{%- else -%}
changes as (

    select * from {{ source('raw', 'changes') }}

),
{%- endif %}

final as (

    select distinct
        event_day,
        customer_id,
        stock_code,
        invoice_no,
        invoice_kind
    from changes

)

select * from final
