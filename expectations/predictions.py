"""Gate 4, after scoring: has every customer one profile, and is each prediction possible and honest?

The tables of `predictions` hold the newest as_of only, so this gate judges what stands there, whichever days
the run was about. Where there is no prediction, the profile and `predictions.models` must say why.
"""

from expectations.suite import ENOUGH, Batch, between, holds, one_of, present, unique
from goodstanding.core.vocabulary import CLASSES

PROFILES = """
select
    profiles.as_of,
    left(profiles.customer_id, 8) as customer,
    profiles.customer_id,
    profiles.class,
    profiles.buy_30d_probability,
    profiles.buy_60d_probability,
    profiles.buy_90d_probability,
    profiles.return_60d_probability,
    profiles.class_next_quarter,
    profiles.class_next_quarter_probability,
    profiles.expected_orders_90d,
    profiles.expected_spend_90d,
    (profiles.next_order_day is null) = (profiles.next_order_from is null)
    and (profiles.next_order_day is null) = (profiles.next_order_until is null)
    and coalesce(
        profiles.as_of < profiles.next_order_from and profiles.next_order_from <= profiles.next_order_day
        and profiles.next_order_day <= profiles.next_order_until,
        true
    ) as next_order_is_within_its_interval,
    coalesce(profiles.buy_30d_probability <= profiles.buy_60d_probability, true)
    and coalesce(profiles.buy_60d_probability <= profiles.buy_90d_probability, true)
    and coalesce(profiles.buy_30d_probability <= profiles.buy_90d_probability, true) as longer_is_likelier,
    profiles.buy_90d_probability is not null or coalesce(trim(profiles.prediction_note), '') <> ''
        as is_explained,
    (profiles.buy_90d_probability is null) = (profiles.model_id is null) as model_is_named,
    profiles.buy_90d_probability is not distinct from predictions.buy_90d_probability as prediction_agrees
from marts.customer_profiles as profiles
left join predictions.customers as predictions using (customer_id, as_of)
"""

# One row, or none where there are neither profiles nor predictions yet.
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
    if(predictions >= {ENOUGH}, mean_probability, null) as mean_probability
from profiles, predictions, scoring, features
where profiles > 0 or predictions > 0
"""

# A model_id carries the last day that its training data knew of: buys_90d-2011-08-31-...
MODELS = """
with
drift as (
    select
        as_of,
        question,
        count(*) filter (where kind = 'score') as scores,
        bool_and(value <= allowed) as all_within
    from predictions.drift
    group by as_of, question
),
newest as (
    select max(as_of) as as_of from predictions.customers
)
select
    models.as_of,
    models.question,
    models.as_of is not distinct from coalesce(newest.as_of, models.as_of) as is_newest,
    (models.model_id is null) = (coalesce(trim(models.note), '') <> '') as is_explained,
    if(
        models.model_id is null,
        null,
        coalesce(
            try_cast(regexp_extract(models.model_id, '\\d{4}-\\d{2}-\\d{2}') as date) <= models.as_of
            and models.data_day <= models.as_of,
            false
        )
    ) as knew_no_later_day,
    if(models.model_id is null, null, coalesce(drift.scores = 1 and drift.all_within, false))
        as is_within_its_limits
from predictions.models as models
left join drift using (as_of, question)
cross join newest
"""
SCORECARDS = """
select
    scorecards.as_of,
    decision,
    card is not null or coalesce(trim(scorecards.note), '') <> '' as is_explained,
    scorecards.model_id is not distinct from models.model_id as model_agrees,
    coalesce(card ->> 'model_id' = scorecards.model_id and card ->> 'decision' = decision, card is null)
        as card_agrees
from predictions.scorecards
left join predictions.models on decision = question and scorecards.as_of = models.as_of
"""
DRIFT = """
select
    as_of,
    question,
    kind,
    name,
    value,
    is_within = (value <= allowed) as verdict_agrees
from predictions.drift
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
            one_of("class", CLASSES),
            between("buy_30d_probability", 0, 1),
            between("buy_60d_probability", 0, 1),
            between("buy_90d_probability", 0, 1),
            between("return_60d_probability", 0, 1),
            one_of("class_next_quarter", CLASSES),
            between("class_next_quarter_probability", 0.25, 1, "the likeliest of four has a quarter or more"),
            between("expected_orders_90d", 0, 91, "orders are counted by the day"),
            between("expected_spend_90d", 0, None),
            holds("next_order_is_within_its_interval", "a day comes with an interval around it, after as_of"),
            holds("longer_is_likelier", "a purchase is at least as likely in more days"),
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
            between("mean_probability", 0.02, 0.98, "the mean probability is neither nobody nor everybody"),
        ],
    ),
    Batch(
        name="models",
        sql=MODELS,
        key=("as_of", "question"),
        expectations=[
            unique(["as_of", "question"], "one row per question"),
            holds("is_newest", "the models are those of the predictions"),
            holds("is_explained", "a question has a model, or a note why none answers it"),
            holds("knew_no_later_day", "the model was trained on days up to as_of"),
            holds("is_within_its_limits", "the customers are like those that the model learnt from"),
        ],
    ),
    Batch(
        name="scorecards",
        sql=SCORECARDS,
        key=("as_of", "decision"),
        expectations=[
            unique(["as_of", "decision"], "one row per decision"),
            one_of("decision", ["cod", "emi"]),
            holds("is_explained", "a decision has a scorecard, or a note why there is none"),
            holds("model_agrees", "the scorecard is of the model that was let pass"),
            holds("card_agrees", "the card names its own model and decision"),
        ],
    ),
    Batch(
        name="drift of the models",
        sql=DRIFT,
        key=("question", "kind", "name"),
        expectations=[
            unique(["question", "kind", "name"], "one figure of a kind and name"),
            between("value", 0, None),
            holds("verdict_agrees", "what is said to be within its limit is"),
        ],
    ),
)
