"""`goodstanding dbt describe` sets the columns of a model's YAML and keeps every word a person wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from goodstanding.core.errors import DataProblem, WrongUse
from pipeline.transform import DBT_PROJECT
from pipeline.workbench.describe import _updated, describe
from pipeline.workbench.run import run_on_copy
from tests.pipeline.workbench.test_run import NEW_MODEL

WRITTEN = """\
models:
  - name: other
    columns:
      - name: a
        data_type: text

  # a comment
  - name: visits
    description: >
      Visits, folded
      over two lines. One row per visit.
    columns:
      - name: a
        data_type: text   # said before
        description: "Of a: quoted."
        constraints:
          - type: not_null
      - name: b
        description: Of b.
      # why c is here
      - name: c
        data_type: integer

unit_tests:
  - name: a_visit_is_counted
    model: visits
"""
COLUMNS = {"a": "varchar", "b": "date", "d": "decimal(18,4)"}


def test_types_are_corrected_columns_added_and_removed_and_nothing_else_changes():
    updated = _updated(WRITTEN, "visits", COLUMNS, {"d": "What: was paid."})
    # the comment above the removed column stays, as a person wrote it
    expected = WRITTEN.replace(
        "        description: Of b.\n", "        data_type: date\n        description: Of b.\n"
    ).replace(
        "      # why c is here\n      - name: c\n        data_type: integer\n",
        "      - name: d\n        data_type: decimal(18,4)\n        description: 'What: was paid.'\n"
        "      # why c is here\n",
    )
    assert updated == expected
    assert "data_type: text   # said before" in updated, "text is varchar"
    columns = yaml.safe_load(updated)["models"][1]["columns"]
    assert [(column["name"], column["data_type"]) for column in columns] == [
        ("a", "text"),
        ("b", "date"),
        ("d", "decimal(18,4)"),
    ]
    assert _updated(updated, "visits", COLUMNS, {}) == updated


@pytest.mark.parametrize("path", sorted((DBT_PROJECT / "models").rglob("*.yml")), ids=lambda path: path.stem)
def test_a_yaml_of_this_project_with_correct_columns_is_unchanged(path: Path):
    text = path.read_text()
    for model in yaml.safe_load(text).get("models", ()):
        columns = {column["name"]: column.get("data_type", "varchar") for column in model.get("columns", ())}
        typed = all("data_type" in column for column in model.get("columns", ()))
        updated = _updated(text, model["name"], columns, {})
        if typed:
            assert updated == text
        else:
            lines = [line for line in updated.splitlines() if line.strip() != "data_type: varchar"]
            assert lines == [line for line in text.splitlines() if line.strip() != "data_type: varchar"]


def test_a_yaml_without_columns_gets_them():
    written = "models:\n  - name: visits\n    description: Visits.\n"
    updated = yaml.safe_load(_updated(written, "visits", {"a": "varchar"}, {}))
    assert updated["models"][0]["description"] == "Visits."
    assert updated["models"][0]["columns"] == [{"name": "a", "data_type": "varchar", "description": "TODO"}]
    empty = "models:\n  - name: visits\n    columns: []\n    description: Visits.\n"
    assert yaml.safe_load(_updated(empty, "visits", {"a": "varchar"}, {})) == {
        "models": [{"name": "visits", "description": "Visits.", "columns": updated["models"][0]["columns"]}]
    }


def test_a_described_model_can_be_built(bench):
    bench.write("marts/doubled.sql", NEW_MODEL)
    described = describe(bench.settings, "doubled")
    assert described.is_new and described.to_write
    assert not described.path.exists(), "printed, not written"
    (model,) = yaml.safe_load(described.text)["models"]
    assert "One row per TODO" in model["description"]
    assert "config" not in model, "the folder asks for the contract"
    assert [(column["name"], column["data_type"]) for column in model["columns"]] == [
        ("customer_id", "varchar"),
        ("as_of", "date"),
        ("doubled", "integer"),
    ]
    assert model["columns"][0]["description"] == "The customer's pseudonym.", "as in the model that it reads"
    describe(bench.settings, "doubled", write=True)
    done = run_on_copy(bench.settings, ["run", "-s", "doubled"])
    assert (done.exit_code, done.problems) == (0, [])
    assert done.changes[0]["against"] is None

    # dbt cannot read a project with a YAML that lacks columns; `describe` works nevertheless
    described.path.write_text("models:\n  - name: doubled\n    description: Twice the score.\n")
    mended = describe(bench.settings, "doubled", write=True)
    assert "Twice the score." in mended.text and not mended.is_new
    assert run_on_copy(bench.settings, ["run", "-s", "doubled"]).exit_code == 0

    bench.write("intermediate/tripled.sql", NEW_MODEL)
    (model,) = yaml.safe_load(describe(bench.settings, "tripled").text)["models"]
    assert model["config"] == {"contract": {"enforced": True}}

    with pytest.raises(WrongUse, match="there is no model nobody in dbt_project; there are class_borders, "):
        describe(bench.settings, "nobody")
    bench.write("marts/doubled.sql", "select nothing from {{ ref('customer_classes') }}")
    with pytest.raises(DataProblem, match=r'marts/doubled\.sql cannot be read: Binder Error.*"nothing"'):
        describe(bench.settings, "doubled")
