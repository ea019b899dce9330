with

customer_features as (

    select * from {{ ref('customer_features').include(database=false) }}

),

final as (

    select * from customer_features

)

select * from final
