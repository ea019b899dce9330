"""The credit card clients as a shop of account statements: no person's figures are lost or changed."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from app.api.groups import approval_rates
from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import POLICY, PROJECT, Settings, settings
from goodstanding.core.vocabulary import STEPS
from goodstanding.identity.pseudonyms import pseudonym
from goodstanding.ingest.groups import read_groups
from goodstanding.ingest.samples.credit_default import MONTHS, main, write_statements
from goodstanding.shops.mapping import load_shop
from pipeline import steps

KEY = "cd" * 32
PEOPLE, SAMPLED = 30_000, 10
# The figures of each person straight from the table: column 6 is April, 1 is September (whose status is 0).
STATUS = [f"PAY_{n}" for n in (0, 2, 3, 4, 5, 6)]
BILLS, PAID = [f"BILL_AMT{n}" for n in range(1, 7)], [f"PAY_AMT{n}" for n in range(1, 7)]
# late, and something of the bill is missing: whoever has paid it is late with nothing
OVERDUE = [
    f"({status} > 0 and {bill} > 0 and {paid} < {bill})::int"
    for status, bill, paid in zip(STATUS, BILLS, PAID, strict=True)
]
EXPECTED = f"""
select
    ID,
    len(list_filter([{", ".join(STATUS)}], lambda status: status <= 0)) / 6 as on_time_share,
    30 * greatest({", ".join(STATUS)}, 0) as worst_days_late,
    5 * list_sum(list_transform([{", ".join(STATUS)}], lambda status: greatest(status, 0))) as mean_days_late,
    30 * greatest(PAY_0, 0) as last_days_late,
    {" + ".join(OVERDUE)} as overdue_instalments,
    BILL_AMT1 as outstanding,
    LIMIT_BAL as credit_limit,
    BILL_AMT1 / LIMIT_BAL as utilisation,
    ({" + ".join(PAID)}) / nullif(greatest({" + ".join(BILLS)}, 0), 0) as paid_share
from people
"""


@pytest.fixture(scope="module")
def people(credit_default: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every tenth person, so that a run takes seconds."""
    path = tmp_path_factory.mktemp("people") / "people.parquet"
    duckdb.execute(f"copy (from '{credit_default}' where ID % {SAMPLED} = 0) to '{path}' (format parquet)")
    return path


def test_everybody_has_six_statements_without_personal_attributes(
    credit_default: Path, tmp_path: Path
) -> None:
    landing = tmp_path / "landing"
    assert write_statements(credit_default, landing) == 6 * PEOPLE
    shop = load_shop(Settings(shop="credit_default", _env_file=None))
    assert shop.orders is None
    assert shop.days_named(landing) == set(MONTHS)
    for day in MONTHS:
        header, *lines = (landing / f"{day}.csv").read_text().splitlines()
        assert header == "ID,STATEMENT,LIMIT_BAL,BILL_AMT,PAY_AMT,DUE,DAYS_LATE"
        assert len(lines) == PEOPLE
    outcomes = (landing / "outcomes.csv").read_text().splitlines()
    assert sum(line.endswith(",1") for line in outcomes) == 6636
    groups = read_groups(Settings(shop="credit_default", landing=landing, pseudonym_key=KEY, _env_file=None))
    # counted in the table itself: SEX is 1 of men
    assert groups.sex.value_counts().to_dict() == {"female": 18112, "male": 11888}
    assert groups.age_band.value_counts().to_dict() == {
        "26 to 40": 17855,
        "41 to 61": 8058,
        "up to 25": 3871,
        "62 and over": 216,
    }


