"""Rules for every DAG of this project: its schedule, retries, documentation, imports and parse time."""

from __future__ import annotations

import ast
import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

DAGS = Path(__file__).parents[2] / "dags"
# what a DAG file may import at parse time: all of these are quick
LIGHT = (
    "__future__",
    "collections.abc",
    "airflow.sdk",
    "airflow.sdk.exceptions",
    "datetime",
    "goodstanding.core.vocabulary",
    "typing",
    "wiring",
)
FILES = sorted(path for path in DAGS.glob("*.py"))
DAG_IDS = ("evaluate_models", "orders_daily", "orders_history", "train_models")
TIERS = {"tier_1", "tier_2", "tier_3"}


def test_the_folder_imports_without_errors_and_holds_these_dags(bag):
    assert bag.import_errors == {}
    assert sorted(bag.dags) == sorted(DAG_IDS)


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_the_documentation_of_a_dag_says_what_it_does_when_and_what_to_do_on_failure(bag, dag_id):
    text = bag.dags[dag_id].doc_md
    for part in ("**When**", "**In**", "**Out**", "**On failure**"):
        assert part in text, (
            f"{dag_id}: the docstring is the page that people read in the UI; it lacks {part}"
        )


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_a_dag_has_an_owner_and_a_tier_and_does_not_catch_up(bag, dag_id):
    dag = bag.dags[dag_id]
    assert dag.owner == "goodstanding"
    assert len(TIERS & set(dag.tags)) == 1, f"{dag_id}: exactly one of {sorted(TIERS)} tells who is woken"
    assert dag.catchup is False and dag.max_active_runs == 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_catchup_is_set_on_the_dag_itself_where_airflow_reads_it(path):
    text = path.read_text()
    if "DAG(" in text:
        assert re.search(r"^    catchup=False,$", text, re.M), "in default_args it would be ignored"


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_task_takes_the_writer_slot_and_retries_only_errors_that_a_retry_can_fix(bag, dag_id):
    from goodstanding.core.errors import DataProblem, DayNotOver, GateFailed, WarehouseBusy, WrongUse

    for task in bag.dags[dag_id].tasks:
        assert (task.pool, task.pool_slots) == ("duckdb_writer", 1), "DuckDB admits one writing process"
        assert task.retries >= 2
        decide = task.retry_policy.evaluate
        for error in (DataProblem(), GateFailed("no line"), WrongUse()):
            assert decide(error, 1, task.retries).action.value == "fail"
        for error, seconds in ((DayNotOver(), 3600), (WarehouseBusy(), 30)):
            decision = decide(error, 1, task.retries)
            assert (decision.action.value, decision.retry_delay.total_seconds()) == ("retry", seconds)
        assert decide(OSError(), 1, task.retries).action.value == "default"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dag_file_only_wires(path):
    """No SQL, no file or clock read at import, nothing imported at the top but Airflow and the wiring."""
    tree = ast.parse(path.read_text())
    assert len(path.read_text().splitlines()) <= 120
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            assert node.module in LIGHT, node.module
        elif isinstance(node, ast.Import):
            pytest.fail(f"{path.name} imports {node.names[0].name} at its top")
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not calls & {"datetime.now", "open", "settings", "Variable.get", "random"}
    assert "select " not in path.read_text().lower()


def test_two_parses_serialise_to_the_same_bytes(bag):
    from airflow.serialization.serialized_objects import DagSerialization

    for dag_id in DAG_IDS:
        first, second = (
            json.dumps(DagSerialization.serialize_dag(dags[dag_id]), sort_keys=True, default=str)
            for dags in (bag.dags, bag.again)
        )
        assert first == second, f"{dag_id} would get a new version at every parse"


def test_the_folder_parses_in_two_seconds(bag):
    # 0.05 s on two idle cores; a heavy import at the top of a file would cost seconds at every parse
    assert bag.seconds < 2


def test_the_graph_is_the_agreed_one(bag):
    chain = [
        "ingest",
        "check_raw",
        "transform",
        "check_invoices",
        "check_scores",
        "score",
        "check_predictions",
        "publish",
    ]
    for dag_id in ("orders_daily", "orders_history"):
        edges = {
            (task.task_id, below) for task in bag.dags[dag_id].tasks for below in task.downstream_task_ids
        }
        assert edges == set(pairwise(chain))
    training = [task.task_id for task in bag.dags["train_models"].tasks]
    assert training == ["train", "score", "check_predictions", "publish"]
    assert [task.task_id for task in bag.dags["evaluate_models"].tasks] == ["evaluate"]
    daily = bag.dags["orders_daily"].timetable
    assert type(daily).__name__ == "CronDataIntervalTimetable"
