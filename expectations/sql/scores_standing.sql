-- One row, or none where there is nothing to judge: no customer yet, or days so old that their snapshots are
-- no longer kept.
with

newest as (
    select max(as_of) as as_of
    from marts.class_borders
    where as_of between $first and $last
),

newest_admitted as (
    select max(event_day) as event_day
    from intake.raw.days
    where admitted
),

-- the newest day of the run that the marts keep a snapshot of
due as (
    select max(event_day) as as_of
    from intake.raw.days
    where
        admitted
        and event_day between $first and $last
        and (select newest_admitted.event_day from newest_admitted) - event_day < $as_of_days
),

previous as (
    select max(as_of) as as_of
    from marts.class_borders
    where as_of < (select as_of from newest)
),

kept_invoices as (
    select count(*) as invoices
    from marts.invoices
    where is_kept and event_day <= (select due.as_of from due)
),

snapshots as (
    select
        newest.as_of,
        due.as_of as due,
        kept_invoices.invoices > 0 as has_customers
    from newest
    cross join due
    cross join kept_invoices
),

classes as (
    select
        recency,
        frequency,
        monetary,
        r_score,
        f_score,
        m_score,
        credit_score,
        class
    from marts.customer_classes
    -- the days that are judged once more: a view of versions is unfolded for the days that are given as they are
    where as_of = (select as_of from newest) and as_of between $first and $last
),

class_sizes as (
    select
        known.class,
        count(classes.class) as customers
    from (values ('Worst'), ('Average'), ('Good'), ('Best')) as known (class)
    left join classes on known.class = classes.class
    group by known.class
),

shares as (
    select
        max(customers) / sum(customers) as largest,
        min(customers) / sum(customers) as smallest
    from class_sizes
),

scored_values as (
    select
        'recency' as measure,
        recency as measured,
        r_score as score
    from classes
    union all
    select
        'frequency' as measure,
        frequency as measured,
        f_score as score
    from classes
    union all
    select
        'monetary' as measure,
        monetary as measured,
        m_score as score
    from classes
    union all
    select
        'credit score' as measure,
        credit_score as measured,
        -- no two classes begin with the same letter
        ascii(class) as score
    from classes
),

torn_values as (
    select
        measure,
        measured
    from scored_values
    group by measure, measured
    having min(score) <> max(score)
),

scored as (
    select count(*) as customers
    from marts.rfm_scores
    where as_of = (select newest.as_of from newest) and as_of between $first and $last
),

classified_before as (
    select count(*) as customers
    from marts.customer_classes
    where as_of = (select previous.as_of from previous)
),

counts as (
    select
        scored.customers as scored,
        classified_before.customers as customers_before,
        (select count(*) from classes) as customers,
        (select count(*) from torn_values) as torn_ties
    from scored
    cross join classified_before
),

final as (
    select
        coalesce(snapshots.as_of, snapshots.due) as as_of,
        -- where everything was given back there is nobody to classify
        case
            when snapshots.has_customers
                then counts.customers > 0 and (snapshots.due is null or snapshots.as_of >= snapshots.due)
        end as is_there,
        counts.customers = counts.scored as counts_agree,
        counts.torn_ties,
        case when counts.customers >= $enough then shares.largest end as largest_class_share,
        case when counts.customers >= $enough then shares.smallest end as smallest_class_share,
        case when counts.customers_before >= $enough then counts.customers / counts.customers_before end
            as customers_of_previous
    from snapshots
    cross join shares
    cross join counts
    where snapshots.as_of is not null or snapshots.has_customers
)

select * from final
