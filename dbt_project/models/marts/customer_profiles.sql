{{ config(materialized='view') }}

{#- names without the database: the published copy of this file has another name -#}
with

customers as (

    select * from {{ ref('int_customers').include(database=false) }}

),

newest as (

    select max(as_of) as as_of from {{ ref('int_as_of_days').include(database=false) }}
    where purpose = 'features'

),

classes as (

    select * from {{ ref('customer_classes').include(database=false) }}

),

benefits as (

    select * from {{ ref('class_benefits').include(database=false) }}

),

predictions as (

    select * from {{ source('predictions', 'purchases').include(database=false) }}

),

classed as (

    select
        customers.customer_id,
        newest.as_of,
        customers.country,
        customers.first_day,
        customers.last_day,
        classes.recency,
        coalesce(classes.frequency, 0) as frequency,
        coalesce(classes.monetary, 0) as monetary,
        classes.r_score,
        classes.f_score,
        classes.m_score,
        classes.credit_score,
        coalesce(classes.class, 'Worst') as class,
        case when classes.class is null then 'no invoice still counts: Worst by rule' end as class_note
    from customers
    cross join newest
    left join classes
        on customers.customer_id = classes.customer_id and newest.as_of = classes.as_of

),

final as (

    select
        classed.customer_id,
        classed.as_of,
        classed.recency,
        cast(classed.frequency as integer) as frequency,
        cast(classed.monetary as decimal(28, 4)) as monetary,
        classed.r_score,
        classed.f_score,
        classed.m_score,
        classed.credit_score,
        classed.class,
        classed.class_note,
        benefits.benefits,
        classed.country,
        classed.first_day as first_order_day,
        classed.last_day as last_order_day,
        predictions.buy_90d_probability,
        predictions.model_id,
        case
            when predictions.customer_id is not null then null
            when classed.credit_score is null then 'no invoice still counts: nothing to predict from'
            else 'no model had been trained by this day'
        end as prediction_note
    from classed
    left join benefits
        on
            classed.class = benefits.class
            and classed.as_of >= benefits.valid_from
            and (benefits.valid_to is null or classed.as_of <= benefits.valid_to)
    left join predictions
        on classed.customer_id = predictions.customer_id and classed.as_of = predictions.as_of

)

select * from final
