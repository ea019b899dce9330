"""Gate 4, after scoring: does every customer have one profile, and is each prediction possible and explained?

The tables of `predictions` hold the newest as_of only, so this gate judges that one, whatever days the run
had. Where there is no prediction, the profile and `predictions.models` must say why.
"""

from expectations.suite import FEW_CUSTOMERS, Batch, between, holds, one_of, present, query, unique
from goodstanding.core.vocabulary import CLASSES

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
        sql=query("predictions_profiles"),
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
            between(
                "class_next_quarter_probability",
                0.25,
                1,
                "the likeliest of four classes has 0.25 or more",
            ),
            between("expected_orders_90d", 0, 91, "orders are counted by the day"),
            between("expected_spend_90d", 0, None),
            holds(
                "next_order_is_within_its_interval",
                "a day lies within its interval, which is after as_of",
            ),
            holds("longer_is_likelier", "a purchase is at least as likely in more days"),
            holds("is_explained", "a profile without a probability says why in prediction_note"),
            holds("model_is_named", "a probability comes with the model that gave it"),
            holds("prediction_agrees", "the profile shows the customer's prediction of that as_of"),
        ],
    ),
    Batch(
        name="predictions",
        sql=query("predictions_standing"),
        key=("as_of",),
        not_judged={"mean_probability": FEW_CUSTOMERS},
        expectations=[
            holds("profiles_are_there", "where there are predictions there are profiles"),
            between("profile_days", 1, 1, "all profiles are of one as_of"),
            holds("predictions_are_newest", "all predictions are of the profiles' as_of"),
            holds("customers_are_predicted", "one prediction per customer with features"),
            between("mean_probability", 0.02, 0.98, "the mean probability is between 2 % and 98 %"),
        ],
    ),
    Batch(
        name="models",
        sql=query("predictions_models"),
        key=("as_of", "question"),
        expectations=[
            unique(["as_of", "question"], "one row per question"),
            holds("is_newest", "the models are those of the predictions"),
            holds("is_explained", "a question has a model, or a note why none answers it"),
            holds("knew_no_later_day", "the model was trained on days up to as_of"),
            holds("is_within_its_limits", "the customers resemble those that the model was trained on"),
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
            holds("model_agrees", "the scorecard is that of the model in use"),
            holds("card_agrees", "the card names its own model and decision"),
        ],
    ),
    Batch(
        name="drift of the models",
        sql=DRIFT,
        key=("question", "kind", "name"),
        expectations=[
            unique(["question", "kind", "name"], "one figure per question, kind and name"),
            between("value", 0, None),
            holds("verdict_agrees", "is_within says whether the value is within its limit"),
        ],
    ),
)
