"""The house rules of the SQL: one YAML per model, the grain at the end, short models, one closing line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2] / "dbt_project"
MODELS = sorted((PROJECT / "models").rglob("*.sql"))
MARTS = [model for model in MODELS if model.parent.name == "marts"]


def described(model: Path) -> dict:
    (entry,) = yaml.safe_load(model.with_suffix(".yml").read_text())["models"]
    assert entry["name"] == model.stem
    return entry


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_a_model_is_short_lowercase_and_ends_with_select_from_final(model):
    text = model.read_text()
    assert len(text.splitlines()) < 100
    assert text.rstrip().endswith("select * from final")
    keywords = r"\b(SELECT|FROM|WHERE|JOIN|GROUP BY|ORDER BY|WITH|CASE)\b"
    assert not re.search(keywords, text)


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_a_description_ends_with_the_grain(model):
    sentences = described(model)["description"].strip().rstrip(".").split(". ")
    assert sentences[-1].startswith("One row per ")


@pytest.mark.parametrize("model", MARTS, ids=lambda path: path.stem)
def test_a_mart_has_typed_columns_a_grain_test_its_rules_and_unit_tests(model):
    entry = described(model)
    assert all(column.get("data_type") and column.get("description") for column in entry["columns"])
    (keeps,) = [test["keeps"]["arguments"] for test in entry["data_tests"]]
    assert keeps["grain"] and keeps["rules"]
    assert yaml.safe_load(model.with_suffix(".yml").read_text())["unit_tests"]


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_what_only_duckdb_knows_stands_behind_a_macro(model):
    text = re.sub(r"\{\{.*?\}\}|--.*", "", model.read_text(), flags=re.S)
    only_duckdb = (
        r"\b(list_\w+|struct_pack|unnest|read_csv|strftime|lambda|arg_max|quantile_cont)\b|::|\[[^\]]*\]"
    )
    assert not re.search(only_duckdb, re.sub(r"\{%.*?%\}", "", text, flags=re.S))


def test_raw_is_read_by_staging_alone():
    for model in MODELS:
        if "source('raw'" in model.read_text():
            assert model.parent.name == "staging", model
