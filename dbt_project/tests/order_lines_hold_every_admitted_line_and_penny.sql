-- Conservation: what was taken in and admitted is what the mart shows, line for line and penny for penny.
-- A difference means that a change was not taken up, or that a model lost or doubled lines.
with

taken_in as (

    select
        count(*) as lines,
        sum(quantity * unit_price) as amount
    from {{ ref('stg_order_lines') }}

),

shown as (

    select
        count(*) as lines,
        sum(amount) as amount
    from {{ ref('order_lines') }}

)

select *
from taken_in
cross join shown
where
    taken_in.lines <> shown.lines
    or taken_in.amount is distinct from shown.amount
