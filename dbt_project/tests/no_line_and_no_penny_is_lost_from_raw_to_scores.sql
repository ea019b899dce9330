-- Conservation, hop by hop: lines and amounts from raw to order_lines, units from cancellations to purchases,
-- money from lines to invoices, and from kept invoices to the newest scores. A difference means that a change
-- was left out, or that a model lost or doubled rows; the result names the hop.
with

taken_in as (

    select
        count(*) as lines,
        coalesce(sum(amount), 0) as amount
    from {{ ref('stg_order_lines') }}

),

order_lines as (

    select
        count(*) as lines,
        coalesce(sum(amount), 0) as amount,
        coalesce(sum(kept_amount), 0) as kept_amount,
        coalesce(sum(case when invoice_kind = 'sale' then cancelled_quantity end), 0) as lost_units,
        coalesce(sum(case when invoice_kind = 'cancellation' then cancelled_quantity end), 0) as found_units
    from {{ ref('order_lines') }}

),

invoices as (

    select
        coalesce(sum(case when kind = 'sale' then net_amount + returned_amount end), 0) as amount,
        coalesce(sum(case when is_kept then net_amount end), 0) as kept_amount,
        coalesce(sum(case when is_kept then 1 end), 0) as kept_invoices
    from {{ ref('invoices') }}

),

newest_scores as (

    select
        coalesce(sum(monetary), 0) as monetary,
        coalesce(sum(frequency), 0) as frequency
    from {{ ref('rfm_scores') }}
    where as_of = {{ newest_day() }}

),

hops as (

    select
        taken_in.lines = order_lines.lines and taken_in.amount = order_lines.amount as raw_to_order_lines,
        order_lines.lost_units = order_lines.found_units as cancellations_to_purchases,
        order_lines.kept_amount = invoices.amount as order_lines_to_invoices,
        invoices.kept_amount = newest_scores.monetary
        and invoices.kept_invoices = newest_scores.frequency as invoices_to_scores
    from taken_in
    cross join order_lines
    cross join invoices
    cross join newest_scores

),

final as (

    {% for hop in [
        'raw_to_order_lines', 'cancellations_to_purchases', 'order_lines_to_invoices', 'invoices_to_scores'
    ] -%}
    select '{{ hop }}' as broken_rule
    from hops
    where not {{ hop }}
    {% if not loop.last %}
    union all

    {% endif %}
    {%- endfor %}

)

select * from final
