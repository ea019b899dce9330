"""The orders of a small made-up shop, in the tables that the tasks read, counted by plain SQL.

Customers order at random, each at their own rate; some orders are cancelled in full some days later.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import duckdb
import numpy as np
import pandas as pd

from ml.scorecards.orders import CHARACTERISTICS

# customer, day of the order, amount, and the day of its cancellation or None
Order = tuple[str, date, float, date | None]

FIRST_DAY, NEWEST_DAY = date(2010, 12, 1), date(2011, 12, 9)

FEATURES = """
    create or replace table features.customer_features as
    with
    cuts as (
        select distinct least(last_day(day), $newest) as as_of
        from (select unnest(generate_series($first, $newest, interval 1 day))::date as day)
    ),
    orders as (
        select *, as_of - invoice_day as age
        from features.invoice_states, cuts
        where is_kept and valid_from <= as_of and (valid_until is null or valid_until > as_of)
    )
    select
        customer_id, as_of,
        min(age) as recency_days, max(age) as tenure_days, count(*) as frequency, sum(net_amount) as monetary,
        avg(net_amount) as mean_order_value,
        count(*) filter (age < 30) as orders_30d, count(*) filter (age < 90) as orders_90d,
        count(*) filter (age < 180) as orders_180d,
        coalesce(sum(net_amount) filter (age < 30), 0) as spend_30d,
        coalesce(sum(net_amount) filter (age < 90), 0) as spend_90d,
        coalesce(sum(net_amount) filter (age < 180), 0) as spend_180d,
        count(*) + 1 as distinct_products,
        (max(age) - min(age)) / nullif(count(*) - 1, 0) as mean_gap_days,
        0.0 as cancelled_share
    from orders group by customer_id, as_of
"""
CLASSES = """
    create or replace table features.customer_classes as
    select
        customer_id, as_of,
        ['Worst', 'Average', 'Good', 'Best'][
            ntile(4) over (partition by as_of order by monetary, customer_id)
        ] as class,
        ntile(4) over (partition by as_of order by recency_days desc, customer_id)
        + ntile(4) over (partition by as_of order by frequency, customer_id)
        + ntile(4) over (partition by as_of order by monetary, customer_id) as credit_score
    from features.customer_features
"""


def open_shop(customers: int = 440, seed: int = 1, newest: date = NEWEST_DAY) -> duckdb.DuckDBPyConnection:
    """A warehouse in memory with the orders up to a day."""
    generator = np.random.default_rng(seed)
    ids = [f"customer-{number:05d}" for number in range(customers)]
    starts = generator.integers(0, 60, customers)
    rates = generator.gamma(1.0, 1 / 60, customers)
    span = (newest - FIRST_DAY).days
    orders: list[Order] = []
    for name, start, rate in zip(ids, starts, rates, strict=True):
        days = np.unique([start, *generator.uniform(start, span, generator.poisson(rate * span)).astype(int)])
        for offset, amount in zip(days.tolist(), generator.lognormal(3, 1, len(days)), strict=True):
            day = FIRST_DAY + timedelta(days=offset)
            cancelled = day + timedelta(days=12) if len(orders) % 4 == 0 else None
            orders.append((name, day, round(float(amount), 2), cancelled))
    connection = duckdb.connect()
    connection.execute(
        """
        set threads = 2;
        create schema features;
        create table features.invoice_states (
            customer_id varchar, invoice_day date, net_amount decimal(28, 4), is_kept boolean,
            valid_from date, valid_until date, invoice_no varchar, returned_amount decimal(28, 4),
            is_returned boolean generated always as (returned_amount > 0)
        );
        create table features.product_cancellations (
            customer_id varchar, event_day date
        )
        """
    )
    # this log has no baskets to fit a scorecard on; tests of scorecards bring their own
    connection.execute(
        f"""
        create table features.order_features (
            customer_id varchar, invoice_no varchar, invoice_day date, as_of date,
            {", ".join(f"{name} double" for name in CHARACTERISTICS)},
            payment_type varchar, channel varchar, weight double
        );
        create table features.order_accounts (
            customer_id varchar, invoice_no varchar, invoice_day date, method_kind varchar, method_day date,
            refused_day date
        );
        create table features.instalment_states (
            customer_id varchar, invoice_no varchar, invoice_day date, valid_from date, valid_until date,
            due_day date, amount decimal(18, 4), paid_amount decimal(18, 4), settled_day date,
            days_late integer
        )
        """
    )
    add_orders(connection, orders)
    count(connection, newest)
    return connection


def add_orders(connection: duckdb.DuckDBPyConnection, orders: Sequence[Order]) -> None:
    """Add orders. One with a cancellation day counts until then, and gets a line that cancels it."""
    connection.register("orders", pd.DataFrame(orders, columns=["customer", "day", "amount", "cancelled"]))
    connection.execute(
        """
        create or replace temp table added as
        select customer, day::date as day, amount, cancelled::date as cancelled from orders;
        insert into features.invoice_states
        (customer_id, invoice_day, net_amount, is_kept, valid_from, valid_until)
        select customer, day, amount, true, day, cancelled from added
        union all
        select customer, day, 0, false, cancelled, null from added where cancelled is not null;
        insert into features.product_cancellations
        select customer, cancelled from added where cancelled is not null
        """
    )


def count(connection: duckdb.DuckDBPyConnection, newest: date = NEWEST_DAY) -> None:
    """Compute features and classes as of the month ends and the newest day."""
    connection.execute(FEATURES, {"first": FIRST_DAY, "newest": newest})
    connection.execute(CLASSES)
