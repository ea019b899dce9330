"""dbt on the workbench: an edited model is built and compared on a copy, and the publication is untouched."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem, WrongUse
from pipeline.transform import transform
from pipeline.workbench.copies import copy_of
from pipeline.workbench.run import CHANGES, run_on_copy
from tests.laws.conftest import FIRST

SCORE = "scores.r_score + scores.f_score + scores.m_score"
NEW_MODEL = """
with

final as (

    select
        customer_id,
        as_of,
        credit_score * 2 as doubled
    from {{ ref('customer_classes') }}

)

select * from final
"""


def files_of(folder: Path) -> dict[str, tuple[str, int]]:
    """Each file under a folder: its bytes as a hash, and when it was written."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_an_edited_model_is_built_for_all_days_and_nothing_else_is_touched(bench):
    home = bench.settings.home
    published, warehouse = files_of(bench.settings.published), files_of(bench.settings.warehouse)
    done = run_on_copy(bench.settings, ["build", "-s", "customer_classes"])
    assert (done.exit_code, done.problems) == (0, [])
    (same,) = done.changes
    assert (same["table"], same["key"]) == ("marts.customer_classes", ["customer_id", "as_of"])
    assert same["rows_before"] == same["rows_after"] > 10
    assert (same["changed"], same["added"], same["removed"]) == (0, 0, 0)
    assert any("not selected, so read as the copy has it: class_borders" in note for note in done.notes)
    assert any(note.startswith("compared with the publication as of 2011-02-01") for note in done.notes)

    bench.edit("customer_classes.sql", SCORE, f"{SCORE} + 1")
    done = run_on_copy(bench.settings, ["run", "-s", "customer_classes"])
    (change,) = done.changes
    assert change["changed"] == change["changed_columns"]["credit_score"] == change["rows_after"]
    assert change["rows_after"] == same["rows_after"]
    (value,) = [
        change_of_column
        for change_of_column in change["examples"][0]["values"]
        if change_of_column["column"] == "credit_score"
    ]
    assert value["after"] == value["before"] + 1
    # the data test also runs on all rows, and sets dbt's own exit code
    assert run_on_copy(bench.settings, ["test", "-s", "customer_classes"]).exit_code == 1

    assert json.loads((home / "workbench" / CHANGES).read_text())[0]["changed"] == change["changed"]
    assert files_of(bench.settings.published) == published
    assert files_of(bench.settings.warehouse) == warehouse


def test_built_models_stay_until_the_warehouse_changes_or_a_new_copy_is_requested(bench):
    bench.edit("customer_classes.sql", SCORE, f"{SCORE} + 1")
    run_on_copy(bench.settings, ["run", "-s", "customer_classes"])
    done = run_on_copy(bench.settings, ["run", "-s", "customer_profiles"])
    assert done.changes[0]["changed_columns"]["credit_score"] == done.changes[0]["changed"] > 0
    assert any("customer_classes (built here)" in note for note in done.notes)
    # the edit is undone, so the copy no longer matches the file
    bench.edit("customer_classes.sql", f"{SCORE} + 1", SCORE)
    done = run_on_copy(bench.settings, ["run", "-s", "customer_profiles"])
    assert any(
        note.startswith("customer_classes in the copy was built from another SQL") for note in done.notes
    )
    done = run_on_copy(bench.settings, ["run", "-s", "customer_profiles"], fresh=True)
    assert (done.changes[0]["changed"], done.exit_code) == (0, 0)
    assert not any("another SQL" in note for note in done.notes)
    # a run of a day changes the warehouse: the next command says what was lost with the old copy
    transform(bench.settings, Days.parse(str(FIRST)), "a later run")
    _, lost = copy_of(bench.settings)
    assert lost == ["customer_profiles"]


def test_columns_that_are_missing_extra_or_of_another_type_are_named_with_both_files(bench):
    bench.edit("customer_classes.sql", "as integer) as credit_score", "as bigint) as credit_score")
    bench.edit("customer_classes.sql", "        credit_scores.monetary,\n", "")
    bench.edit(
        "customer_classes.sql", "        end as class\n", "        end as class,\n        1 as extra\n"
    )
    done = run_on_copy(bench.settings, ["run", "-s", "customer_classes"])
    assert (done.exit_code, done.changes) == (1, [])
    (problem,) = done.problems
    assert problem.startswith(
        "dbt_project/models/marts/customer_classes.sql does not keep the contract in "
        "dbt_project/models/marts/customer_classes.yml: "
    )
    assert "credit_score is bigint in the SQL and integer in the YAML" in problem
    assert "monetary is in the YAML and not in the SQL" in problem
    assert "extra (integer) is in the SQL and not in the YAML" in problem
    assert "`goodstanding dbt describe customer_classes`" in problem
    assert "\n" not in problem
    # the run of a day reports the same
    with pytest.raises(DataProblem, match="monetary is in the YAML and not in the SQL") as error:
        transform(bench.settings, Days.parse(str(FIRST)), "a later run")
    assert problem in str(error.value)


