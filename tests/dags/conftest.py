"""The DAG files, parsed once in the way Airflow parses them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.runtime.airflow_env import airflow_environment, prepare, sqlite_url
from goodstanding.core.settings import Settings

DAGS = Path(__file__).parents[2] / "dags"


@pytest.fixture(scope="session")
def bag(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The DAGs and import errors of two parses of the folder, and how many seconds the second took."""
    before = dict(os.environ)
    current = Settings(home=tmp_path_factory.mktemp("dags"), _env_file=None)
    prepare(airflow_environment(current, sqlite_url(current)))
    from airflow.dag_processing.dagbag import BundleDagBag

    def parse() -> BundleDagBag:
        return BundleDagBag(dag_folder=DAGS, bundle_path=DAGS, bundle_name="dags-folder")

    first = parse()
    started = time.perf_counter()
    second = parse()
    seconds = time.perf_counter() - started
    os.environ.clear()
    os.environ.update(before)
    return SimpleNamespace(
        dags=first.dags, again=second.dags, import_errors=first.import_errors, seconds=seconds
    )
