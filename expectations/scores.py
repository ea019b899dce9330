"""Gate 3, after the transform: do the RFM scores and classes follow from the measures and their borders?

Judged is the newest as_of within the days of the run. The law that equal values get equal scores is held
twice: each score must follow from its border, and values are compared with one another.
"""

from expectations.suite import ENOUGH, Batch, between, holds, one_of, present, unique
from goodstanding.core.vocabulary import CLASSES

NEWEST = """
newest as (
    select max(as_of) as as_of from marts.class_borders where as_of between $first and $last
)
"""

CUSTOMERS = f"""
with
{NEWEST},
borders as (
    select
        measure,
        q25,
        q50,
        q75
    from marts.rfm_borders
    where as_of = (select as_of from newest)
),
class_borders as (
    select * from marts.class_borders where as_of = (select as_of from newest)
),
scores as (
    select * from marts.rfm_scores where as_of = (select as_of from newest)
),
classes as (
    select * from marts.customer_classes where as_of = (select as_of from newest)
)
select
    classes.as_of,
    left(classes.customer_id, 8) as customer,
    classes.customer_id,
    classes.recency,
    classes.frequency,
    cast(classes.monetary as double) as monetary,
    classes.r_score,
    classes.f_score,
    classes.m_score,
    classes.credit_score,
    classes.class,
    (classes.r_score = 4 - (classes.recency > r.q25)::int - (classes.recency > r.q50)::int
        - (classes.recency > r.q75)::int) is true as r_score_is_right,
    (classes.f_score = 1 + (classes.frequency > f.q25)::int + (classes.frequency > f.q50)::int
        + (classes.frequency > f.q75)::int) is true as f_score_is_right,
    (classes.m_score = 1 + (classes.monetary::double > m.q25)::int + (classes.monetary::double > m.q50)::int
        + (classes.monetary::double > m.q75)::int) is true as m_score_is_right,
    (classes.credit_score = classes.r_score + classes.f_score + classes.m_score) is true
        as credit_score_is_right,
    case
        when classes.credit_score <= class_borders.q25 then classes.class = 'Worst'
        when classes.credit_score <= class_borders.q50 then classes.class = 'Average'
        when classes.credit_score <= class_borders.q75 then classes.class = 'Good'
        else classes.class = 'Best'
    end is true as class_is_right,
    (
        (scores.recency, scores.frequency, scores.monetary, scores.r_score, scores.f_score, scores.m_score)
        = (
            classes.recency, classes.frequency, classes.monetary,
            classes.r_score, classes.f_score, classes.m_score
        )
    ) is true as rfm_scores_agree
from classes
left join scores on classes.customer_id = scores.customer_id
left join class_borders on classes.as_of = class_borders.as_of
left join borders as r on r.measure = 'recency'
left join borders as f on f.measure = 'frequency'
left join borders as m on m.measure = 'monetary'
"""

# One row, or none where there is nothing to judge: no customer yet, or days so old that their snapshots are
# no longer kept.
STANDING = f"""
with
{NEWEST},
-- the newest day of the run that the marts keep a snapshot of
due as (
    select max(event_day) as as_of
    from intake.raw.days
    where
        admitted
        and event_day between $first and $last
        and (select max(event_day) from intake.raw.days where admitted) - event_day < $as_of_days
),
state as (
    select
        newest.as_of,
        due.as_of as due,
        (select max(as_of) from marts.class_borders where as_of < newest.as_of) as previous,
        exists (from marts.invoices where is_kept and event_day <= due.as_of) as has_customers
    from newest, due
),
classes as (
    select recency, frequency, monetary, r_score, f_score, m_score, credit_score, class
    from marts.customer_classes
    where as_of = (select as_of from newest)
),
shares as (
    select max(customers) / sum(customers) as largest, min(customers) / sum(customers) as smallest
    from (
        select count(classes.class) as customers
        from (values ('Worst'), ('Average'), ('Good'), ('Best')) as known (class)
        left join classes using (class)
        group by known.class
    )
),
torn as (
    select count(*) as ties
    from (
        select measure, value
        from (
            from (select 'recency' as measure, recency as value, r_score as score from classes)
            union all
            from (select 'frequency', frequency, f_score from classes)
            union all
            from (select 'monetary', monetary, m_score from classes)
            union all
            -- no two classes begin with the same letter
            from (select 'credit score', credit_score, ascii(class) from classes)
        )
        group by measure, value
        having min(score) <> max(score)
    )
),
counts as (
    select
        (select count(*) from classes) as customers,
        (select count(*) from marts.rfm_scores where as_of = (select as_of from newest)) as scored,
        (select count(*) from marts.customer_classes where as_of = (select previous from state))
            as customers_before
)
select
    coalesce(state.as_of, due) as as_of,
    customers > 0 and (due is null or state.as_of >= due) as is_there,
    customers = scored as counts_agree,
    torn.ties as torn_ties,
    if(customers >= {ENOUGH}, shares.largest, null) as largest_class_share,
    if(customers >= {ENOUGH}, shares.smallest, null) as smallest_class_share,
    if(customers_before >= {ENOUGH}, customers / customers_before, null) as customers_of_previous
from state, shares, torn, counts
where state.as_of is not null or has_customers
"""

BATCHES = (
    Batch(
        name="customers",
        sql=CUSTOMERS,
        key=("as_of", "customer"),
        expectations=[
            unique(["customer_id", "as_of"], "one row per customer and as_of"),
            between("recency", 0, None),
            between("frequency", 1, None),
            between("monetary", 0, None, "monetary is above 0", above_low=True),
            one_of("r_score", range(1, 5)),
            one_of("f_score", range(1, 5)),
            one_of("m_score", range(1, 5)),
            one_of("credit_score", range(3, 13)),
            present("class"),
            one_of("class", CLASSES),
            holds("r_score_is_right", "r_score follows from the borders of recency"),
            holds("f_score_is_right", "f_score follows from the borders of frequency"),
            holds("m_score_is_right", "m_score follows from the borders of monetary"),
            holds("credit_score_is_right", "credit_score = r_score + f_score + m_score"),
            holds("class_is_right", "class follows from the borders of credit_score"),
            holds("rfm_scores_agree", "customer_classes repeats what rfm_scores says"),
        ],
    ),
    Batch(
        name="standing",
        sql=STANDING,
        key=("as_of",),
        expectations=[
            holds("is_there", "the days have brought a standing of the customers"),
            holds("counts_agree", "as many customers in customer_classes as in rfm_scores"),
            between("torn_ties", 0, 0, "equal values get equal scores, equal credit scores equal classes"),
            # the real year, from 100 customers on: largest 0.318 to 0.459, smallest 0.116 to 0.183
            between("largest_class_share", None, 0.6, "no class holds more than 60 % of the customers"),
            between("smallest_class_share", 0.02, None, "every class holds at least 2 % of the customers"),
            between("customers_of_previous", 0.9, None, "at most 10 % fewer customers than the as_of before"),
        ],
    ),
)
