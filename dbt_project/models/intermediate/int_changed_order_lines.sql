{%- do scope_is('passing') -%}

with

order_lines as (

    {{ changed_order_lines() }}

),

duplicates as (

    select * from {{ ref('int_duplicate_lines') }}

),

final as (

    select
        order_lines.*,
        duplicates.order_line_id is not null as is_duplicate
    from order_lines
    left join duplicates
        on order_lines.order_line_id = duplicates.order_line_id

)

select * from final
