with

{% if var('known_before') -%}
every_line as (

    select
        order_lines.*,
        versions.known_from,
        versions.known_until
    from {{ source('raw', 'order_lines') }} as order_lines
    inner join {{ source('raw', 'file_versions') }} as versions
        on
            order_lines.event_day = versions.event_day
            and order_lines.file_name = versions.file_name
            and versions.known_until is null

    union all

    select * from {{ source('raw', 'superseded_order_lines') }}

),

order_lines as (

    select * from every_line
    where {{ known_then('every_line') }}

),
{%- else -%}
order_lines as (

    select * from {{ source('raw', 'order_lines') }}

),
{%- endif %}

admitted_days as (

    select event_day from {{ ref('stg_days') }}

),

final as (

    select
        ---------- ids
        order_lines.file_name || ':' || order_lines.line_number as order_line_id,
        order_lines.invoice_no,
        order_lines.stock_code,
        order_lines.customer_id,

        ---------- where the line stands
        order_lines.source,
        order_lines.file_name,
        order_lines.line_number,

        ---------- what it says
        order_lines.invoice_kind,
        order_lines.description,
        order_lines.is_product,
        order_lines.quantity,
        order_lines.unit_price,
        order_lines.country,

        ---------- time
        order_lines.event_day,
        order_lines.ordered_at
    from order_lines
    inner join admitted_days
        on order_lines.event_day = admitted_days.event_day

)

select * from final
