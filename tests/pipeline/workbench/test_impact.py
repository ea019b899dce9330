"""`goodstanding dbt impact`: models, classes, scores and decisions that a change in git would change."""

from __future__ import annotations

import json
import subprocess

import pytest
from typer.testing import CliRunner

from app.cli.main import app
from goodstanding.core.errors import DataProblem, WrongUse
from pipeline.workbench.copies import FOLDER
from pipeline.workbench.impact import both_versions
from tests.pipeline.workbench.test_describe import NEW_MODEL
from tests.pipeline.workbench.test_run import SCORE, files_of


def git(bench, *arguments: str) -> None:
    """Call git in the repository of the test's project."""
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=bench.project.parent, check=True, capture_output=True)


@pytest.fixture
def repository(bench):
    """The project committed as it is, on a branch of its own."""
    git(bench, "init", "-b", "main")
    git(bench, "add", ".")
    git(bench, "commit", "-m", "as it is")
    git(bench, "switch", "-c", "change")
    return bench


def test_changed_models_classes_scores_and_decisions_are_counted(repository):
    bench = repository
    published, warehouse = files_of(bench.settings.published), files_of(bench.settings.warehouse)
    # no customer is Good any more; a comment elsewhere changes no row
    bench.edit("customer_classes.sql", SCORE, f"least({SCORE}, 4)")
    bench.edit("invoices.sql", "select * from final", "-- all of them\nselect * from final")
    bench.write("intermediate/doubled.sql", NEW_MODEL)
    result = CliRunner().invoke(app, ["dbt", "impact", "--json", "--basket", "50.00"])
    assert result.exit_code == 0, result.output
    impact = json.loads(result.stdout)
    kinds = {model["name"]: model["kind"] for model in impact["models"]}
    assert kinds["customer_classes"] == kinds["invoices"] == "edited"
    assert kinds["customer_profiles"] == kinds["master_data"] == "downstream"
    assert kinds["doubled"] == "added"
    assert "order_lines" not in kinds
    changes = {model["name"]: model["change"] for model in impact["models"]}
    assert changes["invoices"]["changed"] == changes["invoices"]["added"] == 0
    assert (
        changes["customer_classes"]["changed"]
        == changes["customer_classes"]["changed_columns"]["credit_score"]
        > 0
    )
    assert changes["customer_profiles"]["changed_columns"]["credit_score"] > 0

    classes = impact["classes"]
    rows = _rows(
        bench,
        "select customer_id, class, credit_score from marts.customer_classes where as_of = '2011-02-01'",
    )
    assert classes["customers"] == len(rows) > 2
    assert classes["other_score"] == classes["score_falls"] == sum(score > 4 for _, _, score in rows) > 0
    assert classes["score_rises"] == 0
    assert classes["largest_score_change"] == 4 - max(score for _, _, score in rows)
    assert classes["other_class"] == sum(move["customers"] for move in classes["moves"]) > 0
    assert {change["decision"] for change in impact["decisions"]} == {"cod", "emi"}
    for change in impact["decisions"]:
        assert change["yes_after"] - change["yes_before"] == change["gain"] - change["lose"]
        assert change["changed"] == sum(change["moves"].values())
    assert sum(change["other_limit"] for change in impact["decisions"]) > 0
    assert files_of(bench.settings.published) == published
    assert files_of(bench.settings.warehouse) == warehouse
    assert not (bench.settings.home / FOLDER / "impact").exists()

    # after the commit, compared with the base branch: the same, as Markdown
    git(bench, "add", ".")
    git(bench, "commit", "-m", "a change")
    text = (
        CliRunner().invoke(app, ["dbt", "impact", "--base", "main", "--markdown", "--basket", "50.00"]).stdout
    )
    assert f"| customer_classes | edited | {len(_all(bench)):,} to {len(_all(bench)):,} |" in text
    assert f"| another class | {classes['other_class']} |" in text
    assert "| cod 50.00 |" in text and "<details>" in text


def test_without_a_change_no_model_is_touched_and_a_missing_base_is_reported_by_name(repository):
    bench = repository
    with both_versions(bench.settings, "main") as versions:
        assert versions.touched == []
    with pytest.raises(WrongUse, match="--base nowhere: "), both_versions(bench.settings, "nowhere"):
        pass
    bench.edit("customer_classes.sql", "as integer) as credit_score", "as bigint) as credit_score")
    with (
        pytest.raises(
            DataProblem, match=r"the working tree cannot be built: .* credit_score is bigint in the SQL"
        ),
        both_versions(bench.settings, "main"),
    ):
        pass


def _rows(bench, sql: str) -> list[tuple]:
    import duckdb

    with duckdb.connect(str(bench.settings.publication), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def _all(bench) -> list[tuple]:
    return _rows(bench, "select * from marts.customer_classes")
