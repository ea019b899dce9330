"""The SQL tests itself: every unit test, on a warehouse that holds no row, and the documentation."""

from __future__ import annotations

import pytest
import yaml

from app.cli.runs import build_sites
from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import Settings
from goodstanding.warehouse.files import open_intake, open_warehouse
from pipeline.transform import DBT_PROJECT, _name_broken_rules, run_dbt, transform


def test_every_unit_test_passes_on_an_empty_warehouse_and_the_docs_are_built(tmp_path, use_settings):
    current = use_settings(home=tmp_path)
    with open_intake(current):
        pass
    with open_warehouse(current):
        pass
    results = run_dbt(current, ["build"])
    assert {r["node"]: r["message"] for r in results if r["status"] not in ("success", "pass", "no-op")} == {}
    passed = {result["node"] for result in results if result["kind"] == "unit_test"}
    written = {
        test["name"]
        for path in (DBT_PROJECT / "models").rglob("*.yml")
        for test in yaml.safe_load(path.read_text()).get("unit_tests", [])
    }
    assert passed == written and len(written) >= 18
    assert_columns_are_described(current)
    page = (tmp_path / "published" / "dbt_docs" / "index.html").resolve()
    assert build_sites(current)["dbt_docs"] == str(page)
    assert "customer_profiles" in page.read_text()


def assert_columns_are_described(current: Settings) -> None:
    """Each YAML describes the columns that its model has; that of a view for ml those that no mart has."""
    with open_warehouse(current) as connection:
        for path in (DBT_PROJECT / "models").rglob("*.sql"):
            (model,) = yaml.safe_load(path.with_suffix(".yml").read_text())["models"]
            config, layer = model.get("config", {}), path.parent.name
            table = f"{config.get('schema', layer)}.{config.get('alias', path.stem)}"
            names = {name for name, *_ in connection.execute(f"describe {table}").fetchall()}
            described = {column["name"] for column in model["columns"]}
            assert all(column["description"] for column in model["columns"])
            assert described == names or (layer == "features" and described < names), table


def test_a_failing_test_of_the_data_ends_the_run_and_names_the_test(tmp_path, use_settings):
    current = use_settings(home=tmp_path)
    with open_intake(current) as connection:
        connection.execute(
            """
            insert into raw.days by name select
                'online_retail' as source, date '2011-01-05' as event_day, 'v' as version, 1 as files,
                1 as lines, 1 as accepted, 0 as rejected, false as simulated, now()::timestamp as loaded_at,
                'r' as run_id, true as admitted;
            insert into raw.order_lines by name
            select 'online_retail' as source, date '2011-01-05' as event_day, 'a.csv' as file_name,
                'h' as file_hash, n as line_number, '1' as invoice_no, 'sale' as invoice_kind,
                'X' as stock_code, true as is_product, 1 as quantity,
                timestamp '2011-01-05 10:00:00' as ordered_at, ordered_at as ordered_at_utc, 2 as unit_price,
                2 as amount, 'ann' as customer_id
            from (values (2), (2)) as lines (n);
            -- what ingest would never let in: the marts' own tests are the last to see it
            insert into raw.changes values
            ('2011-01-05', 'ann', 'X', '1', 'sale', 'order_line'),
            ('2011-01-05', null, null, null, null, 'day')
            """
        )
    day = Days.parse("2011-01-05")
    with pytest.raises(DataProblem, match="test order_lines_keep_their_grain_and_rules failed"):
        transform(current, day, "r")
    with open_intake(current) as connection:
        kept = connection.execute(
            "select kind, status, failures from ops.dbt_results where status = 'fail'"
        ).fetchall()
        assert ("test", "fail", 1) in kept
        left = connection.execute("select distinct customer_id from raw.changes order by 1").fetchall()
        assert left == [("ann",), (None,)], "the next run computes the same changes again"


def test_a_run_that_leaves_seeds_and_views_out_still_checks_every_table(tmp_path, use_settings):
    current = use_settings(home=tmp_path)
    day = Days.parse("2011-01-05")
    assert transform(current, day, "first")["rebuilt"]
    assert not transform(current, day, "second")["rebuilt"]
    with open_intake(current) as connection:
        ran = dict(
            connection.execute(
                "select run_id, list(distinct node) from ops.dbt_results where kind = 'test' group by run_id"
            ).fetchall()
        )
    of_accounts = {
        "int_instalment_states_keep_their_grain",
        "no_line_of_an_account_is_lost",
        "payment_behaviour_keeps_its_grain_and_rules",
    }
    seeds = [path.stem for path in (DBT_PROJECT / "seeds").glob("*.csv")]
    of_tables = {node for node in ran["first"] if not any(f"_{seed}_" in node for seed in seeds)}
    assert of_tables - of_accounts == set(ran["second"])
    with open_intake(current) as connection:
        connection.execute(
            """
            insert into raw.returns by name select
                'shop' as source, date '2011-01-05' as event_day, 'r.csv' as file_name, 'h' as file_hash,
                2 as line_number, '1' as invoice_no, 'ann' as customer_id, 'refusal' as return_kind,
                timestamp '2011-01-05' as returned_at, returned_at as returned_at_utc, 2 as amount
            """
        )
    transform(current, day, "third")
    with open_intake(current) as connection:
        (third,) = connection.execute(
            "select list(distinct node) from ops.dbt_results where kind = 'test' and run_id = 'third'"
        ).fetchone()
    assert set(third) == set(ran["second"]) | of_accounts
    assert {
        "no_line_and_no_penny_is_lost_from_raw_to_scores",
        "customer_profiles_keep_their_grain_and_rules",
    } <= set(ran["second"])


def test_a_broken_rule_is_named_with_its_rows(tmp_path, use_settings, monkeypatch):
    current = use_settings(home=tmp_path)
    with open_intake(current):
        pass
    results = run_dbt(current, ["build", "--exclude-resource-type", "unit_test"])
    (rules,) = [result for result in results if result["node"] == "invoices_keep_their_grain_and_rules"]
    with open_warehouse(current) as connection:
        connection.execute(
            """
            insert into marts.invoices values
            ('ann', '1', 'gift', '2011-01-05', '2011-01-05', 1, 3, 1, 0, 2, false, null, null, null),
            ('ann', '2', 'sale', '2011-01-05', '2011-01-05', 1, 3, 1, 0, 1, true, null, null, null)
            """
        )
        connection.execute(
            "insert into intermediate.int_changed_invoices "
            "values ('ann', '1', '2011-01-05'), ('ann', '2', '2011-01-05')"
        )
    failed = [rules | {"status": "fail", "message": "Got 2 results"}]
    _name_broken_rules(current, failed)
    assert failed[0]["message"] == (
        "Got 2 results: an_invoice_is_a_sale_or_a_cancellation in 1 row(s), "
        "net_is_gross_less_what_came_back in 1 row(s)"
    )
