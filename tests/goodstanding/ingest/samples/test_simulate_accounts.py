"""The simulated shop with payments, returns and deliveries: its outcomes follow from its true risks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem, WrongUse
from goodstanding.core.settings import Settings
from goodstanding.ingest.landed import days_in_landing
from goodstanding.ingest.load import ingest
from goodstanding.ingest.samples.simulate_accounts import CREDIT_LIMITS, METHODS, simulate_accounts
from goodstanding.shops.kinds import KINDS
from goodstanding.shops.mapping import load_shop
from goodstanding.warehouse.files import open_intake

FIRST, DAYS = date(2011, 1, 2), 150

Query = Callable[..., list[tuple]]


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop of half a year, once for all tests."""
    folder = tmp_path_factory.mktemp("accounts") / "landing"
    simulate_accounts(folder, first=FIRST, days=DAYS, customers=700)
    return folder


@pytest.fixture(scope="module")
def query(landing: Path) -> Query:
    """Query the files directly, without ingest."""
    connection = duckdb.connect(config={"threads": 1})
    for kind in ("payments", "returns", "deliveries"):
        connection.execute(f"create table {kind} as from read_csv('{landing}/{kind}/*.csv', filename = true)")
    for name in ("customers", "orders"):
        connection.execute(f"create table true_{name} as from '{landing}/true_risks/{name}.csv'")
    return lambda sql: connection.execute(sql).fetchall()


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("one", 7), ("again", 7), ("other", 8)):
        simulate_accounts(tmp_path / name, first=FIRST, days=15, customers=40, seed=seed)
    assert contents(tmp_path / "one") == contents(tmp_path / "again")
    assert contents(tmp_path / "one") != contents(tmp_path / "other")


def test_a_landing_with_files_is_left_alone_and_a_closed_shop_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").touch()
    with pytest.raises(DataProblem, match="already holds files"):
        simulate_accounts(tmp_path)
    with pytest.raises(WrongUse, match="does not trade on any of the 1 days"):
        simulate_accounts(tmp_path / "new", first=date(2011, 1, 1), days=1)
    assert not (tmp_path / "new").exists()


def test_ingest_takes_all_of_it_in_as_simulated_and_reads_no_true_risk(landing: Path, tmp_path: Path) -> None:
    current = Settings(home=tmp_path, landing=landing, shop="simulated", _env_file=None)
    days = Days(FIRST, FIRST + timedelta(days=DAYS - 1))
    assert days_in_landing(current, load_shop(current)) == days
    counts = ingest(current, days, "test")
    with open_intake(current) as connection:
        line_counts = {
            kind.name: connection.execute(
                f"select count(*), (select count(*) from raw.rejected_{kind.table}) from raw.{kind.table}"
            ).fetchone()
            for kind in KINDS
        }
        simulated = connection.execute("select bool_and(simulated) from raw.days").fetchone()
        folders = connection.execute(
            "select distinct split_part(file_name, '/', 1) from raw.files order by 1"
        ).fetchall()
    assert all(taken > 100 for taken, _ in line_counts.values())
    assert all(aside == 0 for name, (_, aside) in line_counts.items() if name != "orders")
    assert sum(taken + aside for taken, aside in line_counts.values()) == counts["lines"]
    assert simulated == (True,)
    assert folders == [("deliveries",), ("orders",), ("payments",), ("returns",)]


def test_no_file_reports_a_later_day(query: Query) -> None:
    day = "cast(regexp_extract(filename, '([0-9-]{10}).csv', 1) as date)"
    assert query(f"select count(*) from payments where paid is not null and paid <> {day}") == [(0,)]
    for kind in ("returns", "deliveries"):
        assert query(f'select count(*) from {kind} where cast("at" as date) <> {day}') == [(0,)]


