"""A small shop whose nine days are good, in memory: what each test spoils is rolled back after it."""

import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.gate import run_gate
from goodstanding.core.days import Days
from goodstanding.core.errors import GateFailed
from goodstanding.core.settings import Settings
from goodstanding.warehouse.files import STANDING_SCHEMA, intake_schema

DAY = date(2011, 3, 9)
TODAY = Days(DAY, DAY)

Judge = Callable[..., dict[str, Any]]
Stops = Callable[[str, str, str, str], None]

# 120 lines a day: 110 customers who each buy once a day, the more the higher their number, and ten lines
# without customer. On the last day customer 1 takes back one of the two pieces bought that day.
RAW = """
insert into intake.raw.order_lines by name
select
    'shop' as source, day as event_day, day || '.csv' as file_name, 'hash' as file_hash, n + 1 as line_number,
    'I' || strftime(day, '%m%d') || n as invoice_no, 'sale' as invoice_kind, 'P' || n as stock_code,
    true as is_product, 'a thing' as description, n + 1 as quantity,
    day::timestamp + interval 9 hour as ordered_at, ordered_at as ordered_at_utc, 2.5 as unit_price,
    quantity * unit_price as amount, if(n <= 110, sha256('shopper ' || n), null) as customer_id,
    'Utopia' as country
from generate_series(date '2011-03-01', date '2011-03-09', interval 1 day) as days (moment),
    (select moment::date as day), generate_series(1, 120) as numbers (n);
insert into intake.raw.order_lines by name
select * replace (
    122 as line_number, 'CI' as invoice_no, 'cancellation' as invoice_kind, -1 as quantity,
    ordered_at + interval 1 hour as ordered_at, -amount / quantity as amount
)
from intake.raw.order_lines where event_day = '2011-03-09' and line_number = 2;
insert into intake.raw.files
select source, event_day, file_name, 'hash', 1, count(*), count(*), 0, null, now()::timestamp, 'run', null
from intake.raw.order_lines group by all;
insert into intake.raw.days
select source, event_day, 'v1', 'v1', true, 1, lines, accepted, 0, false, now()::timestamp, 'run'
from intake.raw.files;
"""

MARTS = """
create schema marts;
create table marts.order_lines as
select
    file_name || ':' || line_number as order_line_id, source, event_day, file_name, line_number, ordered_at,
    invoice_no, invoice_kind, stock_code, description, quantity, unit_price, line_total, amount, customer_id,
    case
        when customer_id is null then 'no_customer'
        when invoice_kind = 'cancellation' then 'cancellation'
        when event_day = '2011-03-09' and line_number = 2 then 'partly_cancelled'
        else 'kept'
    end as outcome,
    (outcome in ('cancellation', 'partly_cancelled'))::bigint as cancelled_quantity,
    if(cancelled_quantity > 0, 'reach_back', null) as cancellation_rule,
    if(outcome in ('kept', 'partly_cancelled'), quantity - cancelled_quantity, 0) * unit_price as kept_amount
from intake.raw.order_lines;
create table marts.invoices as
select
    customer_id, invoice_no, invoice_kind as kind, event_day, 1::bigint as lines, amount as gross_amount,
    if(kind = 'sale', amount - kept_amount, 0) as cancelled_amount,
    0::decimal(28, 4) as returned_amount,
    gross_amount - cancelled_amount - returned_amount as net_amount,
    kind = 'sale' and net_amount > 0 as is_kept
from marts.order_lines where customer_id is not null;
create schema intermediate;
create table intermediate.int_changed_invoices as
select customer_id, invoice_no, event_day from marts.invoices where false;
create table marts.rfm_scores as
with measures as (
    select customer_id, as_of, (as_of - max(event_day))::integer as recency, count(*)::integer as frequency,
        sum(net_amount)::decimal(28, 4) as monetary
    from marts.invoices, (values (date '2011-03-08'), (date '2011-03-09')) as days (as_of)
    where is_kept and event_day <= as_of group by customer_id, as_of
)
-- everybody bought as lately and as often; what they spent grows with their number, 110 in quarters
select *, 4 as r_score, 1 as f_score,
    1 + (monetary > quantile_cont(monetary::double, 0.25) over (partition by as_of))::integer
    + (monetary > quantile_cont(monetary::double, 0.5) over (partition by as_of))::integer
    + (monetary > quantile_cont(monetary::double, 0.75) over (partition by as_of))::integer as m_score
from measures;
create table marts.rfm_borders as
select as_of, measure, quantile_cont(value, 0.25) as q25, quantile_cont(value, 0.5) as q50,
    quantile_cont(value, 0.75) as q75
from (
    unpivot (select as_of, recency::double as recency, frequency::double as frequency,
        monetary::double as monetary from marts.rfm_scores)
    on recency, frequency, monetary into name measure value value
)
group by all;
create table marts.class_borders as
select as_of, quantile_cont(r_score + f_score + m_score, 0.25) as q25,
    quantile_cont(r_score + f_score + m_score, 0.5) as q50,
    quantile_cont(r_score + f_score + m_score, 0.75) as q75
from marts.rfm_scores group by all;
create table marts.customer_classes as
select scores.*, r_score + f_score + m_score as credit_score,
    case when credit_score <= q25 then 'Worst' when credit_score <= q50 then 'Average'
        when credit_score <= q75 then 'Good' else 'Best' end as class
from marts.rfm_scores as scores join marts.class_borders using (as_of);
create table marts.customer_features as
select customer_id, as_of from marts.rfm_scores where as_of = '2011-03-09';
insert into predictions.customers by name
select customer_id, as_of, buy_90d_probability, buy_90d_probability / 3 as buy_30d_probability,
    buy_90d_probability / 2 as buy_60d_probability, buy_90d_probability / 4 as return_60d_probability,
    'Good' as class_next_quarter, 0.5 as class_next_quarter_probability, 1.5 as expected_orders_90d,
    30.0 as expected_spend_90d, date '2011-03-10' as next_order_from, date '2011-03-20' as next_order_day,
    date '2011-03-30' as next_order_until, 'Lost small buyers' as segment
from (
    select *, 0.25 + 0.005 * row_number() over (order by customer_id) as buy_90d_probability
    from marts.customer_features
);
insert into predictions.models by name
select date '2011-03-09' as as_of, question, format('{}-2011-03-09-rfm_rank-0a1b2c3d', question) as model_id,
    date '2011-03-09' as data_day, 'rfm_rank' as recipe
from (select unnest(['buys_30d', 'buys_60d', 'buys_90d', 'class_next_quarter', 'returns_60d']) as question);
insert into predictions.drift
select as_of, question, kind, name, 0.1, 0.25, true
from predictions.models, (values ('input', 'rfm_rank'), ('score', 'probability')) as _(kind, name);
create view marts.customer_profiles as
select classes.*, predictions.* exclude (customer_id, as_of, model_id, note),
    if(buy_90d_probability is null, null, models.model_id) as model_id,
    if(models.model_id is null, 'no model had been trained by this day', null) as prediction_note
from marts.customer_classes as classes
left join predictions.customers as predictions using (customer_id, as_of)
left join (from predictions.models where question = 'buys_90d') as models using (as_of)
where as_of = '2011-03-09';
"""


