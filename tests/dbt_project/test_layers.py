"""The layers of the models: who reads whom, and that `ml` reads published tables that give the same."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from goodstanding.core.days import Days
from goodstanding.core.settings import Settings, settings
from goodstanding.ingest.samples.simulate_accounts import simulate_accounts
from goodstanding.warehouse.files import open_published, open_warehouse
from ml.features import read_snapshot
from ml.scorecards.orders import DECISIONS, read_orders
from ml.tasks import TASKS, window_values
from pipeline import steps, transform

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "dbt_project"
# what the models of a folder may read: folders, seeds, and sources by name; see dbt_project/README.md
READS = {
    "staging": {"raw", "ops", "staging"},
    "intermediate": {"staging", "intermediate"},
    "marts": {"staging", "intermediate", "marts", "seeds", "predictions"},
    "features": {"intermediate", "marts", "features"},
}
FIRST, DAYS = date(2011, 1, 3), 75
LAST = FIRST + timedelta(days=DAYS - 1)

Graph = dict[tuple[str, str], set[tuple[str, str]]]


def read_graph(project: Path, home: Path) -> Graph:
    """(layer, name) of each model with those of all that it reads, as dbt has parsed them."""
    from dbt.cli.main import dbtRunner

    with pytest.MonkeyPatch.context() as patch:
        variables = transform.dbt_environment(Settings(home=home, _env_file=None))
        for name, value in (variables | {"DBT_PROJECT_DIR": str(project)}).items():
            patch.setenv(name, value)
        manifest: Any = dbtRunner().invoke([*transform.QUIET, "parse"]).result
    nodes = {**manifest.nodes, **manifest.sources}

    def place(node: Any) -> tuple[str, str]:
        kind = node.resource_type.value
        if kind == "source":
            return node.source_name, node.name
        return ("seeds" if kind == "seed" else Path(node.original_file_path).parent.name), node.name

    return {
        place(node): {place(nodes[read]) for read in node.depends_on.nodes}
        for node in nodes.values()
        if node.resource_type.value == "model"
    }


def forbidden(graph: Graph) -> list[str]:
    return [
        f"{layer}/{model} reads {other}.{name}"
        for (layer, model), reads in graph.items()
        for other, name in sorted(reads)
        if other not in READS[layer]
    ]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return read_graph(PROJECT, tmp_path_factory.mktemp("parsed"))


def test_a_model_reads_its_own_layer_and_those_before_it(graph: Graph) -> None:
    assert len(graph) == len(list((PROJECT / "models").rglob("*.sql")))
    assert forbidden(graph) == []


def test_a_model_that_reads_a_later_layer_is_found(tmp_path: Path) -> None:
    project = tmp_path / "dbt_project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    planted = {
        "intermediate/int_planted.sql": "{{ ref('customer_classes') }}",
        "marts/planted.sql": "{{ source('raw', 'days') }}",
        "staging/stg_planted.sql": "{{ ref('int_customers') }}",
    }
    for path, relation in planted.items():
        (project / "models" / path).write_text(f"select * from {relation}")
    contract = "models: [{name: planted, config: {contract: {enforced: false}}}]"
    (project / "models" / "marts" / "planted.yml").write_text(contract)
    assert sorted(forbidden(read_graph(project, tmp_path))) == [
        "intermediate/int_planted reads marts.customer_classes",
        "marts/planted reads raw.days",
        "staging/stg_planted reads intermediate.int_customers",
    ]


def tables_named(path: Path) -> set[str]:
    """Every `schema.table` that a string of a module names, except in docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and isinstance(node.body[0], ast.Expr)
    }
    text = "\n".join(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings
    )
    schemas = "raw|ops|intake|staging|intermediate|marts|features|predictions|seeds|state|main"
    named = re.findall(rf"\b(?:from|join|into|update|table)\s+(\w+\.\w+)|\b((?:{schemas})\.\w+)", text)
    return {table for pair in named for table in pair if table}


def test_ml_names_no_table_outside_of_features_and_predictions() -> None:
    named = {str(path.relative_to(ROOT)): tables_named(path) for path in sorted((ROOT / "ml").rglob("*.py"))}
    others = {
        path: [table for table in sorted(tables) if not table.startswith(("features.", "predictions."))]
        for path, tables in named.items()
    }
    assert {path: tables for path, tables in others.items() if tables} == {}
    read = {table for tables in named.values() for table in tables if table.startswith("features.")}
    assert {"features.customer_features", "features.order_features", "features.invoice_states"} <= read


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The made-up shop with payments, returns and deliveries: scored and published."""
    folder = tmp_path_factory.mktemp("made-up")
    simulate_accounts(folder / "landing", first=FIRST, days=DAYS, customers=400, seed=5)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"HOME": "home", "LANDING": "landing"}.items():
            patch.setenv(f"GOODSTANDING_{name}", str(folder / value))
        patch.setenv("GOODSTANDING_SHOP", "simulated")
        settings.cache_clear()
        for step in ("ingest", "check_raw", "transform", "check_invoices", "check_scores", "score"):
            getattr(steps, step)(Days(FIRST, LAST), "run")
        for step in ("check_predictions", "publish"):
            getattr(steps, step)(Days(FIRST, LAST), "run")
    settings.cache_clear()
    yield Settings(home=folder / "home", _env_file=None)


def all_that_ml_reads(connection: duckdb.DuckDBPyConnection) -> dict[str, pd.DataFrame]:
    """Snapshots of customers and orders as of a month end and the newest day, and what became of them."""
    found = {}
    for as_of in (date(2011, 2, 28), LAST):
        snapshot = read_snapshot(connection, as_of)
        outcomes = {
            task.name: window_values(connection, task.outcome, snapshot, FIRST, as_of)
            for task in TASKS.values()
        }
        found[f"customers {as_of}"] = snapshot.features.assign(customer=snapshot.customers, **outcomes)
    for decision in DECISIONS:
        orders = read_orders(connection, decision, date.min, LAST)
        found[f"orders of {decision.name}"] = orders.features.assign(
            customer=orders.customers, outcome=orders.outcome
        )
    return found


def test_the_published_file_alone_gives_every_feature_that_scoring_read(home: Settings) -> None:
    with open_warehouse(home) as connection:
        read = all_that_ml_reads(connection)
    with open_published(home) as connection:
        reproduced = all_that_ml_reads(connection)
    assert read.keys() == reproduced.keys()
    for name, rows in read.items():
        assert len(rows) > 20, name
        pd.testing.assert_frame_equal(reproduced[name], rows, obj=name)
    outcomes = read[f"customers {LAST}"]
    assert all(outcomes[name].any() for name in ("buys_30d", "returns_60d", "class_next_quarter"))


def test_the_features_can_be_read_under_another_name_of_the_file(home: Settings) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"attach '{home.publication}' as another (read_only)")
        names = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'features'"
        ).fetchall()
        assert len(names) == 9
        for (name,) in names:
            rows = connection.execute(f"select count(*) from another.features.{name}").fetchone()
            assert rows != (0,), name
