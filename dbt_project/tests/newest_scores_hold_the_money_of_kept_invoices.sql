-- Conservation: monetary as of the newest day is the net sum of the invoices that are kept.
with

newest as (

    select max(as_of) as as_of from {{ ref('rfm_scores') }}

),

scores as (

    select
        sum(rfm_scores.monetary) as monetary,
        sum(rfm_scores.frequency) as frequency
    from {{ ref('rfm_scores') }} as rfm_scores
    inner join newest
        on rfm_scores.as_of = newest.as_of

),

invoices as (

    select
        sum(net_amount) as monetary,
        count(*) as frequency
    from {{ ref('invoices') }}
    where is_kept

)

select *
from scores
cross join invoices
where
    scores.monetary is distinct from invoices.monetary
    or coalesce(scores.frequency, 0) <> invoices.frequency