@pytest.fixture(scope="module")
def ran(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home in which the statements of these people are published."""
    folder = tmp_path_factory.mktemp("ran")
    write_statements(people, folder / "landing")
    values = {
        "home": folder / "home",
        "landing": folder / "landing",
        "shop": "credit_default",
        "pseudonym_key": KEY,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(f"GOODSTANDING_{name.upper()}", str(value))
        settings.cache_clear()
        days = Days(min(MONTHS), max(MONTHS))
        counts = steps.ingest(days, "run")
        assert counts["accepted"] == counts["lines"] == 6 * PEOPLE // SAMPLED
        for step in STEPS[1:]:
            getattr(steps, step)(days, "run")
        used = settings()
    settings.cache_clear()
    return used


def test_payment_behaviour_of_each_person_equals_the_table(people: Path, ran: Settings) -> None:
    with duckdb.connect(str(ran.published / "current.duckdb"), read_only=True) as published:
        behaviour = published.execute("from marts.payment_behaviour where as_of = '2005-09-30'").df()
        earlier = published.execute(
            "select as_of, count(*), max(instalments_due) from marts.payment_behaviour group by 1 order by 1"
        ).fetchall()
        orders = published.execute("select count(*) from marts.customer_profiles").fetchall()
    assert earlier == [(day, PEOPLE // SAMPLED, n) for n, day in enumerate(MONTHS, start=1)]
    assert orders == [(0,)]
    with duckdb.connect() as connection:
        connection.execute(f"create table people as from '{people}'")
        expected = connection.execute(EXPECTED).df()
    expected["customer_id"] = [pseudonym(str(person), bytes.fromhex(KEY)) for person in expected.pop("ID")]
    expected = expected.set_index("customer_id").sort_index()
    published_figures = behaviour.set_index("customer_id").sort_index()[expected.columns]
    assert list(published_figures.index) == list(expected.index)
    for column in expected:
        assert published_figures[column].astype(float).to_numpy() == pytest.approx(
            expected[column].astype(float).to_numpy(), nan_ok=True, rel=1e-9
        ), column


def test_a_run_stores_no_group_of_any_person(ran: Settings) -> None:
    assert "26 to 40" in (ran.landing_folder / "groups.csv").read_text()
    assert not list(places_of(ran.home, ("female", "26 to 40", "age_band")))


def test_each_group_is_granted_instalments_as_computed_from_the_table(
    people: Path, ran: Settings, tmp_path: Path
) -> None:
    """With a policy that accepts whoever is not late with the last statement and uses nothing else."""
    with POLICY.open(encoding="utf-8") as file:
        rows = [row | {"version": "in time"} for row in csv.DictReader(file)]
    rows = [row for row in rows if row["decision"] == "cod" or not row["rule"].startswith("points")]
    for row in rows:
        if row["rule"] in ("cap_customer", "cap_loss"):
            row["value"] = "100000000"
    points = {"decision": "emi", "applies_to": "last_days_late", "above": "", "up_to": ""}
    rows += [
        rows[0] | points | {"rule": "points", "up_to": "0", "value": "400"},
        rows[0] | points | {"rule": "points", "above": "0", "value": "0"},
        rows[0] | points | {"rule": "points_missing", "value": "0"},
    ]
    path = tmp_path / "in_time.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    rates = approval_rates(ran, [Decimal("50.00")], str(path))
    assert (rates["asked"], rates["unmatched"]) == (PEOPLE // SAMPLED, 0)
    sexes = duckdb.execute(
        f"select if(SEX = 1, 'male', 'female') as sex, count(*), avg(if(PAY_0 <= 0, 1, 0)) from '{people}' "
        "group by sex order by sex"
    ).fetchall()
    of_sex = [row for row in rates["rows"] if (row["decision"], row["column"]) == ("emi", "sex")]
    assert [(row["value"], row["customers"]) for row in of_sex] == [(sex, count) for sex, count, _ in sexes]
    assert [row["rate"] for row in of_sex] == pytest.approx([rate for *_, rate in sexes])
    (_, _, women), (_, _, men) = sexes
    assert min(row["ratio"] for row in of_sex) == pytest.approx(min(women / men, men / women))


def places_of(home: Path, texts: tuple[str, ...]) -> Iterator[str]:
    """Where any of these texts is a value or a column name in any table of any file of a home."""
    files = list(home.rglob("*.duckdb"))
    assert len(files) >= 3
    for file in files:
        with duckdb.connect(str(file), read_only=True) as connection:
            tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
            assert tables
            for schema, table in tables:
                rows = connection.execute(f'from "{schema}"."{table}"')
                names = [column[0] for column in rows.description or []]
                content = f"{names} {rows.fetchall()}"
                yield from (f"{file.name} {schema}.{table}: {text}" for text in texts if text in content)


def test_another_table_is_refused_and_leaves_no_landing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other_table = tmp_path / "other.parquet"
    duckdb.execute(f"copy (select 1 as ID) to '{other_table}' (format parquet)")
    with pytest.raises(DataProblem, match=r"other\.parquet does not hold the data on default of credit card"):
        write_statements(other_table, tmp_path / "landing")
    assert main([str(other_table), str(tmp_path / "landing")]) == 1
    assert main([]) == 2
    assert (
        "usage: python -m goodstanding.ingest.samples.credit_default FILE LANDING" in capsys.readouterr().err
    )
    assert not (tmp_path / "landing").exists()


def test_the_mapping_names_its_source_and_licence() -> None:
    text = (PROJECT / "shops" / "credit_default.yml").read_text()
    assert "CC BY 4.0" in text and "Yeh" in text
