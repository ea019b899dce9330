with

changes as (

    select * from {{ ref('stg_changes') }}

),

changed_customers as (

    select distinct customer_id from changes
    where customer_id is not null

),

changed_days as (

    select event_day from changes
    where customer_id is null

),

-- the lines are named twice on purpose: as one import used twice, the engine would read all of them first, which
-- took twice as long (0.14 against 0.07 s for a day of the real year)
of_changed_customers as (

    select order_lines.*
    from {{ ref('stg_order_lines') }} as order_lines
    inner join changed_customers
        on order_lines.customer_id = changed_customers.customer_id

),

without_customer as (

    select order_lines.*
    from {{ ref('stg_order_lines') }} as order_lines
    inner join changed_days
        on order_lines.event_day = changed_days.event_day
    where order_lines.customer_id is null

),

final as (

    select
        *,
        -- the first of exact copies within a file stays: line_number is unique in its file
        row_number() over (
            partition by
                file_name, invoice_no, stock_code, description, quantity, ordered_at,
                unit_price, customer_id, country
            order by line_number
        ) > 1 as is_duplicate
    from of_changed_customers

    union all

    select
        *,
        false as is_duplicate
    from without_customer

)

select * from final
