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
    coalesce(
        profiles.buy_90d_probability = predictions.buy_90d_probability,
        profiles.buy_90d_probability is null and predictions.buy_90d_probability is null
    ) as prediction_agrees
from marts.customer_profiles as profiles
left join predictions.customers as predictions on profiles.customer_id = predictions.customer_id and profiles.as_of = predictions.as_of
