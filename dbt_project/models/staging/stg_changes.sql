with

changes as (

    select * from {{ source('raw', 'changes') }}

),

final as (

    select distinct
        event_day,
        customer_id
    from changes

)

select * from final