OFFER = (
    "`goodstanding dbt describe doubled` prints what to paste, and with --write writes "
    "dbt_project/models/marts/doubled.yml"
)
NO_YML = (
    "dbt_project/models/marts/doubled.sql has no YAML, which says its grain, its columns and their types. "
    f"{OFFER}"
)
NO_COLUMNS = (
    "the YAML of dbt_project/models/marts/doubled.sql names no columns, and its contract asks for them. "
    f"{OFFER}"
)


def test_a_model_without_a_yaml_or_without_columns_or_types_in_it_fails_in_one_sentence(bench):
    bench.write("marts/doubled.sql", NEW_MODEL)
    done = run_on_copy(bench.settings, ["run", "-s", "doubled"])
    assert (done.exit_code, done.problems) == (1, [NO_YML])
    yml = bench.write("marts/doubled.yml", "models:\n  - name: doubled\n    columns:\n      - name: as_of\n")
    done = run_on_copy(bench.settings, ["run", "-s", "doubled"])
    assert done.problems == [
        "dbt_project/models/marts/doubled.sql does not keep the contract in "
        f"dbt_project/models/marts/doubled.yml: as_of without a data_type. {OFFER}"
    ]
    yml.write_text("models:\n  - name: doubled\n    description: twice\n")
    with pytest.raises(WrongUse) as error:
        run_on_copy(bench.settings, ["run", "-s", "doubled"])
    assert str(error.value) == NO_COLUMNS
    # dbt builds a model without a YAML if no contract requires one; this project requires one for every model
    yml.unlink()
    marts, intermediate = (bench.project / "models" / layer for layer in ("marts", "intermediate"))
    (marts / "doubled.sql").rename(intermediate / "doubled.sql")
    done = run_on_copy(bench.settings, ["run", "-s", "doubled"])
    assert (done.exit_code, done.problems) == (1, [NO_YML.replace("/marts/", "/intermediate/")])
    assert done.changes[0]["rows_after"] > 0


@pytest.mark.parametrize(
    ("yml", "says"),
    [(None, NO_YML), ("models:\n  - name: doubled\n    description: twice\n", NO_COLUMNS)],
    ids=["no YAML", "no columns"],
)
def test_the_run_of_a_day_reports_such_a_model_in_the_same_sentence(bench, yml, says):
    bench.write("marts/doubled.sql", NEW_MODEL)
    if yml:
        bench.write("marts/doubled.yml", yml)
    with pytest.raises(DataProblem) as error:
        transform(bench.settings, Days.parse(str(FIRST)), "a later run")
    assert says in str(error.value)
    # its tables are missing until a run builds them: the workbench says why
    done = run_on_copy(bench.settings, ["seed"]) if yml is None else None
    assert done is None or any("the warehouse is not whole" in note for note in done.notes)


def test_commands_that_need_no_warehouse_make_no_copy_and_the_callers_vars_are_used(bench, capfd):
    assert (
        run_on_copy(bench.settings, ["ls", "-s", "customer_classes", "--resource-type", "model"]).exit_code
        == 0
    )
    assert "goodstanding.marts.customer_classes" in capfd.readouterr().out
    assert not (bench.settings.home / "workbench" / "warehouse").exists()
    done = run_on_copy(
        bench.settings,
        ["run", "-s", "int_as_of_days+,customer_classes int_as_of_days", "--vars", "as_of_days: 1"],
    )
    assert done.exit_code == 0
    with pytest.raises(WrongUse, match="line 1: the key as_of_days stands here again after line 1"):
        run_on_copy(bench.settings, ["ls", "--vars", "{as_of_days: 1, as_of_days: 2}"])
    with pytest.raises(WrongUse, match="give a YAML mapping"):
        run_on_copy(bench.settings, ["ls", "--vars=3"])
