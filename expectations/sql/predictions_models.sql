-- A model_id carries the last day that its training data knew of: buys_90d-2011-08-31-...
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
),

final as (
    select
        models.as_of,
        models.question,
        coalesce(models.as_of = coalesce(newest.as_of, models.as_of), false) as is_newest,
        models.model_id is not null or coalesce(trim(models.note), '') <> '' as is_explained,
        case
            when models.model_id is not null
                then coalesce(
                    try_cast(regexp_extract(models.model_id, '\d{4}-\d{2}-\d{2}') as date) <= models.as_of
                    and models.data_day <= models.as_of,
                    false
                )
        end as knew_no_later_day,
        case when models.model_id is not null then coalesce(drift.scores = 1 and drift.all_within, false) end
            as is_within_its_limits
    from predictions.models as models
    left join drift on models.as_of = drift.as_of and models.question = drift.question
    cross join newest
)

select * from final