def test_outcomes_are_as_frequent_as_the_true_risks_say(query: Query) -> None:
    """Within four standard errors, also for the risky half alone; other risks would fail both checks."""
    for risky in ("true", "refusal_probability > 0.15"):
        [(orders, expected, variance, refused)] = query(
            f"""
            select count(*), sum(refusal_probability), sum(refusal_probability * (1 - refusal_probability)),
                count(returns."order")
            from true_orders join deliveries using ("order")
            left join (from returns where cause = 'refused at the door') as returns using ("order")
            where true_orders.method = 'cash on delivery' and {risky}
            """
        )
        assert orders > 100 and abs(refused - expected) < 4 * variance**0.5


def test_instalments_are_30_days_late_as_often_as_the_true_risks_say(query: Query) -> None:
    """For orders whose 90 days are over: within four standard errors, also for the riskier half alone."""
    for risky in ("true", "late_30d_probability > 0.06"):
        [(orders, expected, variance, late)] = query(
            f"""
            with told as (
                select
                    cast(regexp_extract(filename, '([0-9-]{{10}}).csv', 1) as date) as told_on, *,
                    min(due - 30 * instalment::integer) over (partition by "order") + 90 as until
                from payments where method = 'instalments'
            ),
            plans as (
                select "order", instalment, any_value(until) as until, any_value(due) as due,
                    max(paid) filter (told_on <= until) as paid
                from told group by all
            ),
            orders as (
                select "order", bool_or(coalesce(paid, until) - due >= 30) as is_late
                from plans group by all having any_value(until) < (select max(told_on) from told)
            )
            select count(*), sum(late_30d_probability),
                sum(late_30d_probability * (1 - late_30d_probability)), count(*) filter (is_late)
            from orders join true_orders using ("order") where {risky}
            """
        )
        assert orders > 40 and abs(late - expected) < 4 * variance**0.5


def test_the_instalments_of_an_order_sum_to_it_exactly_and_the_debt_falls_by_what_is_paid(
    query: Query,
) -> None:
    plans = query(
        """
        select any_value(true_orders.amount), list((instalment, payments.amount, paid, outstanding)
            order by coalesce(paid, date '2000-01-01'), outstanding desc)
        from payments join true_orders using ("order")
        where payments.method = 'instalments' group by "order"
        """
    )
    assert len(plans) > 50
    for amount, lines in plans:
        amounts = {number: Decimal(str(part)) for number, part, _, _ in lines}
        assert sum(amounts.values()) == Decimal(str(amount))
        left = Decimal(str(amount))
        for number, part, paid, outstanding in lines:
            left -= Decimal(str(part)) if paid else 0
            assert Decimal(str(outstanding)) == left and number <= len(amounts)


def test_a_defaulter_pays_no_later_instalment_and_a_refused_order_is_never_paid(
    query: Query,
) -> None:
    assert query(
        """
        select count(*) from payments join returns using ("order") where cause = 'refused at the door'
        """
    ) == [(0,)]
    [(late, ended)] = query(
        """
        with plans as (
            select "order", instalment, max(paid) as paid, any_value(due) as due
            from payments where method = 'instalments' group by all
        )
        select
            count(*) filter (before.paid is null and plans.paid is not null),
            count(*) filter (before.paid is null)
        from plans join plans as before
            on plans."order" = before."order" and plans.instalment = before.instalment + 1
        -- late ones have come by then
        where before.due < (select max(paid) - 80 from plans)
        """
    )
    assert (late, ended > 0) == (0, True)


def test_every_method_and_limit_occurs_and_every_order_has_its_risks(query: Query, landing: Path) -> None:
    assert {method for (method,) in query("select distinct method from true_orders")} == set(METHODS)
    assert {limit for (limit,) in query("select distinct credit_limit from payments")} == set(CREDIT_LIMITS)
    assert query("select count(*) from true_orders anti join true_customers using (customer)") == [(0,)]
    [(orders,)] = query(
        f"""
        select count(distinct InvoiceNo) from read_csv('{landing}/orders/*.csv', ignore_errors = true,
            all_varchar = true) where InvoiceNo not like 'C%'
        """
    )
    assert query("select count(*) from true_orders") == [(orders,)]
