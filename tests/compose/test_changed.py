"""The script that decides whether the docker compose check has to run again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from goodstanding.core.settings import PROJECT

SCRIPT = PROJECT / "tests" / "compose" / "changed.sh"


class Repository:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tests" / "compose").mkdir(parents=True)
        self.script = Path(shutil.copy(SCRIPT, folder / "tests" / "compose"))
        self._git(0, "init", "--quiet")

    def commit(self, path: str, hours_ago: float) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        with (self.folder / path).open("a") as file:
            file.write("changed\n")
        self._git(hours_ago, "add", path)
        self._git(hours_ago, "-c", "user.name=T", "-c", "user.email=t@t", "commit", "--quiet", "-m", path)

    def is_due(self) -> bool:
        code = subprocess.run(["sh", str(self.script)]).returncode
        assert code in (0, 1)
        return code == 0

    def _git(self, hours_ago: float, *arguments: str) -> None:
        when = (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat()
        environment = {**os.environ, "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        subprocess.run(["git", *arguments], cwd=self.folder, env=environment, check=True)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_the_check_is_due_in_a_young_repository(repository: Repository) -> None:
    repository.commit("README.md", hours_ago=1)
    assert repository.is_due()


def test_the_check_is_not_due_if_the_files_it_covers_changed_long_ago(repository: Repository) -> None:
    repository.commit("Dockerfile", hours_ago=30)
    repository.commit("README.md", hours_ago=1)
    assert not repository.is_due()


@pytest.mark.parametrize(
    "path",
    [
        "Dockerfile",
        "docker-compose.yaml",
        "requirements.lock",
        "app/runtime/airflow_api.py",
        "tests/compose/x.py",
    ],
)
def test_the_check_is_due_if_a_file_it_covers_changed_lately(repository: Repository, path: str) -> None:
    repository.commit("README.md", hours_ago=30)
    repository.commit(path, hours_ago=2)
    repository.commit("README.md", hours_ago=1)
    assert repository.is_due()


def test_every_file_that_the_script_names_exists() -> None:
    """Otherwise changes to a moved file would go unnoticed."""
    named = SCRIPT.read_text().partition("HEAD -- ")[2].replace("\\\n", " ").split()
    assert len(named) > 5
    assert [path for path in named if not (PROJECT / path).exists()] == []


def test_every_module_that_a_container_calls_by_its_name_is_covered() -> None:
    called: set[str] = set()
    for path in ("docker-compose.yaml", "Dockerfile"):
        called |= set(re.findall(r"-m[\", ]+(app[.\w]+)", (PROJECT / path).read_text()))
    assert called == {"app.runtime.airflow_api", "app.runtime.airflow_env"}
    for module in called:
        path = module.replace(".", "/") + ".py"
        assert (PROJECT / path).is_file() and path in SCRIPT.read_text()
