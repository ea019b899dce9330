-- The customers of the newest day in either version, counted by the class and credit score that each gives them.
with

before_change as (

    select
        customer_id,
        class,
        credit_score
    from before.marts.customer_classes
    where as_of = $as_of

),

after_change as (

    select
        customer_id,
        class,
        credit_score
    from after.marts.customer_classes
    where as_of = $as_of

),

final as (

    select
        before_change.class as from_class,
        after_change.class as to_class,
        before_change.credit_score as from_credit_score,
        after_change.credit_score as to_credit_score,
        count(*) as customers
    from before_change
    full join after_change
        on before_change.customer_id = after_change.customer_id
    group by all

)

select * from final
