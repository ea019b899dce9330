-- One row, or none where there are neither profiles nor predictions yet.
with

profiles as (
    select
        count(distinct as_of) as as_ofs,
        max(as_of) as as_of,
        count(*) as profiles
    from marts.customer_profiles
),

predictions as (
    select
        count(*) as predictions,
        count(distinct customer_id) as customers,
        max(as_of) as as_of,
        min(as_of) as first_as_of,
        avg(buy_90d_probability) as mean_probability
    from predictions.customers
),

-- runs interleave: where another run has rebuilt the marts since the last scoring, its own comes yet
scoring as (
    select
        coalesce(
            max(started_at) filter (where step = 'score')
            >= max(started_at) filter (where step = 'transform'),
            true
        ) as is_done
    from intake.ops.steps
),

features as (
    select count(*) as customers
    from marts.customer_features
    where as_of = (select as_of from predictions)
),

final as (
    select
        coalesce(profiles.as_of, predictions.as_of) as as_of,
        profiles.as_ofs as profile_days,
        profiles.profiles > 0 as profiles_are_there,
        case
            when scoring.is_done and predictions.predictions > 0
                then predictions.first_as_of = profiles.as_of and predictions.as_of = profiles.as_of
        end as predictions_are_newest,
        case
            when scoring.is_done and predictions.predictions > 0
                then predictions.predictions = features.customers and predictions.customers = features.customers
        end as customers_are_predicted,
        case when predictions.predictions >= $enough then predictions.mean_probability end as mean_probability
    from profiles
    cross join predictions
    cross join scoring
    cross join features
    where profiles.profiles > 0 or predictions.predictions > 0
)

select * from final
