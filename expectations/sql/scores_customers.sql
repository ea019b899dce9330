with

newest as (
    select max(as_of) as as_of from marts.class_borders
    where as_of between $first and $last
),

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
    select * from marts.class_borders
    where as_of = (select as_of from newest)
),

scores as (
    select * from marts.rfm_scores
    -- the days that are judged once more: a view of versions is unfolded for the days that are given as they are
    where as_of = (select as_of from newest) and as_of between $first and $last
),

classes as (
    select * from marts.customer_classes
    where as_of = (select as_of from newest) and as_of between $first and $last
),

final as (
    select
        classes.as_of,
        left(classes.customer_id, 8) as customer,
        classes.customer_id,
        classes.recency,
        classes.frequency,
        classes.monetary::double as monetary,
        classes.r_score,
        classes.f_score,
        classes.m_score,
        classes.credit_score,
        classes.class,
        (
            classes.r_score = 4 - (classes.recency > r.q25)::int - (classes.recency > r.q50)::int
            - (classes.recency > r.q75)::int
        ) is true as r_score_is_right,
        (
            classes.f_score = 1 + (classes.frequency > f.q25)::int + (classes.frequency > f.q50)::int
            + (classes.frequency > f.q75)::int
        ) is true as f_score_is_right,
        (
            classes.m_score = 1 + (classes.monetary::double > m.q25)::int
            + (classes.monetary::double > m.q50)::int + (classes.monetary::double > m.q75)::int
        ) is true as m_score_is_right,
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
)

select * from final
