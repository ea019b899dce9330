-- The lines of the exports with the money of their orders: each its share of what is spread, and behind them lines of
-- what is not. `line_amounts`, `order_sums`, `counted_moneys` and `line_shares` are of the files before.

create or replace temp table text_lines as
with

own_lines as (
    select
        line_amounts.* exclude (order_key, base, total),
        line_amounts.base + coalesce(line_shares.share, 0) as line_money,
        order_sums.order_fault,
        0 as part
    from line_amounts
    left join line_shares
        on
            line_amounts.file_name = line_shares.file_name
            and line_amounts.line_number = line_shares.line_number
    left join order_sums
        on line_amounts.file_name = order_sums.file_name and line_amounts.order_key = order_sums.order_key
),

lines_of_money as (
    select
        line_amounts.* exclude (order_key, base, total) replace (
            {% for column, value in of_money %}
            {{ value }} as {{ column }}{{ "," if not loop.last }}
            {% endfor %}
        ),
        counted_moneys.amount as line_money,
        counted_moneys.order_fault,
        cast(row_number() over (
            partition by counted_moneys.file_name, counted_moneys.order_key
            order by counted_moneys.name
        ) as integer) as part
    from counted_moneys
    inner join line_amounts
        on
            counted_moneys.file_name = line_amounts.file_name
            and counted_moneys.first_line = line_amounts.line_number
    where counted_moneys.is_line
),

all_lines as (
    select * from own_lines
    union all by name
    select * from lines_of_money
),

final as (
    select
        * exclude (line_money, line_total),
        coalesce(cast(line_money as varchar), line_total) as line_total
    from all_lines
)

select * from final;
