{%- set scope = scope_is('account') -%}

with

payments as (

    select payments.*
    from {{ ref('stg_payments') }} as payments
    where {{ in_scope(scope, 'payments') }}

),

deliveries as (

    select deliveries.*
    from {{ ref('stg_deliveries') }} as deliveries
    where {{ in_scope(scope, 'deliveries') }}

),

returns as (

    select returns.*
    from {{ ref('stg_returns') }} as returns
    where {{ in_scope(scope, 'returns') }}

),

stated as (

    select
        customer_id,
        invoice_no,
        event_day,
        method_kind,
        cast(null as varchar) as return_kind
    from payments
    where invoice_no <> ''
    union all
    select
        customer_id,
        invoice_no,
        event_day,
        case when method_kind = 'on_delivery' then method_kind end as method_kind,
        null as return_kind
    from deliveries
    union all
    select
        customer_id,
        invoice_no,
        event_day,
        null as method_kind,
        return_kind
    from returns

),

of_orders as (

    {{ with_named_order('stated', scope) }}

),

-- the first line that states how an order is paid counts, so that a later one changes nothing as of an earlier day
ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, invoice_no, invoice_day
            order by
                case when method_kind is null then 1 else 0 end,
                event_day,
                case when method_kind = 'on_delivery' then 0 else 1 end,
                method_kind
        ) as place
    from of_orders

),

final as (

    select
        customer_id,
        invoice_no,
        invoice_day,
        max(case when place = 1 then method_kind end) as method_kind,
        min(case when method_kind is not null then event_day end) as method_day,
        min(case when return_kind = 'refusal' then event_day end) as refused_day,
        min(case when return_kind = 'return' then event_day end) as returned_day,
        count(*) as line_count
    from ranked
    group by customer_id, invoice_no, invoice_day

)

select * from final
