"""Gate 4, after scoring: has every customer one profile, and is each prediction possible and honest?

`predictions.purchases` holds the newest as_of only, so this gate judges what stands there, whichever days
the run was about. Without a model there are no predictions, and each profile must say why.
"""

from expectations.suite import ENOUGH, Batch, between, holds, one_of, present, unique

PROFILES = """
select
    profiles.as_of,
    left(profiles.customer_id, 8) as customer,
    profiles.customer_id,
    profiles.class,
    profiles.buy_90d_probability,
    profiles.buy_90d_probability is not null or coalesce(trim(profiles.prediction_note), '') <> ''
        as is_explained,
    (profiles.buy_90d_probability is null) = (profiles.model_id is null) as model_is_named,
    profiles.buy_90d_probability is not distinct from predictions.buy_90d_probability as prediction_agrees
from marts.customer_profiles as profiles
left join predictions.purchases as predictions using (customer_id, as_of)
"""

# One row, or none where there are neither profiles nor predictions yet. A model_id carries the last day that
# its training data knew of: buy_90d-2011-08-31-...
STANDING = f"""
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
        count(distinct model_id) as models,
        max(as_of) as as_of,
        min(as_of) as first_as_of,
        avg(buy_90d_probability) as mean_probability,
        bool_and(
            coalesce(try_cast(regexp_extract(model_id, '\\d{{4}}-\\d{{2}}-\\d{{2}}') as date) <= as_of, false)
        ) as model_knew_no_later_day
    from predictions.purchases
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
)
select
    coalesce(profiles.as_of, predictions.as_of) as as_of,
    as_ofs as profile_days,
    profiles > 0 as profiles_are_there,
    if(is_done and predictions > 0, first_as_of = profiles.as_of and predictions.as_of = profiles.as_of, null)
        as predictions_are_newest,
    if(
        is_done and predictions > 0,
        predictions = features.customers and predictions.customers = features.customers,
        null
    ) as customers_are_predicted,
    if(predictions = 0, null, models) as models,
    model_knew_no_later_day,
    if(predictions >= {ENOUGH}, mean_probability, null) as mean_probability
from profiles, predictions, scoring, features
where profiles > 0 or predictions > 0
"""

BATCHES = (
    Batch(
        name="customer profiles",
        sql=PROFILES,
        key=("as_of", "customer"),
        expectations=[
            unique(["customer_id", "as_of"], "one row per customer"),
            present("customer_id"),
            present("class"),
            one_of("class", ["Worst", "Average", "Good", "Best"]),
            between("buy_90d_probability", 0, 1),
            holds("is_explained", "a profile without a probability says why in prediction_note"),
            holds("model_is_named", "a probability comes with the model that gave it"),
            holds("prediction_agrees", "the profile shows the customer's prediction of that as_of"),
        ],
    ),
    Batch(
        name="predictions",
        sql=STANDING,
        key=("as_of",),
        expectations=[
            holds("profiles_are_there", "where there are predictions there are profiles"),
            between("profile_days", 1, 1, "all profiles are of one as_of"),
            holds("predictions_are_newest", "all predictions are of the profiles' as_of"),
            holds("customers_are_predicted", "one prediction per customer with features"),
            between("models", 1, 1, "all predictions come from one model"),
            holds("model_knew_no_later_day", "the model was trained on days up to as_of"),
            between("mean_probability", 0.02, 0.98, "the mean probability is neither nobody nor everybody"),
        ],
    ),
)
