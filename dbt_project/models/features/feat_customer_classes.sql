with

customer_classes as (

    select * from {{ ref('customer_classes').include(database=false) }}

),

final as (

    select * from customer_classes

)

select * from final
