-- What each order of the exports sums to, and why it is set aside if that is not its own total. `line_amounts` and
-- `order_moneys` are of `order_moneys.sql`.

create or replace temp table order_sums as
with

line_sums as (
    select
        file_name,
        order_key,
        min(line_number) as first_line,
        sum(base) as base_sum,
        sum(greatest(base, 0)) as weight_sum,
        bool_or(base is null) as lacks_amount,
        -- of cells that differ the first, whichever thread is the fastest
        arg_min(total, line_number) as total
    from line_amounts
    where fault is null and order_key is not null
    group by file_name, order_key
),

money_sums as (
    select
        line_sums.*,
        coalesce(sum(order_moneys.amount) filter (where not order_moneys.is_conditional), 0) as sure_sum,
        coalesce(sum(order_moneys.amount) filter (where order_moneys.is_conditional), 0) as conditional_sum,
        min(order_moneys.name) filter (where order_moneys.is_wrong) as wrong_money
    from line_sums
    left join order_moneys
        on line_sums.file_name = order_moneys.file_name and line_sums.order_key = order_moneys.order_key
    group by all
),

-- taxes beside net prices are money of the order, and those within gross prices are not: its total tells which
needs as (
    select
        *,
        coalesce(
            abs(base_sum + sure_sum + conditional_sum - total) <= 0.01
            -- nearer, for a sum within a cent of the total may lack a cent of tax
            and abs(base_sum + sure_sum + conditional_sum - total) < abs(base_sum + sure_sum - total),
            false
        ) as needs_conditional
    from money_sums
),

summed as (
    select
        *,
        base_sum + sure_sum + if(needs_conditional, conditional_sum, 0) as order_sum
    from needs
),

final as (
    select
        *,
        case
            when wrong_money is not null then 'order_money.' || wrong_money || ': no amount as the mapping writes it'
            when lacks_amount then 'line_total: the amount of a line of the order cannot be read'
            {% if has_total %}
            when total is null then 'order_total: none that can be read'
            when abs(order_sum - total) > 0.01
                then 'order_total: ' || total || ', and the lines of the order sum to ' || order_sum
            {% endif %}
        end as order_fault
    from summed
)

select * from final;
