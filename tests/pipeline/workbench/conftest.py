"""A small shop, run and published once; each test gets a copy of its home and a dbt project to edit."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from goodstanding.core.days import Days
from goodstanding.core.settings import Settings, settings
from goodstanding.core.vocabulary import STEPS
from pipeline import steps
from pipeline.transform import DBT_PROJECT
from tests.laws.conftest import FIRST, KEY, days_from, fill
from tests.shop import mapping

DAYS = days_from(4)


@dataclass(frozen=True)
class Bench:
    """A published home and a copy of the dbt project that a test may edit."""

    settings: Settings
    project: Path

    def edit(self, model: str, old: str, new: str) -> None:
        """Replace a text in the SQL or YAML of a model; the text must exist."""
        (path,) = (self.project / "models").rglob(model)
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def write(self, path: str, text: str) -> Path:
        """Write a file among the models of the project."""
        target = self.project / "models" / path
        target.write_text(text)
        return target


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Four days of a small shop over a month end, in one run; tests only copy it."""
    folder = tmp_path_factory.mktemp("bench")
    fill(folder / "landing", 11, DAYS)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "home": folder / "home",
            "landing": folder / "landing",
            "shop": mapping(folder),
            "pseudonym_key": KEY,
        }.items():
            patch.setenv(f"GOODSTANDING_{name.upper()}", str(value))
        settings.cache_clear()
        for name in STEPS:
            getattr(steps, name)(Days(FIRST, DAYS[-1]), "a run")
    settings.cache_clear()
    yield folder


@pytest.fixture
def bench(
    small_home: Path,
    tmp_path: Path,
    use_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    """Copies of the published home and of the dbt project (in `tmp_path/repository`) for one test."""
    shutil.copytree(small_home / "home", tmp_path / "home")
    project = tmp_path / "repository" / DBT_PROJECT.name
    shutil.copytree(DBT_PROJECT, project, ignore=shutil.ignore_patterns("__pycache__", "target", "logs"))
    for module in ("transform", "workbench.project", "workbench.describe", "workbench.impact"):
        monkeypatch.setattr(f"pipeline.{module}.DBT_PROJECT", project)
    monkeypatch.setattr("pipeline.workbench.impact.PROJECT", project.parent)
    current = use_settings(
        home=tmp_path / "home",
        landing=small_home / "landing",
        shop=small_home / "tiny.yml",
        pseudonym_key=KEY,
    )
    return Bench(current, project)
