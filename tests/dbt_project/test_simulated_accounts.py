"""The made-up shop from its files to what is known of each customer, held against the files themselves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from bench.true_risks import rank_correlation, read_chances
from goodstanding.core.days import Days
from goodstanding.core.settings import settings
from goodstanding.identity.pseudonyms import pseudonym
from goodstanding.ingest.samples.simulate_accounts import simulate_accounts
from ml.candidate import probabilities
from ml.scorecards.orders import CHARACTERISTICS, COD_REFUSED, read_orders
from ml.scorecards.rivals import SCORECARD
from ml.scorecards.train import methods_on
from pipeline import steps

FIRST, COUNT = date(2011, 1, 3), 75
LAST = FIRST + timedelta(days=COUNT - 1)
KEY = "ef" * 32
KEY_BYTES = bytes.fromhex(KEY)
ORDERED = "{}/true_risks/customers.csv"
# what was told of each instalment last, from the files alone
TOLD = """
select * exclude (filename), customer::bigint as person,
    greatest(date_diff('day', due, coalesce(paid, date '{last}')), 0) as late,
    paid is not null or due < date '{last}' as is_due
from (
    select * from read_csv('{landing}/payments/*.csv', filename = true, types = {{'paid': 'date'}})
    qualify row_number() over (partition by "order", instalment order by filename desc, paid nulls last) = 1
)
"""
EXPECTED = """
with orders as (
    select person, "order", max_by(outstanding, (coalesce(paid, '2000-01-01'), -outstanding)) as outstanding
    from told group by all
)
select
    person,
    count(*)::int as instalments,
    count(*) filter (is_due)::int as instalments_due,
    count(*) filter (is_due and paid is null and late > 0)::int as overdue_instalments,
    avg((late = 0)::int) filter (is_due) as on_time_share,
    max(late) filter (is_due)::int as worst_days_late,
    avg(late) filter (is_due) as mean_days_late,
    (select sum(outstanding) from orders where orders.person = told.person)::double as outstanding,
    any_value(credit_limit)::double as credit_limit
from told group by person order by person
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A quarter of the made-up shop, transformed: landing and home."""
    folder = tmp_path_factory.mktemp("made-up")
    landing, home = folder / "landing", folder / "home"
    simulate_accounts(landing, first=FIRST, days=COUNT, customers=800, seed=5)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "HOME": home,
            "LANDING": landing,
            "SHOP": "simulated",
            "PSEUDONYM_KEY": KEY,
        }.items():
            patch.setenv(f"GOODSTANDING_{name}", str(value))
        settings.cache_clear()
        for step in (steps.ingest, steps.check_raw, steps.transform):
            step(Days(FIRST, LAST), "run")
    settings.cache_clear()
    return landing, home


@pytest.fixture(scope="module")
def standing(shop: tuple[Path, Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The working files, and what the files of the landing say as tables."""
    landing, home = shop
    with duckdb.connect(config={"threads": 1}) as connection:
        for name in ("standing", "intake"):
            connection.execute(f"attach '{home / 'warehouse' / name}.duckdb' as {name} (read_only)")
        connection.execute("create table told as " + TOLD.format(landing=landing, last=LAST))
        people = connection.execute("select distinct customer from read_csv(?)", [ORDERED.format(landing)])
        rows = [
            (int(float(text)), pseudonym(str(int(float(text))), KEY_BYTES)) for (text,) in people.fetchall()
        ]
        connection.execute("create table people (person bigint, customer_id varchar)")
        connection.executemany("insert into people values (?, ?)", rows)
        yield connection


def test_payment_behaviour_is_what_the_files_say(standing: duckdb.DuckDBPyConnection) -> None:
    expected = standing.execute(EXPECTED).df()
    found = standing.execute(
        f"""
        select person, behaviour.* exclude (customer_id, as_of)
        from standing.marts.payment_behaviour as behaviour join people using (customer_id)
        where as_of = '{LAST}' and instalments > 0 order by person
        """
    ).df()
    assert len(expected) > 60 and expected["overdue_instalments"].sum() > 5
    for column in expected:
        assert found[column].astype(float).to_list() == pytest.approx(
            expected[column].astype(float).to_list(), nan_ok=True
        ), column


def test_refusals_and_methods_are_counted_by_order(
    standing: duckdb.DuckDBPyConnection, shop: tuple[Path, Path]
) -> None:
    [(refused, on_delivery, on_account)] = standing.execute(
        f"""
        select sum(refused_orders), sum(orders_on_delivery_6m), sum(orders_on_account_6m)
        from standing.marts.master_data where as_of = '{LAST}'
        """
    ).fetchall()
    landing = shop[0]
    assert [(refused,)] == standing.execute(
        f"""
        select count(distinct "order") from read_csv('{landing}/returns/*.csv') where cause like 'refused%'
        """
    ).fetchall()
    assert [(on_delivery,)] == standing.execute(
        f"""
        select count(distinct "order") from read_csv('{landing}/deliveries/*.csv')
        where method = 'cash on delivery'
        """
    ).fetchall()
    assert [(on_account,)] == standing.execute(
        """select count(distinct "order") from told where method = 'instalments'"""
    ).fetchall()
    assert min(refused, on_delivery, on_account) > 3


def test_an_order_is_judged_by_the_payments_that_master_data_had_told_the_day_before(
    standing: duckdb.DuckDBPyConnection,
) -> None:
    shared = ", ".join(
        name for name, *_ in standing.execute("describe standing.marts.master_data").fetchall()
    )
    standing.execute("use standing")
    differ, same, paying = standing.execute(
        f"""
        with asked as (
            select {shared} from features.order_features
            where orders > 0 and as_of in (select as_of from marts.master_data)
        )
        select
            (select count(*) from (from asked except select {shared} from marts.master_data)),
            (select count(*) from asked),
            (select count(*) from asked where instalments_due > 0)
        """
    ).fetchall()[0]
    standing.execute("use memory")
    assert differ == 0 and same > 10 and paying > 3


def test_a_scorecard_of_refusals_ranks_later_orders_by_their_true_chances(
    standing: duckdb.DuckDBPyConnection, shop: tuple[Path, Path]
) -> None:
    """Learnt from some three hundred orders it knows little, but more than chance."""
    until = LAST - timedelta(days=30)
    standing.execute("use standing")
    learnt, asked = (
        read_orders(standing, COD_REFUSED, since, until)
        for since, until in ((date.min, until), (until, LAST))
    )
    standing.execute("use memory")
    card = methods_on(COD_REFUSED)[SCORECARD].fit(learnt)
    said = probabilities(card, asked, CHARACTERISTICS)
    chances = read_chances(shop[0]).loc[asked.features.index]
    assert set(chances["method"]) == {"cash on delivery"}
    truth = chances["refusal_probability"].to_numpy()
    found = rank_correlation(asked.customers, said, truth, folds=1000)
    assert len(truth) > 100 and found["low"] > 0
