"""Made-up small shops, as unsteady as small shops are, for what the gates say of them.

A shop has slow weekdays, a season, orders of very different size, wholesale orders, guests, returns and a few
lines that cannot be read. Its own tastes are drawn by its seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import duckdb
import numpy as np
import pandas as pd

from expectations.raw_orders import BATCHES
from goodstanding.shops.mapping import Limits
from goodstanding.warehouse.files import intake_schema

FIRST = date(2011, 1, 1)


@dataclass(frozen=True)
class Tastes:
    """What makes a shop this shop; `weekdays` are the factors of its days, shares are of orders or lines."""

    lines_per_order: float
    weekdays: tuple[float, ...]
    guests: float
    returns: float
    wholesale: float
    unreadable: float
    spread_of_prices: float


def drawn_tastes(rng: np.random.Generator) -> Tastes:
    """The tastes of some shop."""
    weekdays = np.ones(7)
    weekdays[rng.integers(7)] = rng.choice([0, 0.3, 0.6])
    return Tastes(
        lines_per_order=float(rng.choice([1.5, 2.5, 4, 8])),
        weekdays=tuple(weekdays),
        guests=float(rng.choice([0, 0.1, 0.3, 0.6])),
        returns=float(rng.choice([0, 0.05, 0.15])),
        wholesale=float(rng.choice([0, 0.01, 0.05])),
        unreadable=float(rng.choice([0, 0.002, 0.01])),
        spread_of_prices=float(rng.choice([0.5, 1, 1.5])),
    )


def small_shop(seed: int, lines_a_day: float, days: int = 372, tastes: Tastes | None = None) -> pd.DataFrame:
    """The lines of a shop, as `raw.order_lines` names their columns, and whether each `is_readable`."""
    rng = np.random.default_rng(seed)
    own = tastes or drawn_tastes(rng)
    prices = np.round(np.exp(rng.normal(2, own.spread_of_prices, 50)), 2) + 0.01
    popularity = rng.dirichlet(np.full(50, 0.3))
    rows: list[tuple[object, ...]] = []
    level = 0.0
    for day in (FIRST + timedelta(n) for n in range(days)):
        level = 0.95 * level + rng.normal(0, 0.1)
        busy = 1.8 if date(2011, 11, 1) < day < date(2011, 12, 22) else 1.0
        orders = lines_a_day / own.lines_per_order * own.weekdays[day.weekday()] * busy
        line_number = 1
        for order in range(rng.poisson(orders * np.exp(level + rng.normal(0, 0.25)))):
            is_big = rng.random() < own.wholesale
            lines = (1 + rng.poisson(rng.gamma(1.0, own.lines_per_order - 1))) * (
                rng.integers(2, 10) if is_big else 1
            )
            is_return = rng.random() < own.returns
            customer = None if rng.random() < own.guests else f"c{rng.integers(300)}"
            for product in rng.choice(50, p=popularity, size=lines):
                line_number += 1
                quantity = (1 + rng.poisson(rng.gamma(0.5, 1))) * (rng.integers(2, 30) if is_big else 1)
                rows.append(
                    (
                        day,
                        line_number,
                        f"{'C' if is_return else ''}{day:%m%d}-{order}",
                        "cancellation" if is_return else "sale",
                        -int(quantity) if is_return else int(quantity),
                        float(prices[product]),
                        customer,
                        rng.random() >= own.unreadable,
                    )
                )
    columns = ["event_day", "line_number", "invoice_no", "invoice_kind", "quantity", "unit_price"]
    return pd.DataFrame(rows, columns=[*columns, "customer_id", "is_readable"])


STEADY = Tastes(
    lines_per_order=2.5,
    weekdays=(1,) * 7,
    guests=0.1,
    returns=0.05,
    wholesale=0,
    unreadable=0,
    spread_of_prices=0.5,
)
BIG = replace(STEADY, lines_per_order=4)


def failures(
    shop: pd.DataFrame, first: date = FIRST, limits: Limits | None = None, rule_column: str = "invoice_no"
) -> set[tuple[date, str]]:
    """The days from `first` on that gate 1 finds unusual, each with the check that says so.

    `rule_column` is the column by which the mapping tells cancellations.
    """
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("attach ':memory:' as intake; use intake")
        connection.execute(intake_schema())
        connection.register("shop", shop)
        place = "'shop' as source, event_day, event_day || '.csv' as file_name, 'hash' as file_hash"
        connection.execute(
            f"""
            insert into raw.order_lines by name
            select {place}, line_number, invoice_no, invoice_kind, 'P' as stock_code, true as is_product,
                quantity, event_day::timestamp as ordered_at, unit_price,
                quantity * unit_price as amount, customer_id
            from shop where is_readable;
            insert into raw.files by name
            select {place}, 1 as bytes, count(*) as lines, count(*) filter (is_readable) as accepted,
                count(*) filter (not is_readable) as rejected, now()::timestamp as loaded_at, 'run' as run_id
            from shop group by all;
            insert into raw.days by name
            select source, event_day, 'v1' as version, true as admitted, 1 as files, lines, accepted,
                rejected, false as simulated, loaded_at, run_id
            from raw.files
            """
        )
        found = set()
        for batch in BATCHES:
            if batch.judge:
                values = {"first": first, "last": date(2100, 1, 1), "rule_column": rule_column}
                frame = connection.execute(
                    batch.sql, {n: v for n, v in values.items() if f"${n}" in batch.sql}
                ).df()
                batch.judge(frame, limits or Limits())
                for check in [expectation.column for expectation in batch.expectations]:
                    unusual = frame.loc[frame[check] == False, "event_day"]  # noqa: E712
                    found |= {(day.date(), check) for day in unusual}
        return found
