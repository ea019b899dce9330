-- Conservation: units that cancellations took back are units that purchases lost.
with

order_lines as (

    select * from {{ ref('order_lines') }}

),

sides as (

    select
        sum(case when invoice_kind = 'sale' then cancelled_quantity else 0 end) as lost,
        sum(case when invoice_kind = 'cancellation' then cancelled_quantity else 0 end) as found
    from order_lines

)

select * from sides
where lost <> found
