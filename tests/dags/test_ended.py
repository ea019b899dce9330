"""A log that has ended: the schedule's run of a later day is skipped with a word, a person's is refused."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from goodstanding.core.days import Days
from goodstanding.core.settings import PROJECT
from pipeline import steps
from tests.dags.test_runs import in_new_process
from tests.shop import mapping, write_day

# `dag.test()` makes manual runs alone: that the schedule made one is said here.
SCRIPT = """
import json, sqlite3, sys
from datetime import date
from app.runtime.local import LocalRuns
from goodstanding.core.settings import settings

runs = LocalRuns(settings())
found = {}
try:
    runs.daily(date(2011, 12, 12))
except Exception as error:
    found["of a person"] = str(error)
sys.modules["wiring"].is_scheduled = lambda context: True
run_id = runs.daily(date(2011, 12, 13))
with sqlite3.connect(settings().home / "airflow" / "airflow.sqlite") as connection:
    found["run"] = connection.execute("select state from dag_run where run_id = ?", [run_id]).fetchall()
    found["tasks"] = connection.execute(
        "select distinct state from task_instance where run_id = ?", [run_id]
    ).fetchall()
found["log"] = runs.log_file.read_text()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(any_landing: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of two runs after the end of a landing of one day, of a person and of the schedule."""
    folder = tmp_path_factory.mktemp("ended")
    (folder / "landing").mkdir()
    shutil.copy(any_landing / "2010-12-02.csv", folder / "landing" / "2011-12-09.csv")
    done = in_new_process(SCRIPT, folder / "home", folder / "landing")
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_run_of_the_schedule_after_the_end_is_skipped_with_a_word_and_not_red(
    found: dict[str, Any],
) -> None:
    assert found["run"] == [["success"]] and found["tasks"] == [["skipped"]]
    assert "nothing to do for 2011-12-13: " in found["log"]
    assert "says that the log has ended (archive: true), and its newest file is of 2011-12-09" in found["log"]


def test_a_person_who_asks_for_a_day_after_the_end_is_refused(found: dict[str, Any]) -> None:
    assert found["of a person"].startswith("no file for 1 trading day(s): 2011-12-12")


@pytest.mark.parametrize(
    ("kind", "is_by_schedule"), [("scheduled", True), ("manual", False), ("backfill", False)]
)
def test_a_run_of_the_schedule_is_known_by_its_kind(
    monkeypatch: Any, kind: str, is_by_schedule: bool
) -> None:
    from airflow.sdk.api.datamodels._generated import DagRunType

    monkeypatch.syspath_prepend(str(PROJECT / "dags"))
    import wiring

    assert wiring.is_scheduled({"dag_run": SimpleNamespace(run_type=DagRunType(kind))}) == is_by_schedule


@pytest.mark.parametrize(
    ("archive", "day", "ended"),
    [("true", 10, True), ("true", 9, False), ("false", 10, False)],
)
def test_a_log_has_ended_where_the_mapping_says_so_and_after_its_newest_file(
    tmp_path: Path, use_settings: Any, archive: str, day: int, ended: bool
) -> None:
    shop, landing = mapping(tmp_path), tmp_path / "landing"
    shop.write_text(shop.read_text().replace("archive: true", f"archive: {archive}"))
    write_day(landing, "2011-12-09", [])
    use_settings(home=tmp_path / "home", landing=landing, shop=shop)
    asked = date(2011, 12, day)
    assert bool(steps.log_ended_before(Days(asked, asked))) == ended
