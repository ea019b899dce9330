with

changes as (

    select * from {{ source('raw', 'changes') }}

),

final as (

    select distinct
        event_day,
        customer_id,
        stock_code
    from changes

)

select * from final
