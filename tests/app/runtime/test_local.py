"""Airflow in this process: a DAG file that cannot be loaded is reported before anything runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from goodstanding.core.settings import PROJECT

# tests/dags/test_runs.py tests what the runs themselves do.
LOAD = """
import sys
from pathlib import Path
import app.runtime.local as local
from goodstanding.core.settings import settings

local.PROJECT = Path(sys.argv[1])
try:
    local.LocalRuns(settings())
except Exception as error:
    print(type(error).__name__, error, sep="|")
"""


def test_a_dag_file_that_cannot_be_loaded_is_reported_as_wrong_use_with_its_path_and_error(
    tmp_path: Path,
) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "mistyped.py").write_text(
        "from airflow.sdk import DAG\nDAG('x', no_such_option=1)\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GOODSTANDING_")}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path)],
        env=environment | {"GOODSTANDING_HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": ""},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    kind, _, message = done.stdout.strip().partition("|")
    assert kind == "WrongUse", done.stderr
    assert message.startswith(f"{tmp_path / 'dags' / 'mistyped.py'} cannot be loaded: TypeError: ")
    assert "no_such_option" in message
    assert done.stderr == "", "Airflow's own output goes to the log file"
    assert "mistyped.py" in (tmp_path / "home" / "logs" / "local_runs.log").read_text()