def build_good_days() -> duckdb.DuckDBPyConnection:
    """The nine days, taken in, transformed and scored; `memory` stands for the standing file."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("attach ':memory:' as intake")
    connection.execute("use intake")
    connection.execute(intake_schema())
    connection.execute("use memory")
    connection.execute(STANDING_SCHEMA.read_text())
    connection.execute(RAW)
    connection.execute(MARTS)
    return connection


@pytest.fixture(scope="session")
def _good_days() -> Iterator[duckdb.DuckDBPyConnection]:
    with build_good_days() as connection:
        yield connection


@pytest.fixture
def own_warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """The good days for one test alone, which may spoil both databases."""
    with build_good_days() as connection:
        yield connection


@pytest.fixture
def warehouse(_good_days: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The good days; a test may spoil one of the two databases."""
    _good_days.execute("begin")
    yield _good_days
    _good_days.execute("rollback")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, _env_file=None)  # type: ignore[call-arg]


@pytest.fixture
def judge(warehouse: duckdb.DuckDBPyConnection, settings: Settings) -> Judge:
    """Run one gate on the last day, or on other days."""

    def judged(gate: str, days: Days = TODAY, run_id: str = "run 1") -> dict[str, Any]:
        return run_gate(warehouse, gate, days, run_id, settings)

    return judged


def stops_of(warehouse: duckdb.DuckDBPyConnection, settings: Settings) -> Stops:
    """Spoil the good days by SQL and require that the gate stops, with the right words and counts."""

    def stopped(gate: str, spoiling: str, column: str, found: str) -> None:
        warehouse.execute(spoiling)
        with pytest.raises(GateFailed) as stop:
            run_gate(warehouse, gate, TODAY, "run 1", settings)
        message = str(stop.value)
        assert message.startswith(f"gate {gate} stops {DAY}: ")
        assert f" on {column} of the " in message
        assert found in message.partition(f" on {column} of the ")[2]
        stored = (settings.home / "checks" / gate / f"{DAY}.json").read_text()
        assert f'"column": "{column}"' in stored
        for text in (message.replace(str(settings.home), ""), stored):
            assert not re.search(r"[0-9a-f]{9}", text), "more of a pseudonym than its first 8 characters"

    return stopped


@pytest.fixture
def stops(warehouse: duckdb.DuckDBPyConnection, settings: Settings) -> Stops:
    """Spoil the good days by SQL and require that the gate stops, with the right words and counts."""
    return stops_of(warehouse, settings)
