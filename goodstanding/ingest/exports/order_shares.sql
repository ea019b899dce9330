-- What of the money of an order its lines share, to the smallest unit of the currency (`line_shares`), and which of it
-- becomes lines of its own (`counted_moneys`). `order_moneys` and `order_sums` are of the files of these names.

create or replace temp table counted_moneys as
select
    order_moneys.*,
    order_sums.first_line,
    order_sums.order_fault,
    -- nothing can be spread over lines that are all for nothing
    order_moneys.becomes_line or order_sums.weight_sum = 0 as is_line
from order_moneys
inner join order_sums
    on order_moneys.file_name = order_sums.file_name and order_moneys.order_key = order_sums.order_key
where order_moneys.amount <> 0 and (not order_moneys.is_conditional or order_sums.needs_conditional);

create or replace temp table line_shares as
with

spread_sums as (
    select
        file_name,
        order_key,
        sum(amount) as amount
    from counted_moneys
    where not is_line
    group by file_name, order_key
),

-- in the smallest unit of the currency, or in the smallest that an amount may have
weighed as (
    select
        line_amounts.file_name,
        line_amounts.line_number,
        line_amounts.order_key,
        sign(spread_sums.amount)
        * if(spread_sums.amount = round(spread_sums.amount, {{ decimals }}), {{ unit }}, 0.0001) as unit,
        cast(abs(spread_sums.amount) / abs(unit) as hugeint) as units,
        cast(greatest(line_amounts.base, 0) * 10000 as hugeint) as weight,
        cast(order_sums.weight_sum * 10000 as hugeint) as weight_sum
    from line_amounts
    inner join spread_sums
        on line_amounts.file_name = spread_sums.file_name and line_amounts.order_key = spread_sums.order_key
    inner join order_sums
        on line_amounts.file_name = order_sums.file_name and line_amounts.order_key = order_sums.order_key
    where line_amounts.fault is null
),

-- the largest remainders get a unit more; of equal ones the first lines
ranked as (
    select
        *,
        units * weight // weight_sum as whole_units,
        units - sum(units * weight // weight_sum) over (partition by file_name, order_key) as units_left,
        row_number() over (
            partition by file_name, order_key
            order by units * weight % weight_sum desc, line_number asc
        ) as place_among_remainders
    from weighed
),

final as (
    select
        file_name,
        line_number,
        cast(unit * (whole_units + if(place_among_remainders <= units_left, 1, 0)) as decimal(18, 4)) as share
    from ranked
)

select * from final;
