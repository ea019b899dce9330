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

    select * from {{ source('predictions', 'customers').include(database=false) }}

),

classed as (

    select
        customers.customer_id,
        newest.as_of,
        classes.recency,
        cast(coalesce(classes.frequency, 0) as integer) as frequency,
        cast(coalesce(classes.monetary, 0) as decimal(28, 4)) as monetary,
        classes.r_score,
        classes.f_score,
        classes.m_score,
        classes.credit_score,
        coalesce(classes.class, 'Worst') as class,
        case when classes.class is null then 'no invoice still counts: Worst by rule' end as class_note,
        customers.country,
        customers.first_day as first_order_day,
        customers.last_day as last_order_day
    from customers
    cross join newest
    left join classes
        on customers.customer_id = classes.customer_id and newest.as_of = classes.as_of

),

final as (

    select
        classed.*,
        benefits.benefits,
        predictions.buy_30d_probability,
        predictions.buy_60d_probability,
        predictions.buy_90d_probability,
        predictions.return_60d_probability,
        predictions.class_next_quarter,
        predictions.class_next_quarter_probability,
        predictions.expected_orders_90d,
        predictions.expected_spend_90d,
        predictions.next_order_day,
        predictions.next_order_from,
        predictions.next_order_until,
        predictions.segment,
        predictions.model_id,
        case
            when predictions.model_id is not null then predictions.note
            when classed.credit_score is null then 'no invoice still counts: nothing to predict from'
            else coalesce(predictions.note, 'no model had been trained by this day')
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
